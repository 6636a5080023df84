//! Parquet files made by hand, byte by byte: what other programs write, and what they should not have written.

use std::io::Read;

use bytes::Bytes;

/// Physical types.
pub(crate) const INT32: i32 = 1;
pub(crate) const INT64: i32 = 2;
pub(crate) const INT96: i32 = 3;
pub(crate) const BYTE_ARRAY: i32 = 6;
pub(crate) const FIXED_LEN_BYTE_ARRAY: i32 = 7;

/// Numbers of fields of a `SchemaElement`, for [`Column::with`].
pub(crate) const LENGTH: i16 = 2;
pub(crate) const CONVERTED: i16 = 6;
pub(crate) const PRECISION: i16 = 8;
const LOGICAL: i16 = 10;

/// Values of `ConvertedType`.
pub(crate) const UTF8: i32 = 0;
const LIST: i32 = 3;
pub(crate) const ENUM: i32 = 4;
pub(crate) const DECIMAL: i32 = 5;
pub(crate) const JSON: i32 = 19;

/// Values of `CompressionCodec`.
pub(crate) const PLAIN_BYTES: i32 = 0;
pub(crate) const SNAPPY: i32 = 1;
pub(crate) const GZIP: i32 = 2;
pub(crate) const LZ4: i32 = 5;

/// Values of `FieldRepetitionType`.
const REQUIRED: i32 = 0;
const OPTIONAL: i32 = 1;
const REPEATED: i32 = 2;

/// Values of `Encoding`.
const PLAIN: i32 = 0;
const RLE: i32 = 3;
const RLE_DICTIONARY: i32 = 8;

/// Types of Thrift's compact protocol.
const I32_FIELD: u8 = 5;
const I64_FIELD: u8 = 6;
const BINARY_FIELD: u8 = 8;
const LIST_FIELD: u8 = 9;
const STRUCT_FIELD: u8 = 12;

/// A struct in Thrift's compact protocol.
#[derive(Clone, Default)]
pub(crate) struct Thrift(Vec<(i16, Value)>);

#[derive(Clone)]
enum Value {
    /// The type, and the encoded value.
    Encoded(u8, Vec<u8>),
    Struct(Thrift),
    Structs(Vec<Thrift>),
}

/// Fields that every struct of a file gets and that no version of the format has.
#[derive(Clone, Copy)]
pub(crate) enum Unknown {
    None,
    Values,
    Flags,
}

impl Thrift {
    fn with(mut self, number: i16, value: Value) -> Self {
        self.0.push((number, value));
        self
    }

    pub(crate) fn flag(self, number: i16, flag: bool) -> Self {
        self.with(number, Value::Encoded(if flag { 1 } else { 2 }, Vec::new()))
    }

    pub(crate) fn i32(self, number: i16, value: i32) -> Self {
        self.with(number, Value::Encoded(I32_FIELD, zigzag(value.into())))
    }

    pub(crate) fn i64(self, number: i16, value: i64) -> Self {
        self.with(number, Value::Encoded(I64_FIELD, zigzag(value)))
    }

    pub(crate) fn binary(self, number: i16, bytes: &[u8]) -> Self {
        self.with(number, Value::Encoded(BINARY_FIELD, binary(bytes)))
    }

    fn list(self, number: i16, kind: u8, items: &[Vec<u8>]) -> Self {
        self.with(number, Value::Encoded(LIST_FIELD, list(kind, items)))
    }

    fn inner(self, number: i16, value: Self) -> Self {
        self.with(number, Value::Struct(value))
    }

    fn structs(self, number: i16, values: Vec<Self>) -> Self {
        self.with(number, Value::Structs(values))
    }

    fn encode(&self, unknown: Unknown) -> Vec<u8> {
        let more = unknown.fields();
        let (mut out, mut last) = (Vec::new(), 0_i16);
        for (number, value) in self.0.iter().chain(more.iter()) {
            let (kind, bytes) = match value {
                Value::Encoded(kind, bytes) => (*kind, bytes.clone()),
                Value::Struct(inner) => (STRUCT_FIELD, inner.encode(unknown)),
                Value::Structs(items) => {
                    let items: Vec<_> = items.iter().map(|item| item.encode(unknown)).collect();
                    (LIST_FIELD, list(STRUCT_FIELD, &items))
                }
            };
            if let Ok(delta @ 1..=15) = u8::try_from(*number - last) {
                out.push((delta << 4) | kind);
            } else {
                out.push(kind);
                out.extend(zigzag(i64::from(*number)));
            }
            out.extend(bytes);
            last = *number;
        }
        out.push(0);
        out
    }
}

