"""Writes the files that the targets begin with, and the one whose pages are replaced (needs pyarrow)."""

import datetime
import decimal
import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

here = pathlib.Path(__file__).parent
ROWS = 60


def keep(target, name, content):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def table():
    every = range(ROWS)
    moment = datetime.datetime(2026, 11, 25)
    return pa.table({
        "id": pa.array(every, pa.int64()),
        "flag": pa.array([row % 3 == 0 for row in every]),
        "text": pa.array([None if row % 7 == 0 else f"téxt \"{row}\"" for row in every]),
        "vector": pa.array([[row / 7, -row, 1e30] for row in every], pa.list_(pa.float32())),
        "sparse": pa.array([[("a", row / 3)] if row % 2 else None for row in every], pa.map_(pa.string(), pa.float64())),
        "when": pa.array([moment + datetime.timedelta(seconds=row) for row in every], pa.timestamp("us")),
        "price": pa.array([decimal.Decimal(row).scaleb(-2) for row in every], pa.decimal128(20, 2)),
        "blob": pa.array([bytes([row]) * (row % 5) for row in every], pa.binary()),
    })


def parquet_seeds():
    small = [("plain", {"use_dictionary": False, "compression": "none"}), ("zstd", {"compression": "zstd"})]
    small += [("snappy", {"data_page_version": "2.0"}), ("gzip", {"compression": "gzip", "row_group_size": 20})]
    for name, how in small:
        path = here / "seed.parquet"
        pq.write_table(table(), path, write_page_checksum=False, **how)
        content = path.read_bytes()
        path.unlink()
        keep("parquet", name, content)
        length = int.from_bytes(content[-8:-4], "little")
        keep("footer", name, content[-8 - length : -8])
    path = here / "sample.parquet"
    # Room for pages that grow, and levels of both kinds.
    columns = table().select(["id", "text", "vector"])
    pq.write_table(columns, path, use_dictionary=["text"], compression="none", store_schema=False)
    content = path.read_bytes()
    keep("pages", "own", content[4 : -8 - int.from_bytes(content[-8:-4], "little")])


def text_seeds():
    rows = [{"id": row, "text": "x\\\"", "vector": [row / 3], "nested": {"a": None}} for row in range(4)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    for name, text in [("lines", lines), ("array", json.dumps(rows, indent=1)), ("empty", "[]"), ("bom", "\ufeff" + lines)]:
        keep("json", name, text)
    conditions = [
        {"op": "must", "field": "city", "conds": ["beijing", 1]},
        {"op": "range", "field": "n", "gt": 0, "lt": 4},
        {"op": "or", "conds": [{"op": "must_not", "field": "a", "conds": [True]}, {"op": "new", "x": 1}]},
        {"op": "range", "field": ["x", "y"], "center": [1, 2], "radius": 3},
    ]
    keep("filter", "all", json.dumps(conditions))
    keep("filter", "one", json.dumps(conditions[0]))
    keep("answer", "v1", "\0\0" + json.dumps({"code": 0, "data": {"task_id": "t", "task_status": "fail", "process_info": {
        "task_progress": "50%", "total_data_count": "7"}, "task_params": {"tos_path": "b/x"}, "fields": [
            {"field_name": "id", "field_type": "int64"}]}}))
    keep("answer", "v2", "\0\0" + json.dumps({"ResponseMetadata": {"RequestId": "r"}, "Result": {"TaskId": "t",
        "TaskStatus": "done", "TotalCount": 101, "TaskConfig": {"TosPath": "b/x"}, "Fields": [{"FieldName": "id"}]}}))
    keep("answer", "refused", "\x90\1" + json.dumps({"ResponseMetadata": {"Error": {"Code": "LackPolicy", "Message": "m"}}}))
    keep("answer", "gateway", "\0\0<html>")
    page = ("<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>t"
            "</NextContinuationToken><Contents><Key>a/1+%C3%A9.parquet</Key><Size>7</Size><ETag>e</ETag></Contents>"
            "</ListBucketResult>\0<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a/b/2.json</Key>"
            "<Size>8</Size></Contents><Contents><Key>a/../x</Key><Size>1</Size></Contents><Contents><Key>a/empty</Key><Size>0</Size></Contents></ListBucketResult>")
    keep("listing", "pages", page)
    keep("listing", "error", "<Error><Code>SlowDown</Code><Message>m</Message></Error>")


def state_seeds():
    head = '{"key":"a/1.parquet","size":4096,"etag":"e","part_bytes":512}\n'
    line = '{"part":%d,"crc64":%d}\n'
    keep("journal", "one", b"\x20" + b"x" * 512 + (head + line % (0, 1) + line % (9, 2) + '{"part":1,"c').encode())
    receipt = {"schema": 1, "version": "0.1.0", "run": "example-1", "request": {"verb": "run", "collection": "example",
        "filter": None, "to": "tos://b/exports", "file_type": "parquet", "region": "cn-beijing"}, "rows": None,
        "started": "2026-11-25T00:00:00Z", "submitted": None, "task": "t", "objects": [{"key": "exports/example-1/1.parquet",
        "name": "1.parquet", "size": 7, "etag": "e", "crc64": "12"}], "finished": None}
    keep("receipt", "run", json.dumps(receipt))
    receipt["request"] = {"verb": "fetch", "from": "tos://b/exports/example-1"}
    keep("receipt", "fetch", json.dumps(receipt))
    keep("checkpoint", "some", "\x40" + json.dumps({"output": "rows.jsonl", "options": {}, "rows": 2, "bytes": 32,
        "versions": [], "is_whole": False}))
    secret = "c2VjcmV0"
    keep("credentials", "profile", json.dumps({"current": "other", "profiles": {"other": {"mode": "AK", "access-key": "a",
        "secret-key": secret}, "default": {"mode": "StsToken", "access-key": "a", "secret-key": secret, "session-token": secret}}}))
    keep("credentials", "ini", f"[default]\naccess_key_id = a\nsecret_access_key = {secret}\n")
    keep("credentials", "json", json.dumps({"ak": "a", "sk": secret}))


parquet_seeds()
text_seeds()
state_seeds()
