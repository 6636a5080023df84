"""Parquet files put together byte by byte, for what no writer makes, and the sizes of the pages of any file."""

import struct

I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12
BOOLEAN, INT32, INT64, FLOAT, BYTE_ARRAY = 0, 1, 2, 4, 6
PLAIN, RLE, RLE_DICTIONARY = 0, 3, 8
OPTIONAL, REPEATED = 1, 2
UTF8, LIST_OF = 0, 3


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def i32(number):
    return I32, varint(number << 1)


def i64(number):
    return I64, varint(number << 1)


def binary(value):
    value = value.encode() if isinstance(value, str) else value
    return BINARY, varint(len(value)) + value


def many(kind, items):
    """A list of encoded items."""
    head = bytes([len(items) << 4 | kind]) if len(items) < 15 else bytes([0xF0 | kind]) + varint(len(items))
    return LIST, head + b"".join(items)


def fields(members):
    """The bytes of a struct: its members by their ids, which rise by less than 16."""
    out, last = [], 0
    for number, (kind, value) in members.items():
        out.append(bytes([number - last << 4 | kind]) + value)
        last = number
    return b"".join(out) + b"\0"


def element(name, repetition=None, physical=None, members=None, converted=None):
    """An element of the schema."""
    known = {1: physical, 3: repetition, 4: name, 5: members, 6: converted}
    return fields({
        number: binary(value) if number == 4 else i32(value) for number, value in known.items() if value is not None
    })  # fmt: skip


def flat(name, physical, converted=None):
    """The schema of an optional column."""
    return [element(name, OPTIONAL, physical, converted=converted)]


def list_of(name, physical, converted=None):
    """The schema of an optional list of optional items."""
    return [
        element(name, OPTIONAL, members=1, converted=LIST_OF),
        element("list", REPEATED, members=1),
        element("element", OPTIONAL, physical, converted=converted),
    ]


def runs(*pairs, width=1):
    """Runs of (count, value) as RLE writes them."""
    return b"".join(varint(count << 1) + value.to_bytes(width, "little") for count, value in pairs)


def levels(*pairs):
    encoded = runs(*pairs)
    return struct.pack("<I", len(encoded)) + encoded


def _page(kind, body, number, details):
    return fields({1: i32(kind), 2: i32(len(body)), 3: i32(len(body)), number: (STRUCT, fields(details))}) + body


def data_page(values, body, encoding):
    """A data page of the first version; its body has the levels first."""
    return _page(0, body, 5, {1: i32(values), 2: i32(encoding), 3: i32(RLE), 4: i32(RLE)})


def dictionary_page(values):
    """A dictionary of texts, or of what is packed already."""
    body = b"".join(value if isinstance(value, bytes) else packed(value.encode()) for value in values)
    return _page(2, body, 7, {1: i32(len(values)), 2: i32(PLAIN)})


def packed(text):
    return struct.pack("<I", len(text)) + text


class HandMade:
    """A file without compression and statistics."""

    def __init__(self, path, schema, columns):
        self.file = open(path, "wb")
        self.file.write(b"PAR1")
        self.schema = [element("schema", members=columns), *schema]
        self.groups, self.rows = [], 0

    def chunk(self, path, physical, values, pages, dictionary=b""):
        """Writes a column chunk and returns its metadata and its bytes."""
        start = self.file.tell()
        body = dictionary + b"".join(pages)
        self.file.write(body)
        encodings = [PLAIN, RLE, RLE_DICTIONARY] if dictionary else [PLAIN, RLE]
        members = {
            1: i32(physical), 2: many(I32, [i32(encoding)[1] for encoding in encodings]),
            3: many(BINARY, [binary(name)[1] for name in path]), 4: i32(0), 5: i64(values),
            6: i64(len(body)), 7: i64(len(body)), 9: i64(start + len(dictionary)),
        }  # fmt: skip
        if dictionary:
            members[11] = i64(start)
        return fields({2: i64(start), 3: (STRUCT, fields(members))}), len(body)

    def group(self, rows, chunks):
        chunks, sizes = zip(*chunks)
        self.groups.append(fields({1: many(STRUCT, chunks), 2: i64(sum(sizes)), 3: i64(rows)}))
        self.rows += rows

    def close(self, **notes):
        """Writes the footer with notes and returns the rows of the file."""
        pairs = [fields({1: binary(key), 2: binary(value)}) for key, value in notes.items()]
        members = {1: i32(1), 2: many(STRUCT, self.schema), 3: i64(self.rows), 4: many(STRUCT, self.groups)}
        footer = fields(members | ({5: many(STRUCT, pairs)} if pairs else {}) | {6: binary("made by hand")})
        self.file.write(footer + struct.pack("<I", len(footer)) + b"PAR1")
        self.file.close()
        return self.rows


def read_varint(data, at):
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return number, at


def read_fields(data, at=0):
    """The numbers and structs of the struct at `at` by their ids, and where it ends."""
    members, number = {}, 0
    while data[at]:
        number += data[at] >> 4
        kind, at = data[at] & 15, at + 1
        if kind == STRUCT:
            members[number], at = read_fields(data, at)
        elif kind == BINARY:
            length, at = read_varint(data, at)
            at += length
        elif kind in (4, I32, I64):
            coded, at = read_varint(data, at)
            members[number] = coded >> 1
        elif kind not in (1, 2):
            raise ValueError(f"a page header has no type {kind}")
    return members, at + 1


def largest_page(path, metadata, at_least):
    """The bytes that the costliest page of a file takes while it is decompressed: before and after. Column chunks
    of fewer than `at_least` bytes are not looked at."""
    largest = 0
    with open(path, "rb") as file:
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            columns = range(group.num_columns if group.total_byte_size >= at_least else 0)
            for chunk in map(group.column, columns):
                if chunk.total_uncompressed_size >= at_least:
                    pages = pages_of(file, chunk)
                    is_plain = chunk.compression == "UNCOMPRESSED"
                    largest = max(largest, *(after + (0 if is_plain else before) for before, after in pages))
    return largest


def pages_of(file, chunk):
    """The bytes of each page of a column chunk before and after it is decompressed."""
    start = chunk.data_page_offset
    if chunk.has_dictionary_page:
        start = min(start, chunk.dictionary_page_offset)
    at = start
    while at < start + chunk.total_compressed_size:
        file.seek(at)
        header, length = read_fields(file.read(1 << 16) + b"\0")
        yield header[3], header[2]
        at += length + header[3]
