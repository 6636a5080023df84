//! Requests to the services that give credentials to roles.

use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use reqwest::{Client, RequestBuilder};

use crate::error::RoleError;

/// Answers have a few kilobytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// As often as the SDK of Volcengine.
const RETRIES: ConstantBuilder =
    ConstantBuilder::new().with_delay(Duration::from_secs(1)).with_max_times(2);

/// A client that follows no redirects: they would carry a token to another host.
pub(crate) fn client(
    is_direct: bool,
    connect: Duration,
    whole: Duration,
) -> Result<Client, reqwest::Error> {
    // `ring` builds in a few seconds and everywhere. A program that has chosen another is not overruled.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect)
        .timeout(whole)
        .user_agent(concat!("viking-export/", env!("CARGO_PKG_VERSION")));
    let builder = if is_direct { builder.no_proxy() } else { builder };
    builder.build()
}

/// The text of an answer. Asks again after a passing fault, unless nothing is there and `is_sure` is not set.
pub(crate) async fn ask(
    host: &str,
    request: impl Fn() -> RequestBuilder + Send + Sync,
    is_sure: bool,
) -> Result<String, RoleError> {
    let once = || async {
        let unreachable = |source: reqwest::Error| RoleError::Unreachable {
            host: host.to_owned(),
            source: source.without_url(),
        };
        let mut answer = request().send().await.map_err(unreachable)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() {
            return Ok(body);
        }
        let (host, status) = (host.to_owned(), status.as_u16());
        let detail = refusal(&body).unwrap_or_else(|| "no reason is given".to_owned());
        Err(RoleError::Answer { host, status, detail })
    };
    let is_again = |error: &RoleError| {
        error.is_passing() && (is_sure || !matches!(error, RoleError::Unreachable { .. }))
    };
    once.retry(RETRIES).when(is_again).await
}

/// The code of a refusal; its message may echo parts of the request.
pub(crate) fn refusal(body: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(body).ok()?;
    let code = answer["ResponseMetadata"]["Error"]["Code"].as_str()?;
    Some(code.chars().take(100).collect())
}

/// An address as messages may show it.
pub(crate) fn without_password(url: &str) -> String {
    url.rsplit('@').next().unwrap_or_default().to_owned()
}

/// Whether the address is on this machine.
pub(crate) fn is_local(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