impl Unknown {
    fn fields(self) -> Vec<(i16, Value)> {
        if matches!(self, Self::None) {
            return Vec::new();
        }
        let inner = Thrift::default().flag(1, true).i32(2, -1).binary(40, b"inside");
        let inner = inner.encode(Self::None);
        let value = |number: i16, kind: u8, bytes: Vec<u8>| (number, Value::Encoded(kind, bytes));
        match self {
            Self::None => Vec::new(),
            Self::Values => vec![
                value(300, 3, vec![0xff]),
                value(301, 4, zigzag(-300)),
                value(302, I32_FIELD, zigzag(1 << 30)),
                value(303, I64_FIELD, zigzag(i64::MIN)),
                value(304, 7, vec![0xee; 8]),
                value(305, BINARY_FIELD, binary(&[0xfe; 300])),
                value(306, LIST_FIELD, list(I64_FIELD, &vec![zigzag(77); 20])),
                value(330, LIST_FIELD, list(STRUCT_FIELD, &[inner.clone(), inner.clone()])),
                value(331, 10, list(BINARY_FIELD, &[binary(b"a"), binary(b"")])),
                value(332, STRUCT_FIELD, inner),
            ],
            Self::Flags => vec![value(300, 1, Vec::new()), value(301, 2, Vec::new())],
        }
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
    out
}

fn zigzag(value: i64) -> Vec<u8> {
    varint(((value << 1) ^ (value >> 63)).cast_unsigned())
}

fn binary(bytes: &[u8]) -> Vec<u8> {
    let mut out = varint(bytes.len() as u64);
    out.extend(bytes);
    out
}

fn list(kind: u8, items: &[Vec<u8>]) -> Vec<u8> {
    let mut out = match u8::try_from(items.len()) {
        Ok(count @ 0..=14) => vec![(count << 4) | kind],
        _ => [vec![0xf0 | kind], varint(items.len() as u64)].concat(),
    };
    out.extend(items.concat());
    out
}

fn int(number: usize) -> i32 {
    i32::try_from(number).unwrap()
}

fn long(number: usize) -> i64 {
    i64::try_from(number).unwrap()
}

/// Runs of equal levels or keys of up to eight bits.
fn runs(values: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for run in values.chunk_by(|a, b| a == b) {
        out.extend(varint((run.len() as u64) << 1));
        out.push(run[0]);
    }
    out
}

/// `BYTE_ARRAY`s in the plain encoding.
pub(crate) fn texts<T: AsRef<[u8]>>(values: &[T]) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        let text: &[u8] = value.as_ref();
        out.extend_from_slice(&int(text.len()).to_le_bytes());
        out.extend_from_slice(text);
    }
    out
}

/// `INT32`s in the plain encoding.
pub(crate) fn int32s(values: impl IntoIterator<Item = i32>) -> Vec<u8> {
    values.into_iter().flat_map(i32::to_le_bytes).collect()
}

fn compress(codec: i32, plain: &[u8]) -> Vec<u8> {
    match codec {
        PLAIN_BYTES => plain.to_vec(),
        SNAPPY => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
        // As Hadoop does it: blocks of 1000 bytes here, with two sizes in front of each.
        LZ4 => {
            let mut out = Vec::new();
            for block in plain.chunks(1000) {
                let compressed = lz4_flex::block::compress(block);
                out.extend(int(block.len()).to_be_bytes());
                out.extend(int(compressed.len()).to_be_bytes());
                out.extend(compressed);
            }
            // A stream that is ended without bytes left gets one more block.
            out.extend([0; 4]);
            out
        }
        // In the frame of zlib, as some writers do it.
        GZIP => {
            let mut out = Vec::new();
            flate2::read::ZlibEncoder::new(plain, flate2::Compression::fast())
                .read_to_end(&mut out)
                .unwrap();
            out
        }
        other => panic!("no codec {other}"),
    }
}

/// One top-level column with one leaf.
#[derive(Clone)]
pub(crate) struct Column {
    /// Its schema elements, the leaf last.
    elements: Vec<Thrift>,
    path: Vec<String>,
    physical: i32,
}

impl Column {
    fn flat(name: &str, physical: i32, repetition: i32) -> Self {
        let elements = vec![leaf(name, physical, repetition)];
        Self { elements, path: vec![name.to_owned()], physical }
    }

