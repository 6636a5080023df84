//! A link with latency and a limited rate for each connection, for the benches: `link PORT DELAY_MS MEGABYTES`.
//!
//! Listens on a port of 127.0.0.1 that it prints, and forwards every connection to `PORT`. Bytes arrive `DELAY_MS` later,
//! in both directions, and no faster than `MEGABYTES` (10^6) a second for each connection and direction, 0 for no limit.
//! A new connection costs a round trip, as its handshake would. It ends when stdin is closed.

#![expect(clippy::print_stdout, reason = "says where it listens")]
#![expect(clippy::cast_precision_loss, reason = "chunks are small")]

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};

const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes of a connection that are on the way at once: the window that Linux grows to by itself is about this.
const WINDOW_BYTES: usize = 4 << 20;

#[derive(Clone, Copy)]
struct Link {
    delay: Duration,
    bytes_per_second: f64,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let usage = || io::Error::other("link PORT DELAY_MS MEGABYTES");
    let numbers: Vec<f64> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let [port, delay, rate] = numbers[..] else { return Err(usage()) };
    let bytes_per_second = if rate > 0.0 { rate * 1e6 } else { f64::INFINITY };
    let link = Link { delay: Duration::from_secs_f64(delay / 1e3), bytes_per_second };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?.port());
    std::thread::spawn(|| {
        drop(io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0);
    });
    loop {
        let (near, _) = listener.accept().await?;
        let target = format!("127.0.0.1:{port}");
        tokio::spawn(async move {
            if let Ok(far) = TcpStream::connect(target).await {
                forward(near, far, link);
            }
        });
    }
}

fn forward(near: TcpStream, far: TcpStream, link: Link) {
    for stream in [&near, &far] {
        drop(stream.set_nodelay(true));
    }
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    let start = Instant::now();
    tokio::spawn(carry(near_read, far_write, link, start + 2 * link.delay));
    tokio::spawn(carry(far_read, near_write, link, start));
}

/// Carries the bytes of one direction; none leaves before `free`.
async fn carry(from: OwnedReadHalf, to: OwnedWriteHalf, link: Link, mut free: Instant) {
    let window = Arc::new(Semaphore::new(WINDOW_BYTES));
    let (sender, arriving) = mpsc::unbounded_channel();
    tokio::spawn(deliver(arriving, to, Arc::clone(&window)));
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let length = loop {
            if from.readable().await.is_err() {
                return;
            }
            match from.try_read_buf(&mut chunk) {
                Ok(length) => break length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        };
        if length == 0 {
            return;
        }
        let Ok(room) = window.acquire_many(u32::try_from(length).unwrap_or(u32::MAX)).await else {
            return;
        };
        room.forget();
        let seconds = length as f64 / link.bytes_per_second;
        free = free.max(Instant::now()) + Duration::from_secs_f64(seconds);
        if sender.send((free + link.delay, chunk)).is_err() {
            return;
        }
    }
}

async fn deliver(
    mut arriving: mpsc::UnboundedReceiver<(Instant, Vec<u8>)>,
    to: OwnedWriteHalf,
    window: Arc<Semaphore>,
) {
    while let Some((time, chunk)) = arriving.recv().await {
        sleep_until(time).await;
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            if to.writable().await.is_err() {
                return window.close();
            }
            match to.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return window.close(),
            }
        }
        window.add_permits(chunk.len());
    }
}
