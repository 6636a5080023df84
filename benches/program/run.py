"""Times the whole program: threads, length, small files, first row, slow readers, pipes, memory.

    python3 benches/program/run.py [--rounds N] [--record NAME] [--large] [--only small]

Uses the data sets of benches/peers/run.py, which it makes if they are missing, and longer ones of the
same kind. --large adds one file of more than 2 GB. With --record it writes benches/record/NAME.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness import CACHE, OURS, ROOT, environment, machine, run_to_cat, write_record

SETS = ["vec", "text", "scalar", "sparse"]
MORE = ["vec128", "vec1536", "vec64", "ints"]


def prepare(large):
    subprocess.run(["cargo", "build", "--release", "--bins", "--examples"], cwd=ROOT, check=True)
    fixtures = ROOT / "target/release/examples/fixtures"
    subprocess.run([fixtures, "--bench", CACHE / "sets"], check=True)
    subprocess.run([fixtures, "--bench", CACHE / "sets-10", "10", "vec,scalar"], check=True)
    if large:
        subprocess.run([fixtures, "--bench", CACHE / "sets-12", "12", "vec"], check=True)


def run(file, *options, out="/dev/null"):
    """Seconds and peak memory in MiB."""
    start = time.perf_counter()
    with open(out, "wb") as target:
        process = subprocess.Popen([OURS, "cat", file, *options], stdout=target)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        sys.exit(f"{file} {options} failed")
    return seconds, usage.ru_maxrss / 1024


def in_turns(rounds, variants):
    """Medians of the seconds and the highest memory of each."""
    taken = {name: [] for name in variants}
    for _ in range(rounds):
        for name, variant in variants.items():
            taken[name].append(variant())
    seconds = {name: statistics.median(time for time, _ in runs) for name, runs in taken.items()}
    memory = {name: round(max(peak for _, peak in runs)) for name, runs in taken.items()}
    return seconds, memory


def threads_and_pipes(rounds):
    record = {}
    for name in SETS + MORE:
        file = CACHE / "sets" / f"{name}.parquet"
        seconds, memory = in_turns(rounds, {
            "1 thread": lambda: run(file, "--threads", "1"),
            "2 threads": lambda: run(file, "--threads", "2"),
            "to cat": lambda: run_to_cat(file),
        })
        out = CACHE / "size.jsonl"
        run(file, out=out)
        size = out.stat().st_size
        out.unlink()
        gain = round(seconds["1 thread"] / seconds["2 threads"], 2)
        pipe = round(seconds["to cat"] / seconds["2 threads"], 2)
        record[name] = {"seconds": seconds, "memory_mib": memory, "gain_of_2_threads": gain,
                        "to_cat_of_dev_null": pipe, "json_bytes": size}
        print(f"{name}: {size / seconds['2 threads'] / 1e9:.2f} GB of JSON a second, 2 threads {gain} times as fast "
              f"as 1, to cat {pipe} of /dev/null, peak {max(memory.values())} MiB", flush=True)
    return record


def length(rounds):
    """Ten times the rows, a tenth of them at the same length for each row."""
    record = {}
    for name in ["vec", "scalar"]:
        short, long = CACHE / "sets" / f"{name}.parquet", CACHE / "sets-10" / f"{name}.parquet"
        # Runs of half a second at least, so one thread.
        seconds, memory = in_turns(rounds, {
            "rows": lambda: run(short, "--threads", "1"),
            "ten times the rows": lambda: run(long, "--threads", "1"),
        })
        ratio = round(seconds["ten times the rows"] / seconds["rows"] / 10, 3)
        record[name] = {"seconds": seconds, "memory_mib": memory, "time_for_a_row": ratio}
        print(f"{name}: ten times the rows take {ratio} of the time for a row, memory {memory}", flush=True)
    return record


SPLIT = """
import os, sys, pyarrow.parquet as pq
source, folder, one = sys.argv[1:4]
table = pq.read_table(source)
files = max(1, round(os.path.getsize(source) / 100_000))
rows = -(-len(table) // files)
os.makedirs(folder)
# Without dictionaries, as each small file would have one of its own.
pq.write_table(table, one, use_dictionary=False)
for number in range(files):
    part = table.slice(number * rows, rows)
    pq.write_table(part, f"{folder}/part-{number:05}.parquet", use_dictionary=False)
"""


def small_files(rounds):
    """Files of 100 KB beside one file of the same rows, by the same writer."""
    python = environment("peers", ROOT / "benches/peers/requirements.txt")
    record = {}
    for name in SETS:
        folder, one = CACHE / "small" / name, CACHE / "small" / f"{name}.parquet"
        if not folder.exists():
            subprocess.run([python, "-c", SPLIT, CACHE / "sets" / f"{name}.parquet", folder, one], check=True)
        for threads in ["1", "2", "8"]:
            seconds, memory = in_turns(rounds, {
                "one file": lambda: run(one, "--threads", threads),
                "small files": lambda: run(folder, "--threads", threads),
            })
            ratio = round(seconds["small files"] / seconds["one file"], 2)
            files = len(list(folder.iterdir()))
            record[f"{name}, {threads} threads"] = {"files": files, "seconds": seconds, "memory_mib": memory, "ratio": ratio}
            print(f"{name}: {files} files take {ratio} of the time of one with {threads} threads, peak {memory}", flush=True)
    return record


def first_row(rounds):
    """Milliseconds from the start of the program to its first byte."""
    record = {}
    files = {name: CACHE / "sets" / f"{name}.parquet" for name in SETS}
    files |= {f"{name}, ten times the rows": CACHE / "sets-10" / f"{name}.parquet" for name in ["vec", "scalar"]}
    for name, file in files.items():
        taken = []
        for _ in range(rounds * 3):
            start = time.perf_counter()
            process = subprocess.Popen([OURS, "cat", file], stdout=subprocess.PIPE)
            os.read(process.stdout.fileno(), 1)
            taken.append((time.perf_counter() - start) * 1000)
            process.kill()
            process.communicate()
        record[name] = {"median_ms": round(statistics.median(taken), 1), "worst_ms": round(max(taken), 1)}
        print(f"{name}: first byte after {record[name]}", flush=True)
    return record


def slow_reader(seconds=5, bytes_a_second=1_000_000):
    """Peak memory while the reader of stdout takes a megabyte a second."""
    record = {}
    for name in SETS:
        process = subprocess.Popen([OURS, "cat", CACHE / "sets" / f"{name}.parquet"], stdout=subprocess.PIPE)
        start, taken = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            taken += len(os.read(process.stdout.fileno(), bytes_a_second // 20))
            time.sleep(max(0, taken / bytes_a_second - (time.perf_counter() - start)))
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        process.kill()
        process.communicate()
        record[name] = {"peak_mib": round(peak / 1024)}
        print(f"{name}: peak memory with a slow reader {record[name]['peak_mib']} MiB", flush=True)
    return record


def memory(rounds):
    """Peak memory against the budget."""
    record = {}
    for name in SETS + ["vec1536"]:
        file = CACHE / "sets" / f"{name}.parquet"
        for options in [["--memory", "8MiB"], ["--memory", "64MiB"], ["--threads", "16"]]:
            _, peak = run(file, *options)
            record[f"{name} {' '.join(options)}"] = round(peak)
    for what, peak in record.items():
        print(f"{what}: peak {peak} MiB")
    return record


def large(rounds):
    """One file of more than 2 GB, and how far the limits are."""
    file = CACHE / "sets-12" / "vec.parquet"
    seconds, memory = in_turns(rounds, {"2 threads": lambda: run(file)})
    print(f"vec, {file.stat().st_size / 1e9:.2f} GB: {seconds['2 threads']:.2f} s, peak {memory['2 threads']} MiB")
    return {"file_bytes": file.stat().st_size, "seconds": seconds, "memory_mib": memory}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--only", choices=["small"])
    chosen = parser.parse_args()
    prepare(chosen.large)
    record = {"machine": machine(), "rounds": chosen.rounds}
    record["small files"] = small_files(chosen.rounds)
    if not chosen.only:
        record["threads and pipes"] = threads_and_pipes(chosen.rounds)
        record["length"] = length(chosen.rounds)
        record["first byte"] = first_row(chosen.rounds)
        record["slow reader"] = slow_reader()
        record["memory"] = memory(chosen.rounds)
    if chosen.large:
        record["large"] = large(min(3, chosen.rounds))
    if chosen.record:
        write_record(chosen.record, record)


main()
