//! Compares texts of floats with those of `zmij`, on all threads.

use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;

use arrow_array::{ArrayRef, ArrowPrimitiveType, ListArray, PrimitiveArray, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_schema::Field;
use viking_reader::{JsonLines, JsonOptions};

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Does the same on each thread and returns what each of them brings.
pub(crate) fn on_all_threads<T: Send>(
    work: impl Fn() -> Result<T, Failure> + Sync,
) -> Result<Vec<T>, Failure> {
    let threads = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        let outcomes = workers.into_iter().map(|worker| match worker.join() {
            Ok(outcome) => outcome,
            Err(_) => Err("a thread panicked".into()),
        });
        outcomes.collect()
    })
}

/// Buffers for the texts of both.
#[derive(Default)]
pub(crate) struct Texts {
    ours: Vec<u8>,
    theirs: Vec<u8>,
}

impl Texts {
    /// Compares values as the items of a list, and as values of a column.
    pub(crate) fn compare<T>(
        &mut self,
        what: &dyn Display,
        values: Vec<T::Native>,
    ) -> Result<(), Failure>
    where
        T: ArrowPrimitiveType<Native: zmij::Float>,
    {
        let items: PrimitiveArray<T> = PrimitiveArray::from_iter_values(values);
        let item = Arc::new(Field::new("item", T::DATA_TYPE, false));
        let offsets = OffsetBuffer::from_lengths([items.len()]);
        let list = ListArray::try_new(item, offsets, Arc::new(items.clone()), None)?;
        self.by_zmij(items.values(), ("{\"v\":[", ",", "]}\n"));
        self.check(what, Arc::new(list))?;
        self.by_zmij(items.values(), ("{\"v\":", "}\n{\"v\":", "}\n"));
        self.check(what, Arc::new(items))
    }

    fn by_zmij<F: zmij::Float>(&mut self, values: &[F], (start, between, end): (&str, &str, &str)) {
        self.theirs.clear();
        self.theirs.extend_from_slice(start.as_bytes());
        let mut buffer = zmij::Buffer::new();
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.theirs.extend_from_slice(between.as_bytes());
            }
            let text = buffer.format(*value);
            // NaN and infinities have no digits.
            let is_finite = text.ends_with(|last: char| last.is_ascii_digit());
            self.theirs.extend_from_slice(if is_finite { text.as_bytes() } else { b"null" });
        }
        self.theirs.extend_from_slice(end.as_bytes());
    }

    fn check(&mut self, what: &dyn Display, column: ArrayRef) -> Result<(), Failure> {
        let Self { ours, theirs } = self;
        ours.clear();
        let batch = RecordBatch::try_from_iter([("v", column)])?;
        JsonLines::new("floats", &batch.schema(), &JsonOptions::default())?.encode(&batch, ours)?;
        if ours == theirs {
            return Ok(());
        }
        let place = ours.iter().zip(&*theirs).position(|(a, b)| a != b).unwrap_or(0);
        let near = |text: &[u8]| {
            String::from_utf8_lossy(&text[place.saturating_sub(20)..(place + 20).min(text.len())])
                .into_owned()
        };
        Err(format!("{what}: ours {:?}, theirs {:?}", near(ours), near(theirs)).into())
    }
}
