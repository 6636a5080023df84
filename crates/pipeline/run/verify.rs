//! Proves the files of a folder again, without the network.

use std::path::Path;

use viking_fetch::prove;
use viking_reader::{FileSource, Input};

use crate::error::{FolderError, ProofError, Result};
use crate::input::FileCount;
use crate::record::{ObjectRecord, Receipt, read_receipt};

/// What a file was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedFile {
    /// Its rows.
    pub rows: u64,
    /// Its CRC-64/XZ.
    pub crc64: u64,
    /// Its MD5 is the object's `ETag`.
    pub is_md5_compared: bool,
    /// The receipt has its CRC-64, and it is the same.
    pub is_crc64_compared: bool,
}

impl VerifiedFile {
    /// Compares the file of an object in the folder `dir` with what the receipt says of it. Blocks its thread.
    pub fn of(dir: &Path, object: &ObjectRecord) -> Result<Self> {
        let path = dir.join(&object.name);
        if !path.exists() {
            return Err(ProofError::Missing { path }.into());
        }
        let known = object.known_crc64();
        let proof = prove(&path, &object.remote(), known)?;
        let input = Input::new(object.name.as_str(), FileSource::open(&path)?);
        let FileCount { name: file, rows, other_total } = FileCount::of(&input)?;
        if let Some(total) = other_total {
            return Err(ProofError::FooterTotal { file, total, rows }.into());
        }
        if let Some(recorded) = object.rows.filter(|&recorded| recorded != rows) {
            return Err(ProofError::RowsRecorded { file, rows, recorded }.into());
        }
        Ok(Self {
            rows,
            crc64: proof.crc64,
            is_md5_compared: proof.is_md5_compared,
            is_crc64_compared: known.is_some(),
        })
    }
}

impl Receipt {
    /// The receipt of a folder that lists objects. Nothing is written, so the folder may be one that nobody can
    /// write to.
    pub fn of_listed(dir: &Path) -> Result<(Self, Vec<ObjectRecord>)> {
        let receipt = read_receipt(dir)?;
        match receipt.objects.clone() {
            Some(objects) => Ok((receipt, objects)),
            None => Err(FolderError::NotListed { folder: dir.to_owned() }.into()),
        }
    }

    /// Refuses another number of rows than a run has printed.
    pub fn check_rows(&self, rows: u64) -> Result<()> {
        let printed = self.finished.as_ref().and_then(|finished| finished.rows_printed);
        match printed.filter(|&printed| printed != rows) {
            Some(printed) => Err(ProofError::RowsPrinted { rows, printed }.into()),
            None => Ok(()),
        }
    }
}
