//! [`Printer`]: many files as one ordered stream of JSON Lines.

use std::collections::HashSet;
use std::io::Write;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_schema::SchemaRef;

use crate::ahead::{Ahead, Small, memory_beside};
use crate::batch::{BatchReader, ReadOptions};
use crate::compare::first_difference;
use crate::error::Error;
use crate::footer::{Footer, damaged};
use crate::ipc::ArrowStream;
use crate::json::{JsonExport, Members, compact, write_compact};
use crate::jsonl::{Counts, Hints, JsonLines, JsonOptions, Nulls};
use crate::memory::{Excess, ExcessKind, Plan};
use crate::names;
use crate::options::{Choice, PrintFormat, PrintOptions, StreamLists};
use crate::parallel;
use crate::part::Part;
use crate::source::{FileKind, Input};
use crate::vectors::{self, list_sizes};
use crate::write::{Frame, ROW_END_IN_ARRAY, RowWriter};

/// How far a [`Printer`] is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that the output has taken.
    pub bytes_written: u64,
    /// Rows printed, those still in the buffer included.
    pub rows: u64,
}

/// The rows of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileRows {
    /// Rows the file has: by its footer, or counted for a JSON export that was read to its end.
    pub rows: Option<u64>,
    /// Rows printed.
    pub printed: u64,
    /// Rows left out at the start, for [`PrintOptions::offset`].
    pub skipped: u64,
    /// The largest page or row that took more than there was of [`PrintOptions::memory_bytes`].
    pub excess: Option<Excess>,
    /// The number of rows that the footer states for the whole file, where it has others.
    pub other_total: Option<u64>,
}