    pub(crate) fn required(name: &str, physical: i32) -> Self {
        Self::flat(name, physical, REQUIRED)
    }

    pub(crate) fn optional(name: &str, physical: i32) -> Self {
        Self::flat(name, physical, OPTIONAL)
    }

    /// A list in three levels, which may be null as its items may.
    pub(crate) fn list(name: &str, physical: i32) -> Self {
        let elements = vec![
            group(name, OPTIONAL, 1).i32(CONVERTED, LIST),
            group("list", REPEATED, 1),
            leaf("element", physical, OPTIONAL),
        ];
        let path = [name, "list", "element"].map(str::to_owned).to_vec();
        Self { elements, path, physical }
    }

    /// A leaf `levels` deep: `c1` is the top-level column.
    pub(crate) fn nested(levels: usize) -> Self {
        let path: Vec<String> = (1..=levels).map(|level| format!("c{level}")).collect();
        let groups = path[..levels - 1].iter().map(|name| group(name, OPTIONAL, 1));
        let elements = groups.chain([leaf(&path[levels - 1], INT32, OPTIONAL)]).collect();
        Self { elements, path, physical: INT32 }
    }

    /// No leaf at all.
    pub(crate) fn group_without_members(name: &str) -> Self {
        Self { elements: vec![group(name, OPTIONAL, 0)], path: Vec::new(), physical: INT32 }
    }

    /// Sets the logical type of the leaf's schema element: a union, of which this is the member.
    pub(crate) fn logical(mut self, member: i16) -> Self {
        let leaf = self.elements.pop().unwrap();
        let kind = Thrift::default().inner(member, Thrift::default());
        self.elements.push(leaf.inner(LOGICAL, kind));
        self
    }

    /// Sets a number of the leaf's schema element.
    pub(crate) fn with(mut self, field: i16, value: i32) -> Self {
        let leaf = self.elements.pop().unwrap();
        self.elements.push(leaf.i32(field, value));
        self
    }
}

fn leaf(name: &str, physical: i32, repetition: i32) -> Thrift {
    Thrift::default().i32(1, physical).i32(3, repetition).binary(4, name.as_bytes())
}

fn group(name: &str, repetition: i32, children: i32) -> Thrift {
    Thrift::default().i32(3, repetition).binary(4, name.as_bytes()).i32(5, children)
}

/// What a data page holds, before it becomes a page of version 1 or 2.
#[derive(Clone)]
pub(crate) struct Data {
    /// As a header of version 2 states them.
    pub(crate) nulls: i32,
    pub(crate) rows: i32,
    pub(crate) statistics: Option<Thrift>,
    /// Nulls and empty lists among them.
    count: usize,
    rep: Vec<u8>,
    def: Vec<u8>,
    encoding: i32,
    values: Vec<u8>,
}

impl Data {
    fn new(count: usize, encoding: i32, values: Vec<u8>) -> Self {
        let (rep, def) = (Vec::new(), Vec::new());
        let (nulls, rows, statistics) = (0, int(count), None);
        Self { nulls, rows, statistics, count, rep, def, encoding, values }
    }

    pub(crate) fn plain(count: usize, values: Vec<u8>) -> Self {
        Self::new(count, PLAIN, values)
    }

    /// Keys of a dictionary.
    pub(crate) fn keys(keys: &[u8]) -> Self {
        Self::new(keys.len(), RLE_DICTIONARY, [vec![8], runs(keys)].concat())
    }

    /// The values are those of the rows that are valid.
    pub(crate) fn optional(mut self, valid: &[bool]) -> Self {
        self.def = valid.iter().map(|&valid| u8::from(valid)).collect();
        self.count = valid.len();
        self.rows = int(valid.len());
        self.nulls = int(valid.iter().filter(|valid| !**valid).count());
        self
    }

    /// The values are the items of lists of these lengths.
    pub(crate) fn lists(self, lengths: &[usize]) -> Self {
        let levels: Vec<(u8, u8)> =
            lengths.iter().flat_map(|&length| list_levels(length)).collect();
        self.levels(&levels)
    }

    /// The values are those of items with these repetition and definition levels.
    pub(crate) fn levels(mut self, levels: &[(u8, u8)]) -> Self {
        (self.rep, self.def) = levels.iter().copied().unzip();
        self.count = levels.len();
        self.rows = int(levels.iter().filter(|(rep, _)| *rep == 0).count());
        self.nulls = int(levels.iter().filter(|(_, def)| *def < 3).count());
        self
    }

