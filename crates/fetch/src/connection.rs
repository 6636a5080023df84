//! The HTTP service under `object_store`: it sees every answer and keeps what TOS said.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};

use crate::error::Refusal;
use crate::limiter::Limiter;

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
pub(crate) struct Connector {
    pub(crate) client: reqwest::Client,
    pub(crate) limiter: Arc<Limiter>,
    /// Requests and bodies that failed and are asked for again.
    pub(crate) retry_count: Arc<AtomicU64>,
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service {
            client: HttpClient::new(self.client.clone()),
            limiter: Arc::clone(&self.limiter),
            retry_count: Arc::clone(&self.retry_count),
        }))
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

/// Turns every answer that is not a success into an error that carries a [`Refusal`], and tells the limiter
/// of those that say it is too much.
#[derive(Debug)]
struct Service {
    client: HttpClient,
    limiter: Arc<Limiter>,
    retry_count: Arc<AtomicU64>,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.limiter.pause().await;
        let sent = self.client.execute(request).await;
        let mut response = sent.inspect_err(|error| self.count(error))?;
        if let Some(crc64) = service_crc64(&response) {
            response.extensions_mut().insert(ServiceCrc64(crc64));
        }
        if response.status().is_success() {
            let failed = Arc::clone(&self.retry_count);
            let count = move |error| {
                failed.fetch_add(1, Ordering::Relaxed);
                error
            };
            return Ok(response.map(|body| HttpResponseBody::new(body.map_err(count))));
        }
        let retry_after = retry_after(&response);
        let refusal = refusal(response).await;
        tracing::debug!(status = refusal.status, code = refusal.code, "TOS refused");
        if refusal.is_too_much() {
            self.limiter.too_much(retry_after);
        }
        // `object_store` repeats a request of the kind `Request` and no other of these two.
        let kind =
            if refusal.is_passing() { HttpErrorKind::Request } else { HttpErrorKind::Unknown };
        let error = HttpError::new(kind, refusal);
        self.count(&error);
        Err(error)
    }
}

impl Service {
    /// Counts an error after which `object_store` asks again.
    fn count(&self, error: &HttpError) {
        if !matches!(error.kind(), HttpErrorKind::Decode | HttpErrorKind::Unknown) {
            self.retry_count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How long TOS asks us to wait. It may also be a date (RFC 9110, 10.2.3), which S3 services do not send.
fn retry_after(response: &HttpResponse) -> Option<Duration> {
    let value = response.headers().get("retry-after")?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

async fn refusal(response: HttpResponse) -> Refusal {
    let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
    let (status, ec) = (response.status().as_u16(), header("x-amz-ec"));
    let request_id = header("x-amz-request-id").or_else(|| header("x-tos-request-id"));
    let body = limited_text(response).await;
    let element = |name: &str| text_of(&body, name).map(str::to_owned);
    Refusal {
        status,
        code: element("Code").unwrap_or_default(),
        message: element("Message").unwrap_or_default(),
        request_id: request_id.or_else(|| element("RequestId")),
        ec: ec.or_else(|| element("EC")),
    }
}

async fn limited_text(response: HttpResponse) -> String {
    use futures::StreamExt;
    let mut bytes = Vec::new();
    let mut chunks = response.into_body().bytes_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > ERROR_BYTES_MAX {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The text of the first element `name`. S3 errors are flat, and a wrong guess costs one word of
/// a message, so no XML parser is brought in for it.
fn text_of<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let start = xml.find(&format!("<{name}>"))? + name.len() + 2;
    let length = xml[start..].find(&format!("</{name}>"))?;
    Some(&xml[start..start + length])
}

#[cfg(test)]
mod tests {
    use super::text_of;

    #[test]
    fn elements_are_found_and_half_ones_are_not() {
        let xml = "<Error><Code>NoSuchKey</Code><Message></Message><EC>1";
        assert_eq!(text_of(xml, "Code"), Some("NoSuchKey"));
        assert_eq!(text_of(xml, "Message"), Some(""));
        assert_eq!(text_of(xml, "EC"), None);
    }
}
