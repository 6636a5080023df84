//! The HTTP service under `object_store`: it sees every answer and keeps what TOS said.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::StreamExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use serde::Deserialize;

use crate::error::Refusal;
use crate::limiter::Throttle;
use crate::retry::History;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// An XML error is a few hundred bytes; more is not read.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// Builds the HTTP client. `host` is the full host of the bucket.
pub(crate) fn client(
    host: &str,
    is_loopback: bool,
    allow_http: bool,
    read_timeout: Duration,
) -> reqwest::Result<reqwest::Client> {
    // `ring` builds in a few seconds and everywhere. A program that has chosen another is not overruled.
    drop(rustls::crypto::ring::default_provider().install_default());
    // No limit for a whole request: a large object on a slow link takes what it takes.
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(read_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .https_only(!allow_http)
        .user_agent(concat!("viking-export/", env!("CARGO_PKG_VERSION")));
    if is_loopback {
        // RFC 6761: names under .localhost are this machine, though resolvers differ on it.
        builder = builder.no_proxy();
        if host.ends_with(".localhost") {
            builder = builder.resolve(host, (std::net::Ipv4Addr::LOCALHOST, 0).into());
        }
    }
    builder.build()
}

/// Hands our client to `object_store`.
#[derive(Debug)]
pub(crate) struct Connector(pub(crate) HttpClient);

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

/// What TOS says the CRC-64 of the whole object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServiceCrc64(pub(crate) u64);

/// The header has one name in TOS's S3 interface and another in its own.
fn service_crc64(response: &HttpResponse) -> Option<u64> {
    // A part may come with the checksum of the part.
    if response.status() != reqwest::StatusCode::OK {
        return None;
    }
    let names = ["x-amz-hash-crc64ecma", "x-tos-hash-crc64ecma"];
    let value = names.iter().find_map(|name| response.headers().get(*name))?;
    value.to_str().ok()?.trim().parse().ok()
}

/// Turns every answer that is not a success into an error that carries a [`Refusal`], and tells the throttle
/// of those that say it is too much.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) client: HttpClient,
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) history: Arc<History>,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.throttle.pause().await;
        let mut response = self.client.execute(request).await?;
        if let Some(crc64) = service_crc64(&response) {
            response.extensions_mut().insert(ServiceCrc64(crc64));
        }
        // TOS may slow us down without an error. Its pages give no unit; the header of this name in other object
        // stores of the same kind is in milliseconds.
        let delay = header(&response, "x-tos-qos-delay-time").and_then(|delay| delay.parse().ok());
        if let Some(delay) = delay {
            self.throttle.wait_for(Duration::from_millis(delay));
        }
        if response.status().is_success() {
            self.history.has_answered.store(true, Ordering::Relaxed);
            return Ok(response);
        }
        let refusal = refusal(response).await;
        tracing::debug!(status = refusal.status, code = refusal.code, "TOS refused");
        if refusal.is_too_much() {
            self.throttle.too_much(refusal.retry_after);
        }
        if !refusal.is_passing() {
            self.history.has_answered.store(true, Ordering::Relaxed);
        }
        Err(HttpError::new(HttpErrorKind::Unknown, refusal))
    }
}

fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok().map(str::trim)
}

/// How long TOS asks us to wait: seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(response: &HttpResponse) -> Option<Duration> {
    let value = header(response, "retry-after")?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    // By the clock of the service, which need not be ours.
    let now = header(response, "date").and_then(|date| httpdate::parse_http_date(date).ok());
    let now: SystemTime = now?;
    until.duration_since(now).ok()
}

/// The body of an error as S3 services write it. All of it may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ErrorBody {
    pub(crate) code: String,
    pub(crate) message: String,
    request_id: Option<String>,
    #[serde(rename = "EC")]
    ec: Option<String>,
    endpoint: Option<String>,
    region: Option<String>,
}

