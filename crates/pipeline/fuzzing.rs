//! What must hold for any bytes. The targets in `fuzz/` try new ones, the test below those that were kept.

use std::fs;
use std::io;
use std::path::Path;

use crate::config::read_any;
use crate::output::is_taken_up_safely;
use crate::record::read_receipt;

/// Stands in the files of keys that were kept, where only a secret stands.
const SECRET: &str = "c2VjcmV0";

/// A receipt is refused, or names files below its folder and says the same when it is written and read again.
pub fn receipt(data: &[u8]) -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("receipt.json");
    fs::write(&path, data)?;
    let Ok(receipt) = read_receipt(folder.path()) else { return Ok(()) };
    for object in receipt.objects.iter().flatten() {
        let is_plain =
            |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
        assert!(Path::new(&object.name).components().all(is_plain), "{} leads out", object.name);
        object.known_crc64();
    }
    let text = serde_json::to_vec_pretty(&receipt)?;
    fs::write(&path, &text)?;
    let again = read_receipt(folder.path()).map_err(io::Error::other)?;
    assert_eq!(serde_json::to_vec_pretty(&again)?, text);
    Ok(())
}

/// A checkpoint never makes an output longer than it was, and never believes in rows without their bytes. The
/// first byte is the length of the output; the rest is the checkpoint.
pub fn checkpoint(data: &[u8]) -> io::Result<()> {
    let Some((&length, data)) = data.split_first() else { return Ok(()) };
    assert!(is_taken_up_safely(u64::from(length), data)?, "more is believed than there is");
    Ok(())
}

/// A file of keys is read or refused, and what `Debug` and messages show of it has no secret in it.
pub fn credentials(data: &[u8]) -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("keys");
    fs::write(&path, data)?;
    for read in read_any(&path) {
        // The key's id is no secret, and messages may name a profile and its mode, whatever stands there.
        let (shown, is_public) = match &read {
            Ok(None) => continue,
            Ok(Some(found)) => {
                let is_public = found.credentials().access_key().contains(SECRET);
                (format!("{found:?}"), is_public || found.origin().contains(SECRET))
            }
            Err(error) => {
                let is_json = serde_json::from_slice::<serde_json::Value>(data).is_ok();
                (format!("{error:?} {error}"), is_json)
            }
        };
        assert!(is_public || !shown.contains(SECRET), "a secret is shown");
    }
    Ok(())
}

#[cfg(test)]
#[path = "../../fuzz/kept.rs"]
mod kept;

#[cfg(test)]
mod tests {
    use super::kept::each_kept;

    #[test]
    fn what_was_kept_still_holds() {
        each_kept("receipt", |data| super::receipt(data).unwrap());
        each_kept("checkpoint", |data| super::checkpoint(data).unwrap());
        each_kept("credentials", |data| super::credentials(data).unwrap());
    }
}
