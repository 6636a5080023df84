//! One page: its header, and its bytes once they are decompressed.

use std::io;

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata};
use parquet::errors::{ParquetError, Result};

use crate::levels::{self, Rows};
use crate::thrift::{BOOL_FALSE, BOOL_TRUE, Decoder, I32, STRUCT, invalid};

/// Larger pages are refused; writers make them of about a mebibyte.
pub(crate) const PAGE_BYTES_MAX: usize = 512 << 20;

/// The header of a page, as far as it is of use.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    /// Bytes of the page in the file, behind the header.
    pub(crate) compressed_bytes: usize,
    pub(crate) uncompressed_bytes: usize,
    /// The CRC-32 of the bytes in the file.
    pub(crate) crc: Option<u32>,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Data {
        values: u32,
        encoding: Encoding,
        def_levels: Encoding,
        rep_levels: Encoding,
    },
    DataV2(DataV2),
    Dictionary {
        values: Option<u32>,
        encoding: Encoding,
        is_sorted: bool,
    },
    /// An index, or what later versions of the format may bring. Readers pass it over.
    Other,
}

/// What the header of a data page of version 2 says. Counts may be missing.
#[derive(Debug, Clone)]
pub(crate) struct DataV2 {
    values: u32,
    nulls: Option<u32>,
    encoding: Encoding,
    def_levels_bytes: usize,
    rep_levels_bytes: usize,
    is_compressed: bool,
}

/// The deepest levels of a leaf.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MaxLevels {
    pub(crate) def: i16,
    pub(crate) rep: i16,
}

/// Numbers of a page's header that are filled in as they come.
#[derive(Default)]
struct Fields {
    kind: Option<i64>,
    uncompressed_bytes: Option<i64>,
    compressed_bytes: Option<i64>,
    crc: Option<i64>,
    /// Of the header of its kind: field 1 and on.
    inner: [Option<i64>; 8],
    /// `is_compressed`, `is_sorted`: not set is true for the one and false for the other.
    flag: Option<bool>,
}

impl Header {
    /// Reads the header at the start of `bytes` and returns its length with it.
    ///
    /// An end too early is [`io::ErrorKind::UnexpectedEof`].
    pub(crate) fn read(bytes: &[u8]) -> io::Result<(Self, usize)> {
        let mut input = Decoder::new(bytes);
        let mut fields = Fields::default();
        let mut last = 0;
        while let Some(field) = input.field(&mut last)? {
            match field {
                (1, I32) => fields.kind = Some(input.integer()?),
                (2, I32) => fields.uncompressed_bytes = Some(input.integer()?),
                (3, I32) => fields.compressed_bytes = Some(input.integer()?),
                (4, I32) => fields.crc = Some(input.integer()?),
                (5 | 7 | 8, STRUCT) => fields.read_inner(&mut input)?,
                (_, kind) => input.skip(kind)?,
            }
        }
        let length = bytes.len() - input.into_rest().len();
        Ok((fields.header()?, length))
    }

    /// What the `parquet` crate asks before it takes a page.
    pub(crate) fn metadata(&self, levels: MaxLevels) -> PageMetadata {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let (num_rows, num_levels) = match &self.kind {
            Kind::Data { values, .. } => (None, Some(count(*values))),
            // Pages of version 2 should begin with a row where values repeat, but those of some writers do not,
            // and count the rows that they end, or begin, or both. So only the levels are believed.
            Kind::DataV2(page) => {
                ((levels.rep == 0).then_some(count(page.values)), Some(count(page.values)))
            }
            Kind::Dictionary { .. } | Kind::Other => (None, None),
        };
        PageMetadata { num_rows, num_levels, is_dict: self.is_dictionary() }
    }

    pub(crate) fn is_dictionary(&self) -> bool {
        matches!(self.kind, Kind::Dictionary { .. })
    }

    /// Values of a data page, nulls among them.
    pub(crate) fn values(&self) -> u64 {
        match &self.kind {
            Kind::Data { values, .. } => u64::from(*values),
            Kind::DataV2(page) => u64::from(page.values),
            Kind::Dictionary { .. } | Kind::Other => 0,
        }
    }

    /// Whether the values are keys of the dictionary.
    pub(crate) fn has_keys(&self) -> bool {
        matches!(self.encoding(), Some(Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY))
    }

    fn encoding(&self) -> Option<Encoding> {
        match &self.kind {
            Kind::Data { encoding, .. } => Some(*encoding),
            Kind::DataV2(page) => Some(page.encoding),
            Kind::Dictionary { .. } | Kind::Other => None,
        }
    }

    /// Whether the lengths of texts stand before all of them, so that they are decoded at once.
    pub(crate) fn has_lengths(&self) -> bool {
        let encoding = self.encoding();
        encoding == Some(Encoding::DELTA_LENGTH_BYTE_ARRAY) || self.has_prefixes()
    }

