//! Proving that a file on the disk is the object that it should be.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crc_fast::{CrcAlgorithm, Digest};
use md5::{Digest as _, Md5};

use crate::error::Error;
use crate::object::RemoteObject;

/// The checksum that TOS sends for objects: CRC-64/XZ, also called CRC-64 ECMA.
pub(crate) const CRC_64: CrcAlgorithm = CrcAlgorithm::Crc64Xz;

/// Parquet begins and ends with these bytes.
const MAGIC: &[u8; 4] = b"PAR1";

pub(crate) const READ_BYTES: usize = 256 * 1024;

/// A new digest of the kind that is compared with TOS's.
pub(crate) fn digest() -> Digest {
    Digest::new(CRC_64)
}

/// What is compared before a file counts as the object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verify {
    /// Length, Parquet's magic, and the CRC-64 where TOS sends one.
    #[default]
    Normal,
    /// As well, the whole file is read from the disk again, and its MD5 compared where the `ETag` is one.
    Full,
}

/// What a file was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// The CRC-64/XZ of its bytes.
    pub crc64: u64,
    /// The object's `ETag` is an MD5, and it is the file's.
    pub is_md5_compared: bool,
}

/// Reads the whole file at `path` and compares it with `object`: its length, Parquet's magic at both ends,
/// its MD5 where the `ETag` is one, and its CRC-64/XZ if `crc64` says what that is.
pub fn prove(path: &Path, object: &RemoteObject, crc64: Option<u64>) -> Result<Proof, Error> {
    let file = File::open(path).map_err(|error| Error::local("open", path, error))?;
    prove_file(&file, path, object, crc64)
}

pub(crate) fn prove_file(
    file: &File,
    path: &Path,
    object: &RemoteObject,
    crc64: Option<u64>,
) -> Result<Proof, Error> {
    check_shape(file, path, object)?;
    let damaged = |detail| Error::Damaged { key: object.key.clone(), detail };
    let wanted = object.etag.as_deref().and_then(md5_of);
    let sums = sums(file, wanted.is_some()).map_err(|error| Error::local("read", path, error))?;
    if let (Some(wanted), Some(found)) = (&wanted, &sums.md5)
        && wanted != found
    {
        return Err(damaged(format!("its MD5 is {found}, and its ETag says {wanted}")));
    }
    if let Some(wanted) = crc64
        && wanted != sums.crc64
    {
        return Err(damaged(format!("its CRC-64 is {}, and should be {wanted}", sums.crc64)));
    }
    Ok(Proof { crc64: sums.crc64, is_md5_compared: wanted.is_some() })
}

/// Checks the length, and that what begins like a Parquet file ends like one.
pub(crate) fn check_shape(file: &File, path: &Path, object: &RemoteObject) -> Result<(), Error> {
    let damaged = |detail: String| Error::Damaged { key: object.key.clone(), detail };
    let local = |error| Error::local("read", path, error);
    let length = file.metadata().map_err(local)?.len();
    if length != object.size {
        return Err(damaged(format!("it has {length} bytes and should have {}", object.size)));
    }
    match read_ends(file, length).map_err(local)? {
        Some((head, tail)) if &head == MAGIC && &tail != MAGIC => {
            Err(damaged("it begins like a Parquet file and does not end like one".to_owned()))
        }
        _ => Ok(()),
    }
}

fn read_ends(mut file: &File, length: u64) -> io::Result<Option<([u8; 4], [u8; 4])>> {
    if length < 8 {
        return Ok(None);
    }
    let (mut head, mut tail) = ([0; 4], [0; 4]);
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut head)?;
    file.seek(SeekFrom::End(-4))?;
    file.read_exact(&mut tail)?;
    Ok(Some((head, tail)))
}

/// The MD5 in an `ETag`, in lower case. That of an object which was uploaded in parts is another hash, and
/// has a `-` in it.
fn md5_of(etag: &str) -> Option<String> {
    let hex = etag.trim_matches('"');
    let is_md5 = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_md5.then(|| hex.to_ascii_lowercase())
}

struct Sums {
    crc64: u64,
    md5: Option<String>,
}

fn sums(mut file: &File, with_md5: bool) -> io::Result<Sums> {
    let (mut crc64, mut md5) = (digest(), with_md5.then(Md5::new));
    let mut buffer = vec![0; READ_BYTES];
    file.seek(SeekFrom::Start(0))?;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        crc64.update(&buffer[..read]);
        if let Some(md5) = &mut md5 {
            md5.update(&buffer[..read]);
        }
    }
    Ok(Sums { crc64: crc64.finalize(), md5: md5.map(|md5| hex::encode(md5.finalize())) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_etag_that_is_an_md5_counts_as_one() {
        let md5 = "900150983cd24fb0d6963f7d28e17f72";
        assert_eq!(md5_of(&format!("\"{}\"", md5.to_uppercase())).as_deref(), Some(md5));
        for etag in ["\"900150983cd24fb0d6963f7d28e17f72-2\"", "abc", ""] {
            assert_eq!(md5_of(etag), None);
        }
    }

    #[test]
    fn a_file_is_proven_by_its_length_md5_and_crc() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"123456789").unwrap();
        let object = |size, etag: &str| RemoteObject {
            key: "a/1.json".to_owned(),
            name: "1.json".to_owned(),
            size,
            etag: Some(etag.to_owned()),
        };
        let (crc64, md5) = (0x995d_c9bb_df19_39fa, "25f9e794323b453885f5181f1b624d0b");
        let proof = prove(file.path(), &object(9, md5), Some(crc64)).unwrap();
        assert_eq!(proof, Proof { crc64, is_md5_compared: true });
        assert!(!prove(file.path(), &object(9, "x-2"), None).unwrap().is_md5_compared);
        let cases = [
            (object(8, md5), Some(crc64), "9 bytes"),
            (object(9, "00000000000000000000000000000000"), None, "MD5"),
            (object(9, md5), Some(1), "CRC-64"),
        ];
        for (object, crc64, word) in cases {
            let error = prove(file.path(), &object, crc64).unwrap_err();
            assert!(matches!(&error, Error::Damaged { .. }), "{error}");
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
