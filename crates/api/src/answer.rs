//! Answers of the service: two envelopes, or text from something in between.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::error::{Error, Refusal};

/// Longest part of an answer that is not JSON that goes into a message.
const TEXT_BYTES_SHOWN: usize = 200;

/// Takes the `data` out of an answer, or says why there is none.
///
/// V1 answers `{"code":0,"data":…}`; V2, and the gateway before both, answer
/// `{"ResponseMetadata":{"Error":…},"Result":…}`; a proxy may answer anything.
pub(crate) fn decode(
    call: &'static str,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, Error> {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    let refusal = |code: String, message: String, request_id: Option<String>| {
        Error::Refused(Box::new(Refusal {
            call,
            status,
            code,
            message,
            request_id: request_id.or_else(|| header("x-request-id")),
            log_id: header("x-tt-logid"),
            retry_after: retry_after(headers),
        }))
    };
    let Ok(mut answer) = serde_json::from_slice::<Value>(body) else {
        let text = String::from_utf8_lossy(&body[..body.len().min(TEXT_BYTES_SHOWN)]);
        let text = text.escape_debug().to_string();
        return Err(if (200..300).contains(&status) {
            Error::Answer { call, detail: format!("it is not JSON: {text}") }
        } else {
            refusal(String::new(), text, None)
        });
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let gateway = &answer["ResponseMetadata"];
    if gateway["Error"].is_object() {
        let error = &gateway["Error"];
        let code = text(&error["Code"]).unwrap_or_default();
        let message = text(&error["Message"]).unwrap_or_default();
        return Err(refusal(code, message, text(&gateway["RequestId"])));
    }
    if gateway.is_object() && (200..300).contains(&status) {
        return Ok(answer["Result"].take());
    }
    let request_id = text(&answer["request_id"]);
    match answer["code"].as_i64() {
        Some(0) if (200..300).contains(&status) => Ok(answer["data"].take()),
        Some(code) => {
            let message = text(&answer["message"]).unwrap_or_default();
            Err(refusal(code.to_string(), message, request_id))
        }
        None if (200..300).contains(&status) => {
            Err(Error::Answer { call, detail: "it has no `code`".to_owned() })
        }
        None => Err(refusal(String::new(), answer.to_string(), request_id)),
    }
}

/// How long the service asks us to wait: seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let value = header("retry-after")?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    // By the clock of the service, which need not be ours.
    date(value)?.duration_since(date(header("date")?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_asked_for_in_seconds_or_as_a_date() {
        let mut headers = HeaderMap::new();
        headers.insert("date", "Wed, 25 Nov 2026 08:00:00 GMT".parse().unwrap());
        for (value, seconds) in [
            ("7", Some(7)),
            ("Wed, 25 Nov 2026 08:00:09 GMT", Some(9)),
            ("Wed, 25 Nov 2026 07:00:00 GMT", None),
            ("soon", None),
        ] {
            headers.insert("retry-after", value.parse().unwrap());
            assert_eq!(retry_after(&headers), seconds.map(Duration::from_secs), "{value}");
        }
    }
}
