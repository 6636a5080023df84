"""Files that are hard to print within a memory budget, made once in a folder outside the tree.

    python shapes.py FOLDER [--only SUBSTRING] [--small]

Prints what benches/memory/run.py has to know of them as JSON. They are made again when these programs change.
Needs the packages of requirements.txt.

What may be taken beyond the budget is the same for all shapes: nothing, unless one page or one value is so large
that it forces any decoder to take more.
- A page that takes more than the budget before and after it is decompressed: these two sizes.
- A value, or a row of a JSON export, of more than a quarter of the budget: four times its size, since it may be
  there compressed, in its page, decoded and as text.
Whatever takes more than the promise for all files has to be warned of by the name of its column.
"""

import argparse
import hashlib
import json
import random
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import handmade
from handmade import HandMade
from tables import (
    binaries, floats, generator, integers, letters, lists, maps, random_floats, random_text, repeat, repeated, save, saved, texts,
)  # fmt: skip

MIB = 1 << 20
BUDGET = 64 * MIB
CODECS = ["none", "snappy", "zstd", "gzip", "lz4"]
# The one column of a file whose pages or values are larger than the budget.
HEAVY = "heavy"
# The path of the items of a list.
ITEMS = ["v", "list", "element"]
HERE = Path(__file__).resolve().parent
SOURCES = [HERE / name for name in ["shapes.py", "tables.py", "handmade.py", "requirements.txt"]]
STAMP = hashlib.sha256(b"".join(source.read_bytes() for source in SOURCES)).hexdigest()


@dataclass
class Shape:
    """One file, or one folder of files, and how it is printed."""

    name: str
    # Writes the file and returns its rows.
    make: Callable[[Path], int]
    # Each is what is said to `cat` besides.
    options: tuple = ((),)
    # The largest page takes more than the budget.
    large_page: bool = False
    # MiB of the largest value, if that is more than a quarter of the budget.
    value: int = 0
    # MiB of the pages of all columns, of which one each has to be held, if together they are more than the budget.
    together: int = 0
    # `count` and `cat -n 1` are run as well.
    more: bool = False
    # It belongs to `--small`, since it is quickly made and printed.
    small: bool = False

    @property
    def file_name(self):
        return self.name + {"json": ".json", "many": ""}.get(self.name.split("-")[0], ".parquet")


SHAPES = []


def shape(name, make, **more):
    SHAPES.append(Shape(name, make, **more))


def repeated_texts():
    """Long texts that a dictionary makes small, mostly by writers that do not note how long they are."""
    sizes = {"10k": (10_000, 20, 40_000), "200k": (200_000, 4, 1_500)}

    def words(size, column=texts):
        length, count, _ = sizes[size]
        return column([length] * count, period=length * count)

    def flat(size, nulls=0, column=texts, form=repeated):
        rows = sizes[size][2] * (nulls + 1)
        return lambda: {"id": range(rows), "v": form(words(size, column), rows, nulls)}

    def in_lists():
        return {"v": lists([4] * 10_000, repeated(words("10k"), 40_000))}

    def in_struct():
        items = repeated(words("10k"), 20_000)
        return {"v": pa.StructArray.from_arrays([items, items[::-1]], ["a", "b"])}

    def in_map():
        keys = pa.array([f"key {number % 4}" for number in range(40_000)])
        return {"v": maps([4] * 10_000, keys, repeated(words("10k"), 40_000))}

    def categories():
        return {"v": lists([4] * 10_000, repeat(words("10k"), 40_000))}

    def fixed():
        return {"v": repeated(words("10k", binaries).cast(pa.binary(10_000)), 20_000)}

    for writer in ["duckdb", "polars", "pyarrow"]:
        for size in sizes:
            shape(f"repeated-text-{size}-{writer}", saved(flat(size), writer), small=writer == "duckdb" and size == "200k")
    for writer in ["duckdb", "polars"]:
        shape(f"repeated-binary-10k-{writer}", saved(flat("10k", column=binaries), writer, "zstd"))
        shape(f"repeated-nulls-10k-{writer}", saved(flat("10k", nulls=9), writer))
    shape("repeated-list-10k-duckdb", saved(in_lists, "duckdb"), more=True, small=True)
    shape("repeated-struct-10k-duckdb", saved(in_struct, "duckdb"))
    shape("repeated-map-10k-duckdb", saved(in_map, "duckdb"))
    for writer in ["pyarrow", "polars"]:
        shape(f"repeated-categorical-10k-{writer}", saved(flat("10k", form=repeat), writer))
    shape("repeated-categorical-list-10k-pyarrow", saved(categories))
    shape("repeated-fixed-size-binary-pyarrow", saved(fixed))