    pub(crate) fn v1(&self, codec: i32) -> Page {
        let mut plain = Vec::new();
        for levels in [&self.rep, &self.def].into_iter().filter(|levels| !levels.is_empty()) {
            let levels = runs(levels);
            plain.extend(int(levels.len()).to_le_bytes());
            plain.extend(levels);
        }
        plain.extend(&self.values);
        let header = Thrift::default().i32(1, int(self.count)).i32(2, self.encoding);
        let header = header.i32(3, RLE).i32(4, RLE);
        let body = compress(codec, &plain);
        self.page((0, 5), header, plain.len(), body)
    }

    pub(crate) fn v2(&self, codec: i32) -> Page {
        let (rep, def) = (runs(&self.rep), runs(&self.def));
        let plain_bytes = rep.len() + def.len() + self.values.len();
        let header = Thrift::default().i32(1, int(self.count)).i32(2, self.nulls);
        let header = header.i32(3, self.rows).i32(4, self.encoding).i32(5, int(def.len()));
        let header = header.i32(6, int(rep.len())).flag(7, codec != PLAIN_BYTES);
        let body = [rep, def, compress(codec, &self.values)].concat();
        self.page((3, 8), header, plain_bytes, body)
    }

    /// Page headers of both versions have statistics in the field whose number they have themselves.
    fn page(&self, (kind, number): (i32, i16), inner: Thrift, plain: usize, body: Vec<u8>) -> Page {
        let inner = match &self.statistics {
            Some(statistics) => inner.inner(number, statistics.clone()),
            None => inner,
        };
        let header = page_header(kind, plain, body.len()).inner(number, inner);
        let rows = match self.rep.len() {
            0 => self.count,
            _ => self.rep.iter().map(|level| usize::from(*level == 0)).sum(),
        };
        Page { header, body, plain_bytes: plain, values: self.count, rows, is_dictionary: false }
    }
}

/// The levels of a list of some items, which may be null and are not.
pub(crate) fn list_levels(length: usize) -> impl Iterator<Item = (u8, u8)> {
    let def = if length == 0 { 1 } else { 3 };
    (0..length.max(1)).map(move |item| (u8::from(item > 0), def))
}

fn page_header(kind: i32, plain_bytes: usize, bytes: usize) -> Thrift {
    Thrift::default().i32(1, kind).i32(2, int(plain_bytes)).i32(3, int(bytes))
}

/// A page as it stands in the file.
#[derive(Clone)]
pub(crate) struct Page {
    header: Thrift,
    body: Vec<u8>,
    plain_bytes: usize,
    values: usize,
    rows: usize,
    is_dictionary: bool,
}

/// A page of a dictionary.
pub(crate) fn dictionary(count: usize, values: &[u8], codec: i32) -> Page {
    let (body, plain_bytes) = (compress(codec, values), values.len());
    let header = Thrift::default().i32(1, int(count)).i32(2, PLAIN);
    let header = page_header(2, plain_bytes, body.len()).inner(7, header);
    Page { header, body, plain_bytes, values: 0, rows: 0, is_dictionary: true }
}

/// A page of an index, which the format reserves.
pub(crate) fn index_page() -> Page {
    let (body, plain_bytes) = (vec![0xab; 40], 40);
    let header = page_header(1, plain_bytes, body.len()).inner(6, Thrift::default());
    Page { header, body, plain_bytes, values: 0, rows: 0, is_dictionary: false }
}

/// What a footer says of the place of a dictionary.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DictionaryOffset {
    /// Where it is, if there is one.
    Right,
    /// 0; the first page counts as one of data.
    Zero,
    /// Nothing; the first page counts as one of data.
    Missing,
}

/// One column of one row group.
#[derive(Clone)]
pub(crate) struct Chunk {
    pub(crate) dictionary_offset: DictionaryOffset,
    pub(crate) is_encrypted: bool,
    pub(crate) statistics: Option<Thrift>,
    codec: i32,
    pages: Vec<Page>,
}

impl Chunk {
    pub(crate) fn new(codec: i32, pages: Vec<Page>) -> Self {
        let dictionary_offset = DictionaryOffset::Right;
        Self { dictionary_offset, is_encrypted: false, statistics: None, codec, pages }
    }

    fn rows(&self) -> i64 {
        self.pages.iter().map(|page| long(page.rows)).sum()
    }

