//! Ranges of objects that do not land.

use std::sync::Arc;
use std::time::Duration;

use viking_fetch::{Error, ErrorClass, ObjectReader, ReadAhead, Traffic};

use crate::server::{Server, bytes};

const MIB: usize = 1 << 20;

/// One object and a reader of it, which holds at most `budget` bytes.
async fn reader(server: &Server, file: &[u8], budget: u64) -> (ObjectReader, Arc<Traffic>) {
    server.put("0.parquet", file).await;
    let bucket = server.bucket();
    let object = server.list(&bucket).await.objects.remove(0);
    let traffic = Arc::new(Traffic::default());
    let ahead = Arc::new(ReadAhead::new(budget));
    (ObjectReader::new(&bucket, object, &ahead, Arc::clone(&traffic)), traffic)
}

#[tokio::test]
async fn any_range_is_read_whether_announced_or_not() {
    let server = Server::start().await;
    let file = bytes(9 * MIB + 321);
    let size = file.len() as u64;
    let (reader, traffic) = reader(&server, &file, 4 << 20).await;
    assert_eq!(reader.size(), size);
    // Both ends, something between, and a range across all of it.
    for range in [0..4, size - 8..size, 5_000_000..5_000_100, 60..size - 10, 7..7] {
        let wanted =
            &file[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        assert!(reader.read(range.clone()).await.unwrap() == wanted, "{range:?}");
    }
    let before = traffic.bytes();
    let (first, second) = (4..3 << 20, 3 << 20..size);
    reader.prefetch(&[vec![first, second]]);
    // As a decoder goes: both columns, a page at a time.
    for page in 0..24 {
        for start in [4, 3 << 20] {
            let start = start + page * 131_072;
            let wanted = usize::try_from(start).unwrap();
            let read = reader.read(start..start + 131_000).await.unwrap();
            assert!(read == file[wanted..wanted + 131_000], "page {page} at {start}");
        }
    }
    let read = traffic.bytes() - before;
    assert!(read <= size, "{read} bytes for {size}: some were fetched twice");
}

#[tokio::test]
async fn many_columns_are_read_side_by_side_without_fetching_anything_twice() {
    // Ours counts what it sends, also of what nobody waited for.
    let server = Server::with_faults(&[]).await;
    let file = bytes(40 * MIB);
    let (reader, _) = reader(&server, &file, 8 << 20).await;
    for columns in [2, 12, 40] {
        let column_bytes = 38 * (MIB as u64) / columns;
        let starts = || (0..columns).map(|column| 4 + column * column_bytes);
        let chunks = starts().map(|start| start..start + column_bytes + 512).collect();
        reader.prefetch(&[chunks]);
        let before = server.emulator.as_ref().unwrap().bytes_sent();
        let page = 40_000;
        for page_start in (0..column_bytes - page).step_by(usize::try_from(page).unwrap()) {
            for start in starts() {
                let start = start + page_start;
                let read = reader.read(start..start + page).await.unwrap();
                let wanted = usize::try_from(start).unwrap();
                assert!(read == file[wanted..wanted + read.len()], "{columns} columns at {start}");
            }
        }
        let sent = server.emulator.as_ref().unwrap().bytes_sent() - before;
        assert!(sent <= file.len() as u64, "{columns} columns: {sent} bytes");
    }
}

#[tokio::test]
async fn what_is_read_later_leaves_the_room_to_what_is_read_first() {
    let server = Server::start().await;
    let file = bytes(5 * MIB);
    for name in ["0.parquet", "1.parquet"] {
        server.put(name, &file).await;
    }
    let bucket = server.bucket();
    let objects = server.list(&bucket).await.objects;
    let ahead = Arc::new(ReadAhead::new(4 << 20));
    ahead.expect_all();
    let traffics = [Arc::new(Traffic::default()), Arc::default()];
    let mut readers = objects.into_iter().zip(&traffics).map(|(object, traffic)| {
        let reader = ObjectReader::new(&bucket, object, &ahead, Arc::clone(traffic));
        reader.begin();
        reader
    });
    let (first, second) = (readers.next().unwrap(), readers.next().unwrap());
    let range = 4..file.len() as u64;
    let whole = [Vec::from([range])];
    second.prefetch(&whole);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(traffics[1].requests(), 2, "only its ends");
    first.prefetch(&whole);
    while traffics[0].bytes() < 3 << 20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(traffics[1].requests(), 2, "there is room for no more");
    for reader in [&first, &second] {
        assert!(reader.read(4..file.len() as u64).await.unwrap() == file[4..]);
    }
}

#[tokio::test]
async fn a_small_object_is_one_request() {
    let server = Server::start().await;
    let file = bytes(900_000);
    let (reader, traffic) = reader(&server, &file, 4 << 20).await;
    for range in [0..4, 899_992..900_000, 100..800_000] {
        reader.read(range).await.unwrap();
    }
    assert_eq!((traffic.requests(), traffic.bytes()), (1, 900_000));
}

#[tokio::test]
async fn a_changed_object_is_not_mixed_with_what_it_was() {
    let server = Server::start().await;
    let file = bytes(5 * MIB);
    let (reader, _) = reader(&server, &file, 4 << 20).await;
    reader.read(0..4).await.unwrap();
    let mut other = file;
    other[2_000_000] ^= 1;
    server.put("0.parquet", &other).await;
    let error = reader.read(2_000_000..2_000_010).await.unwrap_err();
    assert!(matches!(error.as_ref(), Error::Changed { .. }), "{error}");
}

#[tokio::test]
async fn a_fault_is_told_once_its_retries_are_over() {
    let server = Server::with_faults(&["tos-503"]).await;
    server.put("0.parquet", &bytes(5 * MIB)).await;
    let object = viking_fetch::RemoteObject {
        key: format!("{}/0.parquet", server.prefix),
        name: "0.parquet".to_owned(),
        size: 5 << 20,
        etag: None,
    };
    let reader = ObjectReader::new(
        &server.bucket(),
        object,
        &Arc::new(ReadAhead::new(4 << 20)),
        Arc::default(),
    );
    let read = tokio::time::timeout(Duration::from_secs(20), reader.read(0..4)).await.unwrap();
    assert_eq!(read.unwrap_err().class(), ErrorClass::Passing);
}
