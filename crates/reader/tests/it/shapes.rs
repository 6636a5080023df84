//! Files whose rows take far more than their footers let expect.

use bytes::Bytes;

use crate::handmade::{
    BYTE_ARRAY, CONVERTED, Chunk, Column, Data, File, INT32, PLAIN_BYTES, SNAPPY, UTF8, dictionary,
    int32s, texts,
};

fn text_rows<'a>(rows: impl Iterator<Item = &'a String>) -> String {
    rows.map(|text| format!("{{\"t\":\"{text}\"}}\n")).collect()
}

/// Files, and how they are printed, whose rows take far more than an average row of the footer.
pub(crate) fn shapes_within_memory() -> [(&'static str, Bytes, String); 2] {
    let words = ["a", "b", "c"].map(|letter| letter.repeat(10_000));
    let keys: Vec<u8> = (0..4_000_usize).map(|row| (row % 3).to_le_bytes()[0]).collect();
    let mut pages = vec![dictionary(3, &texts(&words), SNAPPY)];
    pages.extend(keys.chunks(1_000).map(|keys| Data::keys(keys).v1(SNAPPY)));
    let column = Column::required("t", BYTE_ARRAY).with(CONVERTED, UTF8);
    let repeated = File::of(column, Chunk::new(SNAPPY, pages)).bytes();
    let repeated_text = text_rows(keys.iter().map(|key| &words[usize::from(*key)]));
    let items = |count: i32| (0..count).map(|number| number % 1_000);
    let short = Data::plain(2_000, int32s(items(2_000))).lists(&[1; 2_000]).v1(PLAIN_BYTES);
    let long = Data::plain(200_000, int32s(items(200_000))).lists(&[200_000]).v1(PLAIN_BYTES);
    let pages = [vec![short], vec![long; 20]].concat();
    let lists = File::of(Column::list("v", INT32), Chunk::new(PLAIN_BYTES, pages)).bytes();
    let short: String = items(2_000).map(|item| format!("{{\"v\":[{item}]}}\n")).collect();
    let long: Vec<String> = items(200_000).map(|item| item.to_string()).collect();
    let lists_text = short + &format!("{{\"v\":[{}]}}\n", long.join(",")).repeat(20);
    [("repeated texts", repeated, repeated_text), ("short, then long", lists, lists_text)]
}

/// A page of 3 MiB, a row of 3 MiB in one value, and one in 300 values of a dictionary.
pub(crate) fn shapes_beyond_memory() -> [(&'static str, Bytes, String); 3] {
    let column = Column::required("t", BYTE_ARRAY).with(CONVERTED, UTF8);
    let many = vec!["x".repeat(1020); 3 << 10];
    let page = Data::plain(many.len(), texts(&many)).v1(PLAIN_BYTES);
    let page = File::of(column.clone(), Chunk::new(PLAIN_BYTES, vec![page])).bytes();
    let one = ["y".repeat(3 << 20)];
    let row = Data::plain(1, texts(&one)).v1(PLAIN_BYTES);
    let row = File::of(column, Chunk::new(PLAIN_BYTES, vec![row])).bytes();
    let word = ["z".repeat(10_000)];
    let keys = Data::keys(&[0; 300]).lists(&[300]).v1(PLAIN_BYTES);
    let pages = vec![dictionary(1, &texts(&word), PLAIN_BYTES), keys];
    let column = Column::list("t", BYTE_ARRAY).with(CONVERTED, UTF8);
    let list = File::of(column, Chunk::new(PLAIN_BYTES, pages)).bytes();
    let items = vec![format!("\"{}\"", word[0]); 300].join(",");
    [
        ("a long page", page, text_rows(many.iter())),
        ("a long value", row, text_rows(one.iter())),
        ("a long list", list, format!("{{\"t\":[{items}]}}\n")),
    ]
}
