"""Columns that are quickly made, and the writers of their files."""

import duckdb
import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq

ONE_GROUP = 1 << 30


def save(columns, path, writer="pyarrow", codec="snappy", group_rows=ONE_GROUP, **options):
    """Writes a table, or columns by their names, and returns its rows."""
    source = columns if isinstance(columns, pa.Table) else pa.table(columns)
    if codec == "none" and writer != "pyarrow":
        codec = "uncompressed"
    if writer == "duckdb":
        groups = f", row_group_size {group_rows}" if group_rows != ONE_GROUP else ""
        duckdb.sql(f"COPY (FROM source) TO '{path}' (FORMAT parquet, COMPRESSION {codec}{groups})")
    elif writer == "polars":
        polars.from_arrow(source).write_parquet(path, compression=codec, row_group_size=group_rows, **options)
    else:
        pq.write_table(source, path, compression=codec, row_group_size=group_rows, **options)
    return source.num_rows


def saved(columns, *arguments, **options):
    """Makes a file of the columns that `columns` returns, which are not made before they are needed."""
    return lambda path: save(columns(), path, *arguments, **options)


def generator(seed=1):
    return np.random.default_rng(seed)


def letters(count, period=4_999, seed=1):
    """Random letters that come again after a while, so that they compress; texts that are cut from them differ."""
    return np.resize(generator(seed).integers(97, 123, min(period, count), dtype=np.uint8), count)


def random_text(count, seed=1):
    return letters(count, count, seed).tobytes().decode()


def offsets(lengths):
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def texts(lengths, **more):
    """Texts of these lengths."""
    return strings(pa.string(), lengths, letters(sum(lengths), **more))


def binaries(lengths, **more):
    """Bytes that are no text, which would be warned of."""
    return strings(pa.binary(), lengths, letters(sum(lengths), **more) + np.uint8(128))


def strings(kind, lengths, data):
    return pa.Array.from_buffers(kind, len(lengths), [None, pa.py_buffer(offsets(lengths)), pa.py_buffer(data)])


def lists(lengths, items):
    return pa.ListArray.from_arrays(pa.array(offsets(lengths)), items)


def maps(lengths, keys, items):
    return pa.MapArray.from_arrays(pa.array(offsets(lengths)), keys, items)


def integers(count, end=10_000, seed=1):
    return pa.array(generator(seed).integers(0, end, count))


def floats(count, width=np.float32):
    """Numbers with short texts."""
    return pa.array((generator().integers(-4096, 4096, count) / 64).astype(width))


def random_floats(count, width=np.float32, seed=1):
    return pa.array(generator(seed).standard_normal(count).astype(width))


def repeat(words, rows, nulls=0):
    """`rows` of `words` in turns as a dictionary; only every row `nulls + 1` is not null."""
    mask = np.arange(rows) % (nulls + 1) != 0 if nulls else None
    return pa.DictionaryArray.from_arrays(pa.array(np.arange(rows) % len(words), pa.int32(), mask=mask), words)


def repeated(words, rows, nulls=0):
    """The same as plain values."""
    return repeat(words, rows, nulls).cast(words.type)
