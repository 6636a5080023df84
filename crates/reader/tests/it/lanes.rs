//! Several decoders of one file: what they print together is what one prints.

use std::ops::{ControlFlow, Range};

use bytes::Bytes;
use viking_reader::{Error, Input, PrintOptions, Printer};

use crate::arrays::Random;
use crate::handmade::{
    BYTE_ARRAY, CONVERTED, Chunk, Column, Data, File, INT32, PLAIN_BYTES, Page, SNAPPY, UTF8,
    dictionary, int32s, list_levels, texts,
};

const WORDS: [&str; 3] = ["one", "two", "three"];

/// Lists, texts of a dictionary and numbers, each cut into pages of its own. Lists are cut anywhere, and go on in the
/// next page.
struct Rows {
    lists: Vec<Vec<i32>>,
    random: Random,
}

impl Rows {
    fn new(count: usize, longest: usize) -> Self {
        let mut random = Random(count as u64);
        let mut next = 0;
        let mut list = || {
            let first = next;
            next += i32::try_from(random.below(longest + 1)).unwrap();
            (first..next).collect()
        };
        let lists = (0..count).map(|_| list()).collect();
        Self { lists, random }
    }

    fn lines(&self) -> String {
        let line = |(row, items): (usize, &Vec<i32>)| {
            let items: Vec<String> = items.iter().map(i32::to_string).collect();
            let word = WORDS[row % 3];
            format!("{{\"list\":[{}],\"word\":\"{word}\",\"row\":{row}}}\n", items.join(","))
        };
        self.lists.iter().enumerate().map(line).collect()
    }

    /// The pages of lists, about `page_values` values each.
    fn list_pages(&mut self, page_values: usize) -> Vec<Page> {
        let levels: Vec<(u8, u8)> =
            self.lists.iter().flat_map(|list| list_levels(list.len())).collect();
        let mut items = self.lists.iter().flatten().copied();
        let (mut pages, mut rest) = (Vec::new(), &levels[..]);
        while !rest.is_empty() {
            let count = 1 + self.random.below(page_values * 2);
            let page;
            (page, rest) = rest.split_at(count.min(rest.len()));
            let values = page.iter().filter(|(_, def)| *def == 3).count();
            let values = int32s(items.by_ref().take(values));
            pages.push(Data::plain(page.len(), values).levels(page).v1(SNAPPY));
        }
        pages
    }

    fn columns() -> Vec<Column> {
        vec![
            Column::list("list", INT32),
            Column::required("word", BYTE_ARRAY).with(CONVERTED, UTF8),
            Column::required("row", INT32),
        ]
    }

    fn chunks(&mut self, first: usize, page_values: usize) -> Vec<Chunk> {
        let rows = first..first + self.lists.len();
        let keys: Vec<u8> = rows.clone().map(|row| (row % 3).to_le_bytes()[0]).collect();
        let mut words = vec![dictionary(3, &texts(&WORDS), SNAPPY)];
        words.extend(keys.chunks(page_values).map(|keys| Data::keys(keys).v1(SNAPPY)));
        let numbers: Vec<i32> = rows.map(|row| i32::try_from(row).unwrap()).collect();
        let numbers = numbers.chunks(page_values * 3);
        let numbers = numbers.map(|page| Data::plain(page.len(), int32s(page.iter().copied())));
        let numbers = numbers.map(|page| page.v2(PLAIN_BYTES)).collect();
        vec![
            Chunk::new(SNAPPY, self.list_pages(page_values)),
            Chunk::new(SNAPPY, words),
            Chunk::new(PLAIN_BYTES, numbers),
        ]
    }

    /// A file whose row groups have so many rows, and one of fewer at the end.
    fn file(&mut self, group_rows: usize, page_values: usize) -> Bytes {
        let lists = std::mem::take(&mut self.lists);
        let mut groups = Vec::new();
        for (index, group) in lists.chunks(group_rows).enumerate() {
            self.lists = group.to_vec();
            groups.push(self.chunks(index * group_rows, page_values));
        }
        self.lists = lists;
        File::new(Self::columns(), groups).bytes()
    }
}

/// What so many threads print of some rows.
fn print(file: &Bytes, threads: usize, rows: (u64, Option<u64>)) -> (String, Result<(), Error>) {
    let options = PrintOptions::default()
        .with_threads(threads.try_into().unwrap())
        .with_offset(rows.0)
        .with_limit(rows.1);
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, options);
    let outcome = printer
        .print(&Input::new("f", file.clone()), &mut |_| ControlFlow::Continue(()))
        .and_then(|_| printer.finish())
        .map(drop);
    drop(printer);
    (String::from_utf8(out).unwrap(), outcome)
}