    /// Writes the pages and returns the `ColumnChunk` of the footer.
    fn write(&self, column: &Column, unknown: Unknown, out: &mut Vec<u8>) -> Thrift {
        let (start, mut second, mut plain_bytes) = (out.len(), None, 0);
        for page in &self.pages {
            let header = page.header.encode(unknown);
            plain_bytes += header.len() + page.plain_bytes;
            out.extend(header);
            out.extend(&page.body);
            second.get_or_insert(out.len());
        }
        let has_dictionary = self.pages.first().is_some_and(|page| page.is_dictionary);
        let (data, dictionary) = match self.dictionary_offset {
            DictionaryOffset::Right if has_dictionary => (second.unwrap_or(start), Some(start)),
            DictionaryOffset::Zero => (start, Some(0)),
            DictionaryOffset::Right | DictionaryOffset::Missing => (start, None),
        };
        let path: Vec<_> = column.path.iter().map(|name| binary(name.as_bytes())).collect();
        let values = self.pages.iter().map(|page| long(page.values)).sum();
        let mut metadata = Thrift::default()
            .i32(1, column.physical)
            .list(2, I32_FIELD, &[zigzag(PLAIN.into()), zigzag(RLE.into())])
            .list(3, BINARY_FIELD, &path)
            .i32(4, self.codec)
            .i64(5, values)
            .i64(6, long(plain_bytes))
            .i64(7, long(out.len() - start))
            .i64(9, long(data));
        if let Some(offset) = dictionary {
            metadata = metadata.i64(11, long(offset));
        }
        if let Some(statistics) = &self.statistics {
            metadata = metadata.inner(12, statistics.clone());
        }
        let chunk = Thrift::default().i64(2, long(start)).inner(3, metadata);
        if self.is_encrypted {
            // A union: with the key of the footer.
            return chunk.inner(8, Thrift::default().inner(1, Thrift::default()));
        }
        chunk
    }
}

/// A whole file.
#[derive(Clone)]
pub(crate) struct File {
    /// All rows, as the footer states them.
    pub(crate) rows: Option<i64>,
    pub(crate) arrow_schema: Option<String>,
    /// Bytes between the data and the footer.
    pub(crate) gap: usize,
    pub(crate) unknown: Unknown,
    columns: Vec<Column>,
    groups: Vec<Vec<Chunk>>,
}

impl File {
    /// Each row group has a chunk for each column.
    pub(crate) fn new(columns: Vec<Column>, groups: Vec<Vec<Chunk>>) -> Self {
        let rows = groups.iter().map(|chunks| chunks.first().map_or(0, Chunk::rows)).sum();
        let (arrow_schema, gap, unknown) = (None, 0, Unknown::None);
        Self { rows: Some(rows), arrow_schema, gap, unknown, columns, groups }
    }

    /// One column in one row group.
    pub(crate) fn of(column: Column, chunk: Chunk) -> Self {
        Self::new(vec![column], vec![vec![chunk]])
    }

    pub(crate) fn bytes(&self) -> Bytes {
        let mut out = b"PAR1".to_vec();
        let mut groups = Vec::new();
        for chunks in &self.groups {
            let rows = chunks.first().map_or(0, Chunk::rows);
            let columns = self.columns.iter().zip(chunks);
            let columns: Vec<_> = columns
                .map(|(column, chunk)| chunk.write(column, self.unknown, &mut out))
                .collect();
            groups.push(Thrift::default().structs(1, columns).i64(2, 0).i64(3, rows));
        }
        out.resize(out.len() + self.gap, b' ');
        let footer = self.footer(groups).encode(self.unknown);
        out.extend(&footer);
        out.extend(int(footer.len()).to_le_bytes());
        out.extend(b"PAR1");
        out.into()
    }

    fn footer(&self, groups: Vec<Thrift>) -> Thrift {
        let root = Thrift::default().binary(4, b"root").i32(5, int(self.columns.len()));
        let elements = self.columns.iter().flat_map(|column| column.elements.clone());
        let elements = std::iter::once(root).chain(elements).collect();
        let mut footer = Thrift::default().i32(1, 1).structs(2, elements);
        if let Some(rows) = self.rows {
            footer = footer.i64(3, rows);
        }
        footer = footer.structs(4, groups);
        if let Some(schema) = &self.arrow_schema {
            let pair = Thrift::default().binary(1, b"ARROW:schema").binary(2, schema.as_bytes());
            footer = footer.structs(5, vec![pair]);
        }
        footer.binary(6, b"made by hand")
    }
}