/// Announces to the source of a file whose turn comes later what printing all of its rows will read. Reads its footer;
/// what is wrong with the file is told again when it is printed.
pub fn announce(file: &Input, options: &PrintOptions) -> Result<(), Error> {
    // The end of a Parquet file may be here before its start is.
    match Footer::read(file) {
        Ok(footer) => {
            let columns = Choice::of(options).columns(file.name(), footer.schema())?;
            let groups = Part::of(&footer, 0..footer.rows()).groups;
            file.source().prefetch(&footer.column_chunks(groups, &columns));
        }
        Err(_) if FileKind::of(file)? == FileKind::Json => drop(JsonExport::new(file)),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Prints files one after the other as JSON Lines, with one limit and one offset over all of them.
///
/// ```
/// use std::ops::ControlFlow;
/// use viking_reader::{Input, PrintOptions, Printer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/collections/example");
/// let mut lines = Vec::new();
/// let options = PrintOptions::default().with_limit(3);
/// let mut printer = Printer::new(&mut lines, options);
/// for name in ["1.parquet", "2.parquet"] {
///     let path = format!("{folder}/{name}");
///     printer.print(&Input::open(path.as_ref())?, &mut |_| ControlFlow::Continue(()))?;
/// }
/// printer.finish()?;
/// assert_eq!(lines.iter().filter(|&&byte| byte == b'\n').count(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Printer<W: Write> {
    writer: RowWriter<W>,
    stream: Option<ArrowStream>,
    options: PrintOptions,
    /// That of the last file, whose columns the next may share.
    footer: Option<Footer>,
    /// The columns of the files so far.
    schema: Option<SchemaRef>,
    skip: u64,
    left: Option<u64>,
    rows: u64,
    counts: Counts,
    hints: Option<Hints>,
    json_keys: JsonKeys,
    ahead: Option<Ahead>,
}

/// Told how far the printing is; a break ends it.
type Each<'a> = dyn FnMut(Progress) -> ControlFlow<()> + Send + 'a;

/// Rows of JSON that are longer are written piece by piece.
const LONG_ROW_BYTES: usize = 1 << 20;

/// So many keys that nobody asked for are kept, to name them in a message.
const KEYS_KEPT: usize = 100;

/// No key that is longer is kept for that.
const KEY_BYTES_KEPT: usize = 1 << 10;

/// Keys of the rows of JSON exports, which may leave out what is null.
#[derive(Debug)]
struct JsonKeys {
    /// The last export, for errors.
    file: String,
    /// No export was left before its end.
    is_whole: bool,
    seen: HashSet<String>,
}

impl<W: Write + Send> Printer<W> {
    /// Prints to `out`, in pieces of whole rows.
    pub fn new(out: W, options: PrintOptions) -> Self {
        Self {
            writer: RowWriter::new(
                out,
                match options.format {
                    PrintFormat::JsonArray => Frame::Array,
                    PrintFormat::JsonLines | PrintFormat::ArrowStream => Frame::Rows,
                },
            ),
            stream: None,
            footer: None,
            schema: None,
            skip: options.offset,
            left: options.limit,
            rows: 0,
            counts: Counts::default(),
            hints: None,
            json_keys: JsonKeys { file: String::new(), is_whole: true, seen: HashSet::new() },
            ahead: None,
            options,
        }
    }

    /// Prints the rows of one file. `each` is called after every batch and ends the file early with a break.
    /// Rows before a failure are still written.
    pub fn print(
        &mut self,
        file: &Input,
        each: &mut (dyn FnMut(Progress) -> ControlFlow<()> + Send),
    ) -> Result<FileRows, Error> {
        let before = self.rows;
        let small = self.ahead.as_mut().and_then(|ahead| ahead.take(file));
        let outcome = match FileKind::of(file) {
            Ok(FileKind::Parquet) if small.is_some() => self.print_small(file.name(), small, each),
            Ok(FileKind::Parquet) => self.print_parquet(file, each),
            Ok(FileKind::Json) => self.print_json(file, each),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(file) => Ok(FileRows { printed: self.rows - before, ..file }),
            Err(error @ Error::Write(_)) => Err(error),
            Err(error) => {
                self.writer.flush()?;
                Err(error)
            }
        }
    }

    /// Whether [`Self::prepare`] takes another file.
    pub fn can_prepare(&self) -> bool {
        let is_whole = self.skip == 0 && self.left.is_none();
        let is_text = self.options.format != PrintFormat::ArrowStream;
        let has_room = self.ahead.as_ref().is_none_or(Ahead::has_room);
        is_whole && is_text && has_room && self.options.threads.get() > 1
    }

    /// Begins to encode a file whose turn comes later, if it is small. Files are printed in the order in which
    /// they were given here, from the same sources; others may be printed between them.
    pub fn prepare(&mut self, file: &Input) {
        if self.can_prepare() {
            let (row_end, options) = (self.row_end(), &self.options);
            self.ahead.get_or_insert_with(|| Ahead::new(options, row_end)).add(file);
        }
    }

    /// Whether the limit is reached, so that no file behind can add a row.
    pub fn is_done(&self) -> bool {
        self.left == Some(0)
    }

    /// How far the printing is.
    pub fn progress(&self) -> Progress {
        Progress { bytes_written: self.writer.bytes_written(), rows: self.rows }
    }

    /// Values printed as something else than themselves.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Un-annotated binary columns whose first batch holds only valid UTF-8.
    pub fn text_like_columns(&self) -> &[String] {
        self.hints.as_ref().map_or(&[], |hints| &hints.text_like)
    }

    /// Lists of f64 whose first values are f32: worth a hint at [`PrintOptions::narrow_floats`].
    pub fn f32_like_columns(&self) -> &[String] {
        self.hints.as_ref().map_or(&[], |hints| &hints.f32_like)
    }

    /// Writes what is in the buffer, so that no row waits for the next file.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.writer.flush()
    }

    /// Writes what is left in the buffer and what closes the format, and flushes the output. A column
    /// that was asked for and that no row of any JSON export has is an error here.
    pub fn finish(&mut self) -> Result<Progress, Error> {
        if let Some(stream) = &mut self.stream {
            stream.finish()?;
            self.writer.write(stream.bytes())?;
        }
        self.writer.finish()?;
        let JsonKeys { file, is_whole, seen } = &self.json_keys;
        let asked = self.options.columns.iter().flatten().chain(&self.options.drop);
        let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
        match names::resolve(asked, &seen) {
            Err(column) if *is_whole && !seen.is_empty() => {
                Err(Error::unknown_column(file, column, seen.into_iter()))
            }
            _ => Ok(self.progress()),
        }
    }

    fn print_small(
        &mut self,
        file: &str,
        small: Option<Small>,
        each: &mut Each<'_>,
    ) -> Result<FileRows, Error> {
        let Some(mut small) = small else { return Ok(FileRows::default()) };
        self.compare_schema(file, small.footer.schema(), &small.columns)?;
        if let (None, Some(hints)) = (&self.hints, small.hints) {
            self.hints = Some(hints);
        }
        self.writer.write(&small.text)?;
        if let Some(ahead) = &self.ahead {
            ahead.take_back(std::mem::take(&mut small.text));
        }
        self.counts += small.counts;
        self.count_rows(small.rows);
        if let Some(failure) = small.failure {
            return Err(failure);
        }
        // It is printed to its end either way.
        let _: ControlFlow<()> = each(self.progress());
        Ok(FileRows {
            rows: Some(small.footer.rows()),
            excess: small.excess,
            other_total: small.footer.other_total(),
            ..FileRows::default()
        })
    }

    fn print_parquet(&mut self, file: &Input, each: &mut Each<'_>) -> Result<FileRows, Error> {
        let footer = Footer::read_after(self.footer.as_ref(), file)?;
        self.footer = Some(footer.clone());
        let columns = Choice::of(&self.options).columns(file.name(), footer.schema())?;
        self.compare_schema(file.name(), footer.schema(), &columns)?;
        let options = &self.options;
        let rows = footer.rows();
        let read = ReadOptions {
            batch_rows: options.batch_rows,
            columns: None,
            offset: self.skip.min(rows),
            limit: self.left,
            narrow_floats: options.narrow_floats,
        };
        self.skip -= read.offset;
        let wanted = self.left.unwrap_or(u64::MAX).min(rows - read.offset);
        let batch_rows = options.batch_rows;
        let is_alone = !self.ahead.as_ref().is_some_and(Ahead::is_busy);
        let bytes =
            if is_alone { options.memory_bytes } else { memory_beside(options.memory_bytes) };
        let is_stream = options.format == PrintFormat::ArrowStream;
        let plan = if is_stream {
            Plan::stream(&footer, &columns, batch_rows, bytes)
        } else {
            Plan::new(&footer, &columns, wanted, batch_rows, options.threads, bytes)
        };
        let (memory, other_total) = (Arc::clone(&plan.memory), footer.other_total());
        let reader = BatchReader::planned(file, footer, &columns, &read, &plan)?;
        if is_stream {
            self.print_stream(file.name(), reader, each)?;
        } else {
            self.print_lines(file.name(), reader, plan.threads, each)?;
        }
        let (rows, skipped, excess) = (Some(rows), read.offset, memory.excess());
        Ok(FileRows { rows, printed: 0, skipped, excess, other_total })
    }

    fn print_lines(
        &mut self,
        file: &str,
        reader: BatchReader,
        threads: NonZeroUsize,
        each: &mut Each<'_>,
    ) -> Result<(), Error> {
        let lines = JsonLines::new(file, reader.schema(), &self.options.json)?;
        let lines = lines.with_row_end(self.row_end());
        parallel::encode(reader, &lines, threads, &mut |text| {
            if let (None, Some(hints)) = (&self.hints, text.hints) {
                self.hints = Some(hints);
            }
            self.writer.write(text.bytes)?;
            self.counts += text.counts;
            self.count_rows(text.rows);
            Ok(each(self.progress()))
        })
    }

    fn print_stream(
        &mut self,
        file: &str,
        mut reader: BatchReader,
        each: &mut Each<'_>,
    ) -> Result<(), Error> {
        let mut row = reader.rows().start;
        let first = reader.next().transpose()?;
        // A file whose rows are all left out does not say how long lists are: it is the schema of a stream without rows.
        if self.stream.as_ref().is_none_or(|stream| stream.is_empty && first.is_some()) {
            let sizes = match &first {
                Some(first) if self.options.stream_lists == StreamLists::FixedSize => {
                    list_sizes(&reader, first)
                }
                _ => vec![None; reader.schema().fields().len()],
            };
            self.stream = Some(ArrowStream::new(file, reader.schema(), sizes)?);
        }
        for batch in first.map(Ok).into_iter().chain(reader) {
            let batch = batch?;
            if let Some(stream) = &mut self.stream {
                stream.add((file, row), &batch, &mut self.counts)?;
                self.writer.buffer().append(stream.bytes());
            }
            row += batch.num_rows() as u64;
            self.writer.rows_added()?;
            self.count_rows(batch.num_rows() as u64);
            if each(self.progress()).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// What ends a row of JSON.
    fn row_end(&self) -> &'static [u8] {
        match self.options.format {
            PrintFormat::JsonArray => ROW_END_IN_ARRAY,
            PrintFormat::JsonLines | PrintFormat::ArrowStream => b"\n",
        }
    }

    fn print_json(&mut self, file: &Input, each: &mut Each<'_>) -> Result<FileRows, Error> {
        self.refuse_type_options(file.name())?;
        let (columns, drop) = (self.options.columns.clone(), self.options.drop.clone());
        let members = Members {
            columns: columns.as_deref(),
            drop: &drop,
            keep_nulls: self.options.json.nulls == Nulls::Keep,
        };
        let mut stopped = self.is_done();
        if stopped {
            return Ok(FileRows::default());
        }
        let (mut row, skip) = (0, self.skip);
        let mut longest = 0;
        let rows = JsonExport::new(file).for_each_row(|text| {
            row += 1;
            longest = longest.max(text.len() as u64);
            if self.skip > 0 {
                self.skip -= 1;
                return Ok(ControlFlow::Continue(()));
            }
            self.write_json_row(text, &members)?;
            self.count_rows(1);
            self.writer.rows_added()?;
            stopped = self.is_done() || each(self.progress()).is_break();
            Ok(if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        file.name().clone_into(&mut self.json_keys.file);
        self.json_keys.is_whole &= !stopped;
        let skipped = skip - self.skip;
        // A row of which members are chosen is held twice.
        let held = if members.is_all() { longest } else { longest * 2 };
        let excess = (held > self.options.memory_bytes).then(|| Excess {
            column: String::new(),
            kind: ExcessKind::Row,
            bytes: longest,
        });
        Ok(FileRows { rows: (!stopped).then_some(rows), skipped, excess, ..FileRows::default() })
    }

    fn write_json_row(&mut self, text: &str, members: &Members<'_>) -> Result<(), Error> {
        let row_end = self.row_end();
        let keys = &mut self.json_keys.seen;
        if members.is_all() && text.len() > LONG_ROW_BYTES {
            return self.writer.write_long(|piece| compact(text, piece));
        }
        let out = self.writer.buffer();
        if text.len() > LONG_ROW_BYTES {
            // What is chosen of a row is no longer than the row, and a buffer that grew would take twice as much.
            out.reserve_exact(text.len() + row_end.len());
        }
        if members.is_all() {
            write_compact(text, out);
        } else {
            let asked = [members.columns.unwrap_or_default(), members.drop];
            members.write(text, out, |key| {
                let is_asked = || {
                    asked
                        .iter()
                        .any(|asked| asked.iter().any(|asked| names::means(asked, key, |_| false)))
                };
                // Rows may have keys of their own: of what nobody asked for, a few are kept for a message.
                let is_kept = keys.len() < KEYS_KEPT && key.len() <= KEY_BYTES_KEPT;
                if !keys.contains(key) && (is_kept || is_asked()) {
                    keys.insert(key.to_owned());
                }
            });
        }
        out.extend_from_slice(row_end);
        Ok(())
    }

    /// Options that need typed columns say nothing about JSON text.
    fn refuse_type_options(&self, file: &str) -> Result<(), Error> {
        let json = self.options.json;
        let default = JsonOptions::default();
        let used = [
            (self.options.format == PrintFormat::ArrowStream, "format arrow"),
            (json.vectors != default.vectors || self.options.skip_vectors, "vectors"),
            (self.options.narrow_floats, "floats"),
            (json.int64 != default.int64, "int64"),
            (json.nonfinite != default.nonfinite, "nonfinite"),
            (json.binary != default.binary, "binary"),
            (json.decimal != default.decimal, "decimal"),
        ];
        match used.into_iter().find(|(used, _)| *used) {
            Some((_, option)) => Err(Error::ParquetOnly { file: file.to_owned(), option }),
            None => Ok(()),
        }
    }

    fn count_rows(&mut self, rows: u64) {
        self.rows += rows;
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(rows);
        }
    }

    /// Compares the chosen columns with those of the files before.
    fn compare_schema(
        &mut self,
        file: &str,
        schema: &SchemaRef,
        columns: &[usize],
    ) -> Result<(), Error> {
        let chosen = Arc::new(schema.project(columns).map_err(|error| damaged(file, error))?);
        let chosen = if self.options.narrow_floats { vectors::narrowed(&chosen) } else { chosen };
        let before = self.schema.get_or_insert_with(|| Arc::clone(&chosen));
        if self.options.allow_schema_change {
            return Ok(());
        }
        let is_printed = self.options.format != PrintFormat::ArrowStream;
        match first_difference(before, &chosen, is_printed) {
            Some(detail) => Err(Error::SchemaChanged { file: file.to_owned(), detail }),
            None => Ok(()),
        }
    }
}
