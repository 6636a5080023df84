//! Objects of TOS as sources of the reader, without landing.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use tokio::runtime::Handle;
use viking_fetch::{Bucket, ObjectReader, RemoteObject, Traffic};
use viking_reader::Source;

use crate::report::Report;

/// Blocks of one object that are here or on their way take about this much memory.
const BLOCKS_BYTES: u64 = 32 << 20;

/// Opens objects of one bucket.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    bucket: Arc<Bucket>,
    traffic: Arc<Traffic>,
    handle: Handle,
}

impl Remote {
    /// To be made within the runtime.
    pub(crate) fn new(bucket: Bucket) -> Self {
        Self { bucket: Arc::new(bucket), traffic: Arc::default(), handle: Handle::current() }
    }

    /// Opens an object and begins to fetch its ends.
    pub(crate) fn open(&self, object: &RemoteObject) -> Arc<dyn Source> {
        let traffic = Arc::clone(&self.traffic);
        let reader = ObjectReader::new(&self.bucket, object.clone(), BLOCKS_BYTES, traffic);
        let _runtime = self.handle.enter();
        reader.begin();
        Arc::new(RemoteFile { reader, handle: self.handle.clone() })
    }

    /// The object's name in messages.
    pub(crate) fn name(&self, object: &RemoteObject) -> String {
        format!("tos://{}/{}", self.bucket.name(), object.key)
    }

    /// Whether both count what they read together.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.traffic, &other.traffic)
    }

    /// Says how much was read.
    pub(crate) fn report(&self, report: &Report) {
        let (bytes, requests) = (self.traffic.bytes(), self.traffic.requests());
        let text = format!("read {} in {requests} requests", indicatif::HumanBytes(bytes));
        report.note("read", &text, json!({"bytes": bytes, "requests": requests}));
    }
}

struct RemoteFile {
    reader: ObjectReader,
    handle: Handle,
}

impl Source for RemoteFile {
    fn size(&self) -> u64 {
        self.reader.size()
    }

    fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        if range.start > range.end || range.end > self.size() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.handle.block_on(self.reader.read(range)).map_err(io::Error::other)
    }

    fn expect(&self, groups: &[Vec<Range<u64>>]) {
        self.reader.expect(groups);
    }
}
