//! Rows as an async stream of Arrow batches.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::mpsc::{Receiver, channel};
use viking_reader::arrow_array::RecordBatch;
use viking_reader::{BatchReader, ReadOptions};

use crate::error::Result;
use crate::input::Place;
use crate::session::Session;

/// Batches that wait for the one who takes them.
const BATCHES_AHEAD: usize = 2;

/// Batches of places in their order, decoded on a thread of their own. Dropping it ends the thread at the next
/// batch.
#[derive(Debug)]
pub struct BatchStream(Receiver<Result<RecordBatch>>);

impl Session {
    /// The rows of Parquet files as batches, of 100 rows unless `options` say otherwise; the last batch of a file may
    /// be shorter. An offset and a limit are those of each file. To be called within a runtime of tokio.
    pub fn batches(&self, places: Vec<Place>, options: ReadOptions) -> BatchStream {
        let (sender, receiver) = channel(BATCHES_AHEAD);
        let read = move || {
            for input in Place::open_all(&places) {
                let batches = input.and_then(|input| Ok(BatchReader::new(&input, &options)?));
                let batches = match batches {
                    Ok(batches) => batches,
                    // Nobody may listen any more.
                    Err(error) => return drop(sender.blocking_send(Err(error))),
                };
                for batch in batches {
                    let is_end = batch.is_err();
                    let is_gone = sender.blocking_send(batch.map_err(Into::into)).is_err();
                    if is_end || is_gone {
                        return;
                    }
                }
            }
        };
        drop(tokio::task::spawn_blocking(read));
        BatchStream(receiver)
    }
}

impl Stream for BatchStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
