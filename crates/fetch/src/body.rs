//! The bytes of one version of an object, over as many requests as it takes.

use std::ops::Range;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::{GetOptions, GetRange};

use crate::bucket::Bucket;
use crate::connection::ServiceCrc64;
use crate::error::Error;
use crate::retry::Attempts;

/// What comes next.
#[derive(Debug)]
pub(crate) enum Piece {
    Bytes(Bytes),
    /// What came before may be of another version: the range begins anew.
    Restart,
}

/// A range on its way. After a passing fault it goes on behind the last byte, where an `ETag` tells that it is
/// the same version.
pub(crate) struct Body<'a> {
    bucket: &'a Bucket,
    key: &'a str,
    /// The version that is wanted, or else the one that the first answer named.
    etag: Option<String>,
    range: Range<u64>,
    position: u64,
    /// The range is the object, and is asked for as such: only then a checksum comes with it.
    is_whole: bool,
    stream: Option<BoxStream<'static, object_store::Result<Bytes>>>,
    attempts: Attempts,
    crc64: Option<u64>,
}

impl<'a> Body<'a> {
    pub(crate) fn new(
        bucket: &'a Bucket,
        key: &'a str,
        etag: Option<String>,
        range: Range<u64>,
        is_whole: bool,
    ) -> Self {
        Self {
            bucket,
            key,
            etag,
            position: range.start,
            range,
            is_whole,
            stream: None,
            attempts: bucket.attempts(),
            crc64: None,
        }
    }

    /// The CRC-64 of the whole object, if it came with the body.
    pub(crate) fn service_crc64(&self) -> Option<u64> {
        self.crc64
    }

    /// The version that arrives.
    pub(crate) fn etag(&self) -> Option<&String> {
        self.etag.as_ref()
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Piece>, Error> {
        loop {
            let arrived = match &mut self.stream {
                None => self.ask().await.map(|()| None),
                Some(stream) => match stream.try_next().await {
                    Ok(None) => return Ok(None),
                    Ok(chunk) => Ok(chunk),
                    Err(error) => Err(self.bucket.error("reading", self.key, &error)),
                },
            };
            match arrived {
                Ok(None) => {}
                Ok(Some(chunk)) => {
                    self.position += chunk.len() as u64;
                    self.attempts.received(chunk.len() as u64);
                    return Ok(Some(Piece::Bytes(chunk)));
                }
                Err(error) => {
                    self.stream = None;
                    self.attempts.again(error).await?;
                    if self.etag.is_none() && self.position > self.range.start {
                        self.position = self.range.start;
                        return Ok(Some(Piece::Restart));
                    }
                }
            }
        }
    }

    async fn ask(&mut self) -> Result<(), Error> {
        let is_whole = self.is_whole && self.position == self.range.start;
        let options = GetOptions {
            // It ties the rest to the version that was listed.
            if_match: self.etag.clone(),
            range: (!is_whole).then_some(GetRange::Bounded(self.position..self.range.end)),
            ..GetOptions::default()
        };
        let get = || self.bucket.get("reading", self.key, options.clone());
        let result = self.bucket.renewing(get).await?;
        if let Some(etag) = &result.meta.e_tag
            && self.etag.get_or_insert_with(|| etag.clone()) != etag
        {
            return Err(Error::Changed { key: self.key.to_owned() });
        }
        if let Some(ServiceCrc64(crc64)) = result.extensions.get() {
            self.crc64 = Some(*crc64);
        }
        self.stream = Some(result.into_stream());
        Ok(())
    }
}
