//! What must hold for any bytes. The targets in `fuzz/` try new ones, the test below those that were kept.

use reqwest::header::HeaderMap;

use crate::answer::decode;
use crate::error::ErrorClass;
use crate::filter::Filter;
use crate::interface::has_more;
use crate::task::{Collection, Task};

/// A filter is refused, or is the same after it was sent and read.
pub fn filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Filter::parse(text) {
        Ok(filter) => {
            let sent = filter.to_json().to_string();
            let read = Filter::parse(&sent);
            assert_eq!(read.as_ref(), Ok(&filter), "{sent}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// An answer of the service, with any status: data, or an error that says whose turn it is.
pub fn answer(data: &[u8]) {
    let Some((&[low, high], body)) = data.split_first_chunk() else { return };
    let status = 200 + u16::from_le_bytes([low, high]) % 400;
    match decode("fuzz", status, &HeaderMap::new(), body) {
        Ok(data) => {
            assert!((200..300).contains(&status), "data with HTTP {status}");
            for task in [Task::from_v1(&data), Task::from_v2(&data)].into_iter().flatten() {
                assert!(!task.id.0.is_empty());
                assert!(task.percent.is_none_or(|percent| percent <= 100));
            }
            let (v1, v2) = (Collection::from_v1("c", &data), Collection::from_v2("c", &data));
            assert!(!v1.name.is_empty() && !v2.name.is_empty());
            assert!(!has_more(&data, 0, 1, 1), "pages without tasks never end");
        }
        Err(error) => {
            let is_bug = matches!(error.class(), ErrorClass::TaskFailed | ErrorClass::NotFinished);
            assert!(!is_bug, "no task was asked for: {error}");
            assert!(!error.to_string().is_empty());
        }
    }
}

#[cfg(test)]
#[path = "../../../fuzz/kept.rs"]
mod kept;

#[cfg(test)]
mod tests {
    use super::kept::each_kept;

    #[test]
    fn what_was_kept_still_holds() {
        each_kept("filter", super::filter);
        each_kept("answer", super::answer);
    }
}
