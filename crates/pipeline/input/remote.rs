//! Objects of TOS as sources of the reader, without landing.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;
use viking_fetch::{Bucket, ObjectReader, ReadAhead, RemoteObject, Traffic};
use viking_reader::{Input, PrintOptions, Source, announce};

use crate::event::Event;

/// Blocks of all objects that are here or on their way take about this much memory.
const BLOCKS_BYTES: u64 = 32 << 20;

/// Opens objects of one bucket.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    bucket: Arc<Bucket>,
    traffic: Arc<Traffic>,
    ahead: Arc<ReadAhead>,
    handle: Handle,
}

impl Remote {
    /// To be made within the runtime.
    pub(super) fn new(bucket: Bucket) -> Self {
        let (traffic, ahead) = (Arc::default(), Arc::new(ReadAhead::new(BLOCKS_BYTES)));
        Self { bucket: Arc::new(bucket), traffic, ahead, handle: Handle::current() }
    }

    /// Opens an object and begins to fetch its ends.
    pub(super) fn open(&self, object: &RemoteObject) -> Input {
        let traffic = Arc::clone(&self.traffic);
        let reader = ObjectReader::new(&self.bucket, object.clone(), &self.ahead, traffic);
        let _runtime = self.handle.enter();
        reader.begin();
        let name = format!("tos://{}/{}", self.bucket.name(), object.key);
        Input::new(name, RemoteFile { reader, handle: self.handle.clone() })
    }

    /// Begins to fetch what printing an object will read, once its footer is here.
    pub(super) fn announce(&self, input: &Input, options: &PrintOptions) {
        self.ahead.expect_all();
        let (input, options) = (input.clone(), options.clone());
        // An error comes again when it is printed.
        let announce = move || announce(&input, &options).unwrap_or(());
        drop(self.handle.spawn_blocking(announce));
    }

    /// Whether both count what they read together.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.traffic, &other.traffic)
    }

    /// How much was read.
    pub(super) fn traffic(&self) -> Event {
        Event::Read { bytes: self.traffic.bytes(), requests: self.traffic.requests() }
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

    fn prefetch(&self, groups: &[Vec<Range<u64>>]) {
        let _runtime = self.handle.enter();
        self.reader.prefetch(groups);
    }
}