def of_maps(lengths):
    count = sum(lengths)
    names = pa.array([f"k{number}" for number in range(1000)])
    return maps(lengths, repeated(names, count), integers(count))


def of_structs(lengths):
    members = [lists(lengths, floats(sum(lengths))), lists(lengths, texts([5] * sum(lengths)))]
    return pa.StructArray.from_arrays(members, ["numbers", "words"])


# The column with rows of some lengths, the length of the long ones, and how many of those there are.
JUMPS = {
    "text": (texts, 1_000_000, 300),
    "binary": (binaries, 1_000_000, 300),
    "f32": (lambda lengths: lists(lengths, floats(sum(lengths))), 50_000, 300),
    "texts": (lambda lengths: lists(lengths, texts([5] * sum(lengths))), 50_000, 300),
    "categories": (lambda lengths: lists(lengths, repeat(texts([200] * 50), sum(lengths))), 20_000, 80),
    "map": (of_maps, 20_000, 300),
    "struct": (of_structs, 20_000, 300),
}
LAYOUTS = {
    "short-then-long": lambda long, count: [1] * 20_000 + [long] * count,
    "long-then-short": lambda long, count: [long] * count + [1] * 20_000,
    "alternating": lambda long, count: ([1] * 66 + [long]) * count,
    # The third of five row groups of 10,000 rows.
    "in-a-row-group": lambda long, count: [1] * 20_000 + [long] * count + [1] * (30_000 - count),
}


def jump(kind, layout, name):
    column, *sizes = JUMPS[kind]
    return lambda: {name: column(LAYOUTS[layout](*sizes))}


def jumps():
    """Rows whose lengths have little to do with their average."""
    plain = {"use_dictionary": False}
    # Pages of one long row instead of many.
    one = {"write_batch_size": 1}
    groups = {"group_rows": 10_000}
    for kind, layout, writer, codec, more in [
        ("text", "short-then-long", "pyarrow", "zstd", plain | one),
        ("text", "short-then-long", "duckdb", "zstd", {}),
        ("text", "long-then-short", "polars", "zstd", {}),
        ("text", "alternating", "pyarrow", "snappy", plain | one),
        ("text", "in-a-row-group", "pyarrow", "zstd", plain | one | groups),
        ("binary", "short-then-long", "pyarrow", "gzip", plain | one | {"compression_level": 1}),
        ("binary", "alternating", "duckdb", "zstd", {}),
        ("f32", "short-then-long", "pyarrow", "none", plain),
        ("f32", "short-then-long", "polars", "zstd", {}),
        ("f32", "short-then-long", "duckdb", "zstd", {}),
        ("f32", "long-then-short", "pyarrow", "zstd", plain),
        ("f32", "alternating", "pyarrow", "snappy", plain),
        ("f32", "in-a-row-group", "pyarrow", "zstd", plain | groups),
        ("texts", "short-then-long", "pyarrow", "snappy", plain),
        ("texts", "long-then-short", "duckdb", "lz4", {}),
        ("categories", "short-then-long", "pyarrow", "snappy", {}),
        ("map", "short-then-long", "pyarrow", "zstd", plain),
        ("map", "alternating", "pyarrow", "snappy", plain),
        ("struct", "short-then-long", "pyarrow", "zstd", plain),
        ("struct", "long-then-short", "polars", "zstd", {}),
    ]:
        name = f"jump-{kind}-{layout}-{writer}"
        # DuckDB makes one page of all these rows, and so does Polars of texts.
        large = writer == "duckdb" or (writer, kind) == ("polars", "text")
        make = saved(jump(kind, layout, HEAVY if large else "v"), writer, codec, **more)
        is_first = name == "jump-f32-short-then-long-pyarrow"
        # Polars makes pages of 23 and 47 MiB of all numbers and of all words.
        together = 71 if (writer, kind) == ("polars", "struct") else 0
        shape(name, make, large_page=large, together=together, more=is_first, small=is_first)

    def two():
        """Where one has long rows, the other has short ones."""
        lengths = [1] * 20_000 + [50_000] * 150
        return {"a": lists(lengths, floats(sum(lengths))), "b": lists(lengths[::-1], floats(sum(lengths)))}

    shape("jump-of-two-columns-pyarrow", saved(two, use_dictionary=False))