    /// Whether texts share what they begin with, so that they take more than the page.
    pub(crate) fn has_prefixes(&self) -> bool {
        self.encoding() == Some(Encoding::DELTA_BYTE_ARRAY)
    }

    /// What decoding the page takes beside its bytes and its values: the values of a dictionary, `value_bytes`
    /// each, or the lengths of texts.
    pub(crate) fn decoded_bytes(&self, value_bytes: u64) -> u64 {
        match &self.kind {
            Kind::Dictionary { values, .. } => u64::from(values.unwrap_or(0)) * value_bytes,
            // Prefixes and suffixes.
            _ if self.has_prefixes() => self.values() * 8,
            _ if self.has_lengths() => self.values() * 4,
            _ => 0,
        }
    }

    /// The bytes of a data page behind its levels.
    pub(crate) fn value_bytes<'a>(&self, page: &'a [u8], levels: MaxLevels) -> Option<&'a [u8]> {
        match &self.kind {
            Kind::Data { .. } => {
                let mut rest = page;
                for max in [levels.rep, levels.def] {
                    if max > 0 {
                        rest = rest.get(4 + levels::with_length(rest)?.len()..)?;
                    }
                }
                Some(rest)
            }
            Kind::DataV2(header) => page.get(header.def_levels_bytes + header.rep_levels_bytes..),
            _ => None,
        }
    }

    /// Whether [`Self::rows`] can tell the rows, if nothing is damaged. An encoding that is long out of use is not
    /// looked into.
    pub(crate) fn tells_rows(&self) -> bool {
        matches!(&self.kind, Kind::Data { rep_levels: Encoding::RLE, .. } | Kind::DataV2(_))
    }

    /// The rows of a data page, whose bytes these are; `None` where they cannot be told.
    pub(crate) fn rows(&self, page: &[u8], levels: MaxLevels) -> Option<Rows> {
        let values = u32::try_from(self.values()).ok()?;
        if levels.rep == 0 {
            return Some(Rows { count: values, is_at_start: true, longest: 1 });
        }
        levels::rows(self.rep_levels(page)?, levels.rep, values)
    }

    /// The bytes at the start of the page that are never compressed, and whether the rest is.
    pub(crate) fn plain_start(&self) -> (usize, bool) {
        match &self.kind {
            Kind::DataV2(page) => {
                (page.def_levels_bytes + page.rep_levels_bytes, page.is_compressed)
            }
            _ => (0, true),
        }
    }

    /// The repetition levels in the bytes of a data page of a leaf that repeats.
    pub(crate) fn rep_levels<'a>(&self, page: &'a [u8]) -> Option<&'a [u8]> {
        match &self.kind {
            Kind::Data { rep_levels: Encoding::RLE, .. } => levels::with_length(page),
            Kind::DataV2(header) => page.get(..header.rep_levels_bytes),
            _ => None,
        }
    }

    /// The page for the `parquet` crate, of its decompressed bytes.
    pub(crate) fn page(&self, buf: Bytes, levels: MaxLevels) -> Result<Page> {
        Ok(match &self.kind {
            Kind::Data { values, encoding, def_levels, rep_levels } => Page::DataPage {
                buf,
                num_values: *values,
                encoding: *encoding,
                def_level_encoding: *def_levels,
                rep_level_encoding: *rep_levels,
                statistics: None,
            },
            Kind::DataV2(page) => page.page(buf, levels)?,
            Kind::Dictionary { values, encoding, is_sorted } => Page::DictionaryPage {
                num_values: values.ok_or_else(|| damage("a dictionary has no number of values"))?,
                buf,
                encoding: *encoding,
                is_sorted: *is_sorted,
            },
            Kind::Other => return Err(damage("a page is none that holds values")),
        })
    }
}

impl DataV2 {
    /// Counts that the header misses are taken from the levels.
    fn page(&self, buf: Bytes, levels: MaxLevels) -> Result<Page> {
        let levels_end = self.rep_levels_bytes + self.def_levels_bytes;
        if levels_end > buf.len() {
            return Err(damage("the levels of a page are longer than the page"));
        }
        let nulls = match self.nulls {
            Some(nulls) => nulls,
            None if levels.def == 0 => 0,
            None => {
                let def_levels = &buf[self.rep_levels_bytes..levels_end];
                levels::count(def_levels, levels.def, self.values, |level| level != levels.def)
                    .ok_or_else(|| damage("the levels of a page are damaged"))?
            }
        };
        let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        Ok(Page::DataPageV2 {
            num_values: self.values,
            encoding: self.encoding,
            num_nulls: nulls,
            // Not looked at, and not to be believed.
            num_rows: self.values,
            def_levels_byte_len: length(self.def_levels_bytes),
            rep_levels_byte_len: length(self.rep_levels_bytes),
            is_compressed: self.is_compressed,
            statistics: None,
            buf,
        })
    }
}

