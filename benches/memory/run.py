"""Measures the peak memory of `viking-export cat` on files that are hard to print within its budget.

    python3 benches/memory/run.py [--small] [--only SUBSTRING] [--binary PATH] [--record NAME]

Makes a virtual environment and the files (about 3 GB, a tenth of that with --small) in the user's cache folder,
prints every file with 1, 2 and 8 threads into a pipe, counts the lines that come, and compares the peak memory with
what the README promises: --memory and 32 MiB more, and for files with a page or a value too large for any budget
what shapes.py says. What takes more than --memory and 32 MiB has to be warned of by the name of its column. Ends
with 1 if a run took more, failed, or printed other rows than the file has. With --record it writes
benches/record/NAME.json.
"""

import argparse
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness import CACHE, OURS, ROOT, environment, machine, write_record

HERE = Path(__file__).resolve().parent
MIB = 1 << 20
BUDGET_MIB = 64
BESIDES_MIB = 32
THREADS = [1, 2, 8]
# A run that takes longer than this is ended and counts as wrong.
SECONDS_MAX = 300
# The peak of a process begins with what its parent holds when it starts it, so this program has to stay small.
OWN_MIB_MAX = 32
VARIABLES = {name: value for name, value in os.environ.items() if not name.startswith("VIKING_EXPORT_")}


@dataclass
class Run:
    """One run of the program to its end."""

    status: int
    seconds: float
    peak_mib: float
    lines: int
    # The first bytes of stdout, and stderr.
    answer: bytes
    words: str


def run(command):
    with tempfile.TemporaryFile() as words:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=words, bufsize=0, env=VARIABLES)
        timer = threading.Timer(SECONDS_MAX, process.kill)
        timer.start()
        lines, answer = drain(process.stdout)
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        seconds = time.perf_counter() - start
        words.seek(0)
        text = words.read().decode(errors="replace")
        return Run(process.returncode, seconds, usage.ru_maxrss / 1024, lines, answer, text)


def drain(pipe):
    """Reads everything; returns the number of lines and the first bytes."""
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, MIB)
    buffer, lines, answer = bytearray(MIB), 0, b""
    while length := pipe.readinto(buffer):
        answer = answer or bytes(buffer[: min(length, 100)])
        lines += buffer.count(b"\n", 0, length)
    return lines, answer


def variants(shape):
    """What is run on the files of a shape: its name, the verb and the options, the rows expected, the threads."""
    for options in shape["options"]:
        for threads in THREADS:
            yield " ".join(["cat", *options]), ["cat", *options], shape["rows"], threads
    if shape["more"]:
        yield "cat -n 1", ["cat", "-n", "1"], 1, 2
        yield "count", ["count"], shape["rows"], None


def measure(binary, shape, command, rows, threads):
    """A run, what it may take in MiB, and what is wrong with it."""
    is_cat = command[0] == "cat"
    limits = ["--threads", str(threads), "--memory", f"{BUDGET_MIB}MiB"] if is_cat else []
    done = run([binary, command[0], *shape["files"], *command[1:], *limits])
    plain = BUDGET_MIB + BESIDES_MIB
    promise = plain + shape["forced_mib"]
    printed = done.lines if is_cat else int(done.answer.strip() or -1)
    wrong = []
    if done.status != 0:
        wrong.append(f"exit {done.status}: {last_line(done.words)}")
    elif printed != rows:
        wrong.append(f"{printed} rows")
    if done.peak_mib > promise:
        wrong.append(f"OVER by {done.peak_mib - promise:.0f}")
    is_told = any("warning" in line and shape["heavy"] in line for line in done.words.splitlines())
    if is_cat and done.peak_mib > plain and not is_told and done.status == 0:
        wrong.append("no warning")
    return done, promise, ", ".join(wrong)


def last_line(words):
    return (words.strip().splitlines() or ["no message"])[-1][:120]


def prepare(chosen):
    """Makes the files and returns what is known of them."""
    python = environment("memory-python", HERE / "requirements.txt")
    command = [python, "-B", HERE / "shapes.py", CACHE / "memory", "--only", chosen.only]
    if chosen.small:
        command.append("--small")
    made = subprocess.run(command, stdout=subprocess.PIPE)
    if made.returncode != 0:
        sys.exit("the files could not be made")
    if chosen.binary == OURS:
        subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True)
    return json.loads(made.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--binary", type=Path, default=OURS)
    parser.add_argument("--record")
    chosen = parser.parse_args()
    shapes = prepare(chosen)
    if run(["true"]).peak_mib > OWN_MIB_MAX:
        sys.exit("this program is too large to measure another")
    layout = "{:<44} {:<12} {:>9} {:>10} {:>7} {:>7} {:>7} {:>6}  {}"
    print(layout.format("shape", "run", "MiB", "rows", "threads", "seconds", "peak", "limit", ""))
    record, bad, start = [], 0, time.perf_counter()
    for shape in shapes:
        for name, command, rows, threads in variants(shape):
            done, promise, wrong = measure(chosen.binary, shape, command, rows, threads)
            bad += bool(wrong)
            size, seconds, peak = round(shape["bytes"] / MIB, 1), round(done.seconds, 2), round(done.peak_mib, 1)
            cells = [size, rows, threads or "", seconds, peak, promise]
            print(layout.format(shape["name"], name, *cells, wrong or "ok"), flush=True)
            record.append({
                "shape": shape["name"], "run": name, "file_mib": size, "rows": rows, "threads": threads,
                "seconds": seconds, "peak_mib": peak, "promise_mib": promise, "wrong": wrong,
            })  # fmt: skip
    print(f"{bad} of {len(record)} runs over or wrong, in {time.perf_counter() - start:.0f} s")
    if chosen.record:
        write_record(chosen.record, {"machine": machine(), "budget_mib": BUDGET_MIB, "runs": record})
    sys.exit(1 if bad or not record else 0)


main()