async fn refusal(response: HttpResponse) -> Refusal {
    let header = |name: &str| header(&response, name).map(str::to_owned);
    let request_id = header("x-amz-request-id").or_else(|| header("x-tos-request-id"));
    let (status, ec) = (response.status().as_u16(), header("x-amz-ec"));
    let region = header("x-amz-bucket-region").or_else(|| header("x-tos-bucket-region"));
    let is_redirect = response.status().is_redirection();
    let location = header("location").filter(|_| is_redirect);
    let retry_after = retry_after(&response);
    let (text, _) = limited_body(response, ERROR_BYTES_MAX).await;
    let text = String::from_utf8_lossy(&text);
    // What is not such a body says nothing; a redirect or gateway has any body it likes.
    let body: ErrorBody = quick_xml::de::from_str(&text).unwrap_or_default();
    Refusal {
        status,
        code: body.code,
        message: body.message,
        request_id: request_id.or(body.request_id),
        ec: ec.or(body.ec),
        endpoint: body.endpoint.or_else(|| location.as_deref().and_then(host_of)),
        region: region.or(body.region),
        retry_after,
    }
}

/// The host that a redirect leads to.
fn host_of(location: &str) -> Option<String> {
    let url = reqwest::Url::parse(location).ok()?;
    url.host_str().map(str::to_owned)
}

/// The first `max` bytes of a body, and how it ended.
pub(crate) async fn limited_body(
    response: HttpResponse,
    max: usize,
) -> (Vec<u8>, Result<(), HttpError>) {
    let mut bytes = Vec::new();
    let mut chunks = response.into_body().bytes_stream();
    while bytes.len() < max {
        match chunks.next().await {
            Some(Ok(chunk)) => {
                bytes.extend_from_slice(&chunk[..chunk.len().min(max - bytes.len())]);
            }
            Some(Err(error)) => return (bytes, Err(error)),
            None => break,
        }
    }
    (bytes, Ok(()))
}

#[cfg(test)]
mod tests {
    use object_store::client::HttpResponseBody;

    use super::*;

    async fn refused(status: u16, headers: &[(&str, &str)], body: &str) -> Refusal {
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let body = HttpResponseBody::from(body.as_bytes().to_vec());
        refusal(response.body(body).unwrap()).await
    }

    #[tokio::test]
    async fn what_an_error_says_is_kept_and_anything_else_is_borne() {
        let xml = "<?xml version=\"1.0\"?><Error xmlns=\"x\"><Code>NoSuchKey</Code><Message>a &amp; b</Message>\
                   <Endpoint>demo.tos-s3-cn-shanghai.volces.com</Endpoint><RequestId>r</RequestId></Error>";
        let refusal = refused(404, &[("x-amz-ec", "0003-1")], xml).await;
        assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("NoSuchKey", "a & b"));
        assert_eq!(
            (refusal.ec.as_deref(), refusal.request_id.as_deref()),
            (Some("0003-1"), Some("r"))
        );
        assert_eq!(refusal.endpoint.as_deref(), Some("demo.tos-s3-cn-shanghai.volces.com"));
        for body in
            ["", "<html><body>502</body></html>", "<Error><Code>NoSuch", "{\"Code\":1}", "\u{0}"]
        {
            let refusal = refused(502, &[], body).await;
            assert_eq!(refusal, Refusal { status: 502, ..Refusal::default() }, "{body:?}");
        }
        let to = ("location", "https://demo.tos-s3-cn-shanghai.volces.com/?list-type=2");
        let moved = refused(301, &[to, ("x-amz-bucket-region", "cn-shanghai")], "").await;
        assert_eq!(moved.endpoint.as_deref(), Some("demo.tos-s3-cn-shanghai.volces.com"));
        assert_eq!(moved.region.as_deref(), Some("cn-shanghai"));
    }

    #[tokio::test]
    async fn a_wait_is_asked_for_in_seconds_or_as_a_date() {
        let date = ("date", "Wed, 25 Nov 2026 08:00:00 GMT");
        for (value, seconds) in [
            ("7", Some(7)),
            ("Wed, 25 Nov 2026 08:00:09 GMT", Some(9)),
            ("Wed, 25 Nov 2026 07:00:00 GMT", None),
            ("soon", None),
        ] {
            let refusal = refused(503, &[("retry-after", value), date], "").await;
            assert_eq!(refusal.retry_after, seconds.map(Duration::from_secs), "{value}");
        }
    }
}