impl Fields {
    fn read_inner(&mut self, input: &mut Decoder<&[u8]>) -> io::Result<()> {
        let mut last = 0;
        while let Some(field) = input.field(&mut last)? {
            match field {
                (number @ 1..=7, I32) => {
                    let value = input.integer()?;
                    if let Some(room) =
                        usize::try_from(number).ok().and_then(|at| self.inner.get_mut(at))
                    {
                        *room = Some(value);
                    }
                }
                // `is_sorted` of a dictionary, `is_compressed` of a page of version 2.
                (3 | 7, kind @ (BOOL_TRUE | BOOL_FALSE)) => self.flag = Some(kind == BOOL_TRUE),
                (_, kind) => input.skip(kind)?,
            }
        }
        Ok(())
    }

    fn header(&self) -> io::Result<Header> {
        let uncompressed_bytes = size(self.uncompressed_bytes, "uncompressed")?;
        let compressed_bytes = size(self.compressed_bytes, "compressed")?;
        let kind = match self.kind {
            Some(0) => Kind::Data {
                values: self.values()?,
                encoding: self.encoding(2)?,
                def_levels: self.encoding(3)?,
                rep_levels: self.encoding(4)?,
            },
            Some(2) => self.dictionary(uncompressed_bytes)?,
            Some(3) => Kind::DataV2(self.data_v2(uncompressed_bytes)?),
            Some(_) => Kind::Other,
            None => return Err(invalid("a page has no type")),
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "32 bits")]
        let crc = self.crc.map(|crc| crc as u32);
        let header = Header { compressed_bytes, uncompressed_bytes, crc, kind };
        if header.has_lengths() && header.decoded_bytes(0) > PAGE_BYTES_MAX as u64 {
            let values = header.values();
            return Err(invalid(format!("a page claims to have {values} texts")));
        }
        Ok(header)
    }

    fn dictionary(&self, uncompressed_bytes: usize) -> io::Result<Kind> {
        let values = self.inner[1].and_then(|values| u32::try_from(values).ok());
        // Every value of a dictionary takes a byte at least.
        if let Some(values) = values.filter(|&values| values as usize > uncompressed_bytes) {
            return Err(invalid(format!(
                "a dictionary claims to have {values} values in {uncompressed_bytes} bytes"
            )));
        }
        let (encoding, is_sorted) = (self.encoding(2)?, self.flag.unwrap_or(false));
        Ok(Kind::Dictionary { values, encoding, is_sorted })
    }

    fn data_v2(&self, uncompressed_bytes: usize) -> io::Result<DataV2> {
        // A negative number stands for a missing one.
        let nulls = self.inner[2].and_then(|nulls| u32::try_from(nulls).ok());
        let length = |at: usize| {
            let length = usize::try_from(self.inner[at].unwrap_or(0)).ok();
            length
                .filter(|&length| length <= uncompressed_bytes)
                .ok_or_else(|| invalid("the levels of a page are longer than the page"))
        };
        let (def_levels_bytes, rep_levels_bytes) = (length(5)?, length(6)?);
        if def_levels_bytes + rep_levels_bytes > uncompressed_bytes {
            return Err(invalid("the levels of a page are longer than the page"));
        }
        let values = self.values()?;
        Ok(DataV2 {
            values,
            nulls: nulls.filter(|&nulls| nulls <= values),
            encoding: self.encoding(4)?,
            def_levels_bytes,
            rep_levels_bytes,
            is_compressed: self.flag.unwrap_or(true),
        })
    }

    fn values(&self) -> io::Result<u32> {
        let values = self.inner[1].and_then(|values| u32::try_from(values).ok());
        // The `parquet` crate counts in 31 bits here and there.
        values
            .filter(|&values| i32::try_from(values).is_ok())
            .ok_or_else(|| invalid("a page has no number of values"))
    }

    fn encoding(&self, at: usize) -> io::Result<Encoding> {
        Ok(match self.inner[at] {
            Some(0) => Encoding::PLAIN,
            Some(2) => Encoding::PLAIN_DICTIONARY,
            Some(3) => Encoding::RLE,
            #[expect(deprecated, reason = "old files have it")]
            Some(4) => Encoding::BIT_PACKED,
            Some(5) => Encoding::DELTA_BINARY_PACKED,
            Some(6) => Encoding::DELTA_LENGTH_BYTE_ARRAY,
            Some(7) => Encoding::DELTA_BYTE_ARRAY,
            Some(8) => Encoding::RLE_DICTIONARY,
            Some(9) => Encoding::BYTE_STREAM_SPLIT,
            other => {
                return Err(invalid(format!(
                    "a page has an encoding that is not known: {other:?}"
                )));
            }
        })
    }
}

fn size(bytes: Option<i64>, which: &str) -> io::Result<usize> {
    let bytes = bytes.ok_or_else(|| invalid(format!("a page has no {which} size")))?;
    usize::try_from(bytes)
        .ok()
        .filter(|&bytes| bytes <= PAGE_BYTES_MAX)
        .ok_or_else(|| invalid(format!("a page claims to have {bytes} bytes")))
}

pub(crate) fn damage(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}