#[test]
fn lists_that_go_on_in_the_next_page_are_whole_with_any_number_of_decoders() {
    // Blocks are of 256 KiB, and each of the threads has some.
    for (longest, group_rows, page_values) in
        [(100, 30_000, 3_000), (100, 700, 1_000), (100, 5_000, 40), (3_000, 400, 1_000)]
    {
        let mut rows = Rows::new(if longest > 1_000 { 1_000 } else { 30_000 }, longest);
        let file = rows.file(group_rows, page_values);
        let lines = rows.lines();
        let case = format!("lists of up to {longest}, groups of {group_rows}, {page_values}");
        for threads in [1, 2, 4, 8, 16] {
            let (text, outcome) = print(&file, threads, (0, None));
            outcome.unwrap();
            assert!(text == lines, "{case}, {threads} threads");
        }
        let some: Vec<&str> = lines.split_inclusive('\n').skip(431).take(17_017).collect();
        for threads in [1, 8] {
            let (text, outcome) = print(&file, threads, (431, Some(17_017)));
            outcome.unwrap();
            assert!(text == some.concat(), "{case}, some rows, {threads} threads");
        }
    }
}

#[test]
fn whatever_is_damaged_ends_the_rows_as_it_does_with_one_decoder() {
    let mut rows = Rows::new(3_000, 300);
    let file = rows.file(1_250, 7_000);
    let lines = rows.lines();
    let mut damaged = 0;
    for _ in 0..300 {
        let mut bytes = file.to_vec();
        // Headers stand between pages, and levels at their starts.
        let starts = memchr::memmem::find_iter(&file, [0x15, 0x00, 0x15].as_slice());
        let starts: Vec<usize> = starts.collect();
        let place = starts[rows.random.below(starts.len())] + rows.random.below(60);
        let Some(byte) = bytes.get_mut(place) else { continue };
        *byte ^= 1 << rows.random.below(8);
        let bytes = Bytes::from(bytes);
        let (alone, outcome) = print(&bytes, 1, (0, None));
        let (text, with_lanes) = print(&bytes, 8, (0, None));
        damaged += usize::from(outcome.is_err());
        assert_eq!(
            with_lanes.is_err(),
            outcome.is_err(),
            "at {place}: {with_lanes:?} {outcome:?} {} {}",
            text == alone,
            text.len()
        );
        match (outcome, with_lanes) {
            (Err(outcome), Err(with_lanes)) => {
                // Which of its words the decoder says depends on the block.
                assert_eq!(with_lanes.class(), outcome.class(), "at {place}");
                // Blocks have other sizes.
                assert!(alone.starts_with(&text) || text.starts_with(&alone), "at {place}");
            }
            _ => assert!(text == alone, "at {place}"),
        }
    }
    assert!(damaged > 30, "{damaged}");
    assert!(print(&file, 8, (0, None)).0 == lines);
}

#[test]
fn a_row_more_than_the_footer_has_is_an_error_behind_the_others() {
    for group in 0..3 {
        let mut groups = Vec::new();
        for index in 0..3 {
            let rows = 100_000;
            let more = index == group;
            let page = |rows: Range<i32>| Data::plain(rows.len(), int32s(rows)).v1(PLAIN_BYTES);
            let (all, one) = (page(0..rows), page(rows..rows + 1));
            let right = if more { vec![all.clone(), one] } else { vec![all.clone()] };
            groups.push([vec![all], right].map(|pages| Chunk::new(PLAIN_BYTES, pages)).to_vec());
        }
        let columns = vec![Column::required("a", INT32), Column::required("b", INT32)];
        let file = File::new(columns, groups).bytes();
        for threads in [1, 8] {
            let (text, outcome) = print(&file, threads, (0, None));
            let message = outcome.map_or_else(|error| error.to_string(), |()| String::new());
            let case = format!("{threads} threads, group {group}: {message}");
            assert!(message.contains("more rows than its footer says"), "{case}");
            let lines: Vec<String> = (0..300_000)
                .map(|row| row % 100_000)
                .map(|row| format!("{{\"a\":{row},\"b\":{row}}}\n"))
                .collect();
            assert!(lines.concat().starts_with(&text), "{case}");
            assert!(text.is_empty() || text.ends_with('\n'), "{case}");
        }
    }
}