def pages():
    """Pages of 24 or 80 MiB, where others have one."""
    alone = {"data_page_size": 1 << 30, "max_rows_per_page": 1 << 30, "write_batch_size": 1 << 16, "use_dictionary": False}
    kinds = {
        "ints": lambda mib: integers(mib * MIB // 8),
        "text": lambda mib: texts([60] * (mib * MIB // 64)),
        "f32": lambda mib: lists([768] * (mib * MIB // 3072), floats(mib * MIB // 3072 * 768)),
    }

    def one(kind, mib, name=HEAVY):
        return lambda: {name: kinds[kind](mib)}

    def long_texts():
        return {HEAVY: texts([1000] * 120_000, period=999_983)}

    def distinct_texts():
        return {HEAVY: repeated(texts([10_000] * 10_000, period=999_983), 30_000)}

    def vectors():
        return {HEAVY: lists([768] * 20_000, random_floats(768 * 20_000))}

    def four(kind):
        return lambda: {f"v{number}": kinds[kind](24) for number in range(4)}

    for kind in kinds:
        for codec in CODECS:
            level = {"compression_level": 1} if codec == "gzip" else {}
            make = saved(one(kind, 80), codec=codec, **alone, **level)
            shape(f"page-80-mib-{kind}-{codec}", make, large_page=True, small=(kind, codec) == ("ints", "snappy"))
        shape(f"page-24-mib-{kind}-of-4-columns", saved(four(kind), **alone), together=96)
    shape("page-24-mib-ints", saved(one("ints", 24, "v"), **alone), more=True)
    second = saved(one("ints", 80), codec="zstd", data_page_version="2.0", **alone)
    shape("page-80-mib-ints-second-version", second, large_page=True)
    # DuckDB makes one page of a row group of 122,880 rows.
    shape("page-of-a-row-group-text-duckdb", saved(long_texts, "duckdb", "zstd"), large_page=True)
    shape("page-of-a-row-group-f32-duckdb", saved(vectors, "duckdb"), large_page=True)
    dictionary = saved(distinct_texts, codec="zstd", dictionary_pagesize_limit=1 << 30)
    shape("page-95-mib-dictionary-pyarrow", dictionary, large_page=True)


def keys():
    """Keys that are long against their values."""

    def names(count, length):
        return [f"{number:04}".ljust(length, "n") for number in range(count)]

    def flag(rows, seed):
        return pa.array(integers(rows, 2, seed).to_numpy() == 1)

    def flags(count, rows, length):
        return lambda: {name: flag(rows, seed) for seed, name in enumerate(names(count, length))}

    def in_lists():
        members = flags(100, 60_000, 60)()
        return {"v": lists([20] * 3_000, pa.StructArray.from_arrays(list(members.values()), list(members)))}

    shape("keys-of-100-bools", saved(flags(100, 50_000, 60)), small=True)
    shape("keys-of-1000-bools", saved(flags(1000, 5_000, 60)))
    shape("keys-of-1000-bools-polars", saved(flags(1000, 5_000, 60), "polars"))
    shape("keys-of-a-struct-in-lists", saved(in_lists))
    shape("keys-of-1000-characters", saved(flags(100, 3_000, 1000)))
    shape("keys-of-100-nulls", saved(lambda: {name: pa.nulls(50_000, pa.string()) for name in names(100, 60)}))


def long_rows():
    """Rows that are larger than a good part of the budget, or than all of it."""

    def rows(kind, mib, count):
        column = texts if kind == "text" else binaries
        return lambda: {HEAVY: column([mib * MIB] * count)}

    def vectors():
        return {HEAVY: lists([5_000_000] * 3, floats(15_000_000))}

    def words():
        return {HEAVY: lists([2_000_000] * 5, texts([8] * 10_000_000))}

    one_by_one = {"use_dictionary": False, "write_batch_size": 1, "write_statistics": False}
    for kind, mib, count, writer, codec, more in [
        ("binary", 22, 3, "pyarrow", "none", one_by_one),
        ("binary", 22, 30, "pyarrow", "zstd", one_by_one),
        ("binary", 22, 20, "duckdb", "zstd", {"group_rows": 2048}),
        ("text", 12, 20, "pyarrow", "zstd", one_by_one),
        ("text", 30, 10, "pyarrow", "zstd", one_by_one),
        ("text", 30, 6, "pyarrow", "snappy", one_by_one),
        ("text", 30, 10, "polars", "zstd", {"group_rows": 1}),
        ("text", 100, 3, "pyarrow", "zstd", one_by_one),
    ]:
        value = mib if mib > BUDGET // MIB // 4 else 0
        # DuckDB puts several rows into a page.
        large = mib > 64 or writer == "duckdb"
        name = f"row-of-{mib}-mib-{kind}-{codec}-{writer}"
        make = saved(rows(kind, mib, count), writer, codec, **more)
        shape(name, make, value=value, large_page=large, more=codec == "none", small=codec == "none")
    shape("row-of-5-million-f32", saved(vectors, use_dictionary=False), value=20)
    shape("row-of-2-million-texts", saved(words, codec="zstd", use_dictionary=False), value=23)


def footers():
    """More in the footer, or in the headers of pages, than in the rows."""

    def groups(count, width):
        def make(path):
            names = [f"column_{number}" for number in range(width)]
            file = HandMade(path, [part for name in names for part in handmade.flat(name, handmade.INT64)], width)
            page = handmade.data_page(2, handmade.levels((2, 1)) + bytes(16), handmade.PLAIN)
            for _ in range(count):
                file.group(2, [file.chunk([name], handmade.INT64, 2, [page]) for name in names])
            return file.close()

        return make

    def hundred():
        return {f"column_{number}": integers(20_000, 1000, number) for number in range(100)}

    def few():
        return {"v": texts([length % 40 for length in range(100_000)]), "n": integers(100_000), "m": integers(100_000)}

    def thousands():
        return {f"column_{number}": [f"value {number}"] * 10 for number in range(5_000)}

    def noted(path):
        file = HandMade(path, handmade.flat("v", handmade.INT64), 1)
        page = handmade.data_page(2, handmade.levels((2, 1)) + bytes(16), handmade.PLAIN)
        file.group(2, [file.chunk(["v"], handmade.INT64, 2, [page])])
        return file.close(note=random_text(8 * MIB))

    def notes():
        return pa.table({"v": range(1000)}).replace_schema_metadata({b"note": random_text(8 * MIB)})

    shape("footer-of-2000-row-groups-of-10", groups(2_000, 10), more=True, small=True)
    shape("footer-of-20000-row-groups-of-10", groups(20_000, 10), more=True)
    shape("footer-of-2000-row-groups-of-100", saved(hundred, group_rows=10), more=True)
    # Not gzip, whose decoder is made anew for each page: the allocator cannot use again what such small pages lie
    # between.
    tiny = {"data_page_size": 1, "write_batch_size": 1, "use_dictionary": False, "group_rows": 12_345}
    shape("pages-of-one-value", saved(few, codec="snappy", **tiny), more=True, small=True)
    for writer in ["pyarrow", "polars"]:
        shape(f"footer-of-5000-columns-{writer}", saved(thousands, writer), more=True)
    shape("footer-with-8-mib-of-metadata-twice", saved(notes), more=True)
    shape("footer-with-8-mib-of-metadata", noted)


def lines(rows, start="", between="\n", end="\n"):
    """Makes a JSON export of the rows that `rows` returns, as lines unless told otherwise."""

    def make(path):
        count = 0
        with open(path, "w") as file:
            file.write(start)
            for row in rows():
                file.write((between if count else "") + row)
                count += 1
            file.write(end)
        return count

    return make


def members(member, count, rows):
    """Rows with an id and `count` times the same member."""
    return lambda: (f'{{"id":{number},{",".join([member] * count)}}}' for number in range(rows))


def json_exports():
    def own_keys():
        choose = random.Random(1)
        for number in range(200_000):
            own = ",".join(f'"{choose.getrandbits(64):016x}":{at}' for at in range(8))
            yield f'{{"id":{number},{own}}}'

    def long_row():
        return [f'{{"{HEAVY}":"{random_text(60 * MIB)}"}}']

    def deep():
        return members('"v":' + "[" * 2_000_000 + "]" * 2_000_000, 1, 10)()

    def text(length, rows):
        return members(f'"v":"{random_text(length)}"', 1, rows)

    def spaced(count):
        return lines(members('"a":1', 1, 20), "[", "," + " " * count, "]\n")

    shape("json-row-of-60-mib", lines(long_row), value=60, options=((), ("-c", HEAVY)), more=True)
    shape("json-rows-of-4-mib", lines(text(4 * MIB, 12)))
    shape("json-keys-of-their-own", lines(own_keys), options=(("-c", "id"),), more=True)
    shape("json-array-of-one-line", lines(text(1000, 200_000), "[", ", ", "]"), more=True)
    shape("json-deep-lists", lines(deep), options=((), ("-c", "v")), small=True)
    same = (), ("-c", "a"), ("-c", "id")
    shape("json-same-key-2-million-times", lines(members('"a":1', 2_000_000, 2)), options=same, small=True)
    shape("json-same-key-8-million-times", lines(members('"a":1', 8_000_000, 1)), options=same[1:], value=46)
    numbers = members(f'"v":[{",".join(["0.5"] * 2_000_000)}]', 1, 5)
    shape("json-lists-of-2-million", lines(numbers), options=((), ("-c", "v")))
    shape("json-spaces-between-rows", spaced(2 * MIB))
    escapes = members('"\\u0061":"' + "\\u00e9" * 500_000 + '"', 1, 15)
    shape("json-escapes", lines(escapes), options=((), ("-c", "a")))


def run_pages(schema, path, physical, page, page_rows, count=1, dictionary=b""):
    """Makes a file of `count` times the same page; `page` is its number of values, its body and its encoding."""

    def make(file):
        values, body, encoding = page
        file = HandMade(file, schema, 1)
        pages = [handmade.data_page(values, body, encoding)] * count
        file.group(page_rows * count, [file.chunk(path, physical, values * count, pages, dictionary)])
        return file.close()

    return make


def same_lists(physical, item, items, page_rows, count):
    """`count` pages of `page_rows` lists of `items` times the same item."""
    values = page_rows * items
    starts = handmade.levels(*[(1, 0), (items - 1, 1)] * page_rows)
    body = starts + handmade.levels((values, 3)) + b"\1" + handmade.runs((values, 0))
    schema = handmade.list_of("v", physical, handmade.UTF8 if physical == handmade.BYTE_ARRAY else None)
    page = values, body, handmade.RLE_DICTIONARY
    return run_pages(schema, ITEMS, physical, page, page_rows, count, handmade.dictionary_page([item]))


def run_lengths():
    """Pages of a few bytes that stand for millions of values."""

    def flat(physical, values, body, encoding=handmade.PLAIN, dictionary=b""):
        schema = handmade.flat("v", physical, handmade.UTF8 if physical == handmade.BYTE_ARRAY else None)
        return run_pages(schema, ["v"], physical, (values, body, encoding), values, dictionary=dictionary)

    def prefixes():
        prefix = random_text(40_000)
        return {"v": [f"{prefix}{number}" for number in range(10_000)]}

    def halves():
        return {"v": lists([50_000] * 300, pa.array(np.full(15_000_000, 0.5, np.float32)))}

    def nulls(physical, values):
        return flat(physical, values, handmade.levels((values, 0)))

    seven = (7).to_bytes(4, "little")
    shape("runs-lists-of-a-million-ints", same_lists(handmade.INT32, seven, 1_000_000, 1, 40), small=True)
    shape("runs-lists-of-a-thousand-ints", same_lists(handmade.INT32, seven, 1_000, 1_000, 60))
    word = letters(100).tobytes().decode()
    shape("runs-lists-of-100000-texts", same_lists(handmade.BYTE_ARRAY, word, 100_000, 1, 40))
    shape("runs-50-million-nulls", nulls(handmade.INT64, 50_000_000))
    shape("runs-5-million-nulls-of-text", nulls(handmade.BYTE_ARRAY, 5_000_000), small=True)
    values = 20_000_000
    empty = values, handmade.levels((values, 0)) + handmade.levels((values, 1)), handmade.PLAIN
    schema = handmade.list_of("v", handmade.INT32)
    shape("runs-20-million-empty-lists", run_pages(schema, ITEMS, handmade.INT32, empty, values))
    true = handmade.levels((values, 1)) * 2
    shape("runs-20-million-bools", flat(handmade.BOOLEAN, values, true, handmade.RLE))
    values = 40_000
    same = handmade.levels((values, 1)) + b"\1" + handmade.runs((values, 0))
    text = handmade.dictionary_page([random_text(10_000)])
    shape("runs-of-one-text-of-10k", flat(handmade.BYTE_ARRAY, values, same, handmade.RLE_DICTIONARY, text))
    delta = {"use_dictionary": False, "column_encoding": {"v": "DELTA_BYTE_ARRAY"}}
    shape("runs-of-prefixes-pyarrow", saved(prefixes, codec="none", **delta))
    shape("runs-lists-of-one-f32-pyarrow", saved(halves))


def many_files():
    def files(count, write):
        def make(folder):
            folder.mkdir()
            return sum(write(folder / f"{number:03}", number) for number in range(count))

        return make

    def parquet(path, number):
        columns = {"id": range(200), "v": texts([500] * 200, period=100_000, seed=number)}
        return save(columns, path.with_suffix(".parquet"))

    def export(path, number):
        rows = members(f'"v":"{random_text(500, number)}"', 1, 200)
        return lines(rows)(path.with_suffix(".json"))

    def mixed(path, number):
        """Files that need little and files that need much in turns."""
        if number % 2:
            return parquet(path, number)
        words = repeated(texts([200_000] * 4, period=800_000), 100)
        return save({"id": range(100), "v": words}, path.with_suffix(".parquet"), "duckdb")

    shape("many-300-parquet-files", files(300, parquet), more=True, small=True)
    shape("many-300-json-files", files(300, export))
    shape("many-40-mixed-files", files(40, mixed))


def wide():
    """Vectors and many columns."""
    plain = {"codec": "none", "use_dictionary": False}

    def vectors(length, rows, width=np.float32):
        return lambda: {"id": range(rows), "v": lists([length] * rows, random_floats(length * rows, width))}

    def fixed(length, rows):
        return lambda: {"v": pa.FixedSizeListArray.from_arrays(random_floats(length * rows), length)}

    def columns(count, rows, column):
        return lambda: {f"f{number}": column(rows, number) for number in range(count)}

    def single(rows, number):
        return random_floats(rows, seed=number)

    def steps(rows, number):
        return pa.array(np.arange(rows) // 4 + number)

    def all_integers():
        return {"v": lists([1024] * 4_000, pa.array(np.frombuffer(generator().bytes(8 * 4_096_000), np.int64)))}

    shape("wide-768-f32", saved(vectors(768, 10_000), **plain))
    shape("wide-768-f32-fixed", saved(fixed(768, 10_000), **plain))
    shape("wide-768-f32-row-groups", saved(vectors(768, 3_000), group_rows=100, **plain), small=True)
    shape("wide-768-f32-polars", saved(vectors(768, 10_000), "polars", "zstd"))
    shape("wide-768-f32-array-polars", saved(fixed(768, 10_000), "polars", "lz4"))
    split = saved(vectors(1536, 8_000), codec="zstd", use_dictionary=False, use_byte_stream_split=True)
    shape("wide-1536-f32-byte-stream-split", split)
    shape("wide-4096-f32", saved(vectors(4096, 3_000), use_dictionary=False))
    shape("wide-4096-f32-fixed-dictionary", saved(fixed(4096, 3_000)))
    shape("wide-768-f64", saved(vectors(768, 6_000, np.float64), **plain))
    shape("wide-1024-i64", saved(all_integers))
    shape("wide-2000-columns-of-f32", saved(columns(2_000, 4_000, single), **plain))
    shape("wide-2000-columns-of-f32-row-groups", saved(columns(2_000, 2_000, single), group_rows=100))
    # A page of each column together are more than the budget, though none is by itself.
    large = {"use_dictionary": False, "max_rows_per_page": 1 << 30}
    make_200 = saved(columns(200, 131_072, steps), **large)
    shape("wide-200-columns-with-pages-of-1-mib", make_200, together=200)


def tensors():
    """The largest tensors that VikingDB takes, 64 vectors of 2,048 numbers a row: a batch of 100 rows has 50 MiB of f32."""
    rows, vectors, length = 200, 64, 2_048

    def flat(width):
        return lists([vectors * length] * rows, floats(rows * vectors * length, width))

    def nested(width):
        return lists([vectors] * rows, lists([length] * (rows * vectors), floats(rows * vectors * length, width)))

    for width in [np.float32, np.float64]:
        for form in [flat, nested]:
            options = ((), ("--vectors", "base64")) if form is flat else ((),)
            if width is np.float64 and form is flat:
                options = (*options, ("--floats", "f32"))
            make_tensor = saved(lambda form=form, width=width: {"id": range(rows), "v": form(width)}, use_dictionary=False)
            shape(f"tensor-{form.__name__}-{width.__name__}", make_tensor, options=options, small=width is np.float32)


def make(shape, folder):
    """Writes the files of a shape unless they are there, and returns what is known of them."""
    path, note = folder / shape.file_name, folder / f"{shape.name}.note"
    if note.exists() and path.exists():
        known = json.loads(note.read_text())
        if known["stamp"] == STAMP:
            return known
    remove(note)
    remove(path)
    start = time.perf_counter()
    rows = shape.make(path)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    page = largest_page(files)
    if shape.large_page != (page > BUDGET):
        sys.exit(f"{shape.name}: its largest page takes {page / MIB:.1f} MiB")
    beyond = max(page if shape.large_page else 0, 4 * shape.value * MIB, shape.together * MIB)
    known = {
        "stamp": STAMP, "name": shape.name, "files": [str(file) for file in files], "rows": rows,
        "bytes": sum(file.stat().st_size for file in files), "options": shape.options, "more": shape.more,
        "forced_mib": -(-beyond // MIB),
        "heavy": words_of_warning(shape, path),
    }  # fmt: skip
    note.write_text(json.dumps(known))
    size, seconds = known["bytes"] / MIB, time.perf_counter() - start
    print(f"made {shape.name}, {size:.1f} MiB, in {seconds:.1f} s", file=sys.stderr, flush=True)
    return known


def words_of_warning(shape, path):
    """What a warning has to say."""
    if shape.together:
        return "in column"
    # A row of a JSON export has no column.
    return HEAVY if path.suffix == ".parquet" else path.name


def remove_others(folder):
    """Removes what an earlier version of this program made and this one does not."""
    known = {name for shape in SHAPES for name in [shape.file_name, f"{shape.name}.note"]}
    for path in folder.iterdir():
        if path.name not in known:
            remove(path)


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def largest_page(files):
    """What the costliest page takes while it is decompressed."""
    parquet = [file for file in files if file.suffix == ".parquet"]
    return max((handmade.largest_page(file, pq.read_metadata(file), BUDGET // 8) for file in parquet), default=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--small", action="store_true")
    chosen = parser.parse_args()
    for kind in [repeated_texts, jumps, pages, keys, long_rows, footers, json_exports, run_lengths, many_files, wide, tensors]:
        kind()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    remove_others(chosen.folder)
    wanted = [shape for shape in SHAPES if chosen.only in shape.name and (shape.small or not chosen.small)]
    print(json.dumps([make(shape, chosen.folder) for shape in wanted]))


main()
