"""Times viking-export beside every other program that turns Parquet into JSON Lines.

    python3 benches/peers/run.py [--rounds N] [--record NAME] [--sets vec,text,scalar,sparse]

Makes a virtual environment and the data sets outside the tree, checks that all programs print the
same rows and values, runs them in turns, and prints medians and ratios. Of ours the whole process is
timed, of the peers the time inside their engine, without start-up. All write to /dev/null; ours is timed
with a pipe to cat as well. Beside that, the processor time of arrow-json, which has one thread, is compared
with that of ours with --threads 1. With --record it writes benches/record/NAME.json and the chart of the README.
"""

import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness import CACHE, OURS, ROOT, environment, machine, run_to_cat, write_record

SETS = ["vec", "text", "scalar", "sparse"]
# Both cores beside the best peer, and one thread beside arrow-json.
GOALS = {"vec": (4.0, 4.0), "text": (2.0, 2.2), "scalar": (3.0, 3.2), "sparse": (3.0, 2.8)}
ONE_THREAD = "viking-export --threads 1"

# Each prints the seconds inside the engine. {file} and {out} are filled in.
ENGINES = {
    "ClickHouse (chdb)": """
import chdb, time
chdb.query("SELECT 1")
start = time.perf_counter()
chdb.query("SELECT * FROM file('{file}', Parquet) INTO OUTFILE '{out}' TRUNCATE FORMAT JSONEachRow "
           "SETTINGS output_format_json_quote_64bit_integers=0, output_format_parallel_formatting=1")
print(time.perf_counter() - start)
""",
    "Polars": """
import polars, time
start = time.perf_counter()
polars.scan_parquet('{file}').sink_ndjson('{out}')
print(time.perf_counter() - start)
""",
    "DuckDB": """
import duckdb, time
connection = duckdb.connect()
start = time.perf_counter()
connection.execute("COPY (SELECT * FROM read_parquet('{file}')) TO '{out}' (FORMAT json)")
print(time.perf_counter() - start)
""",
}
ARROW = ("arrow-json 100", 100), ("arrow-json 8192", 8192)


def prepare():
    """The virtual environment's interpreter and the data sets."""
    python = environment("python", ROOT / "benches/peers/requirements.txt")
    subprocess.run(["cargo", "build", "--release", "--bins", "--examples"], cwd=ROOT, check=True)
    sets = CACHE / "sets"
    subprocess.run([ROOT / "target/release/examples/fixtures", "--bench", sets], check=True)
    return python, sets


def command(program, python, file, out):
    if program == "viking-export":
        return [OURS, "cat", file]
    if program == ONE_THREAD:
        return [OURS, "cat", "--threads", "1", file]
    for name, rows in ARROW:
        if program == name:
            return [ROOT / "target/release/examples/arrow_json", file, str(rows), out]
    return [python, "-c", ENGINES[program].format(file=file, out=out)]


def run(program, python, file, out):
    """Seconds, peak memory in MiB and processor seconds of one run."""
    arguments = [str(part) for part in command(program, python, file, out)]
    start = time.perf_counter()
    if program in ("viking-export", ONE_THREAD):
        with open(out, "wb") as target:
            process = subprocess.Popen(arguments, stdout=target)
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    else:
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = float(printed.strip().splitlines()[-1])
    if status != 0:
        sys.exit(f"{program} failed on {file}")
    return seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def same(ours, theirs):
    """Whether two parsed values are the same: floats as f32, times as the same instant."""
    if isinstance(ours, float) or isinstance(theirs, float):
        if ours is None or theirs is None:
            return ours is theirs
        single = lambda number: struct.pack("f", number)
        return single(ours) == single(theirs) or ours == theirs
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, dict):
        # Polars and DuckDB print a map as its entries.
        if isinstance(theirs, list):
            theirs = {entry["key"]: entry["value"] for entry in theirs}
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, str) and ours.endswith("Z") and isinstance(theirs, str):
        instant = lambda text: text.replace(" ", "T").removesuffix("Z").removesuffix("+00:00").removesuffix("+00")
        plain = lambda text: instant(text).ljust(len("2026-11-23T00:00:00"), "0")
        whole, _, fraction = plain(ours).partition(".")
        other, _, other_fraction = plain(theirs).partition(".")
        return whole == other and fraction.rstrip("0") == other_fraction.rstrip("0")
    return ours == theirs


def check(programs, python, file):
    """All programs print the same number of rows, and the same values where 997 divides the id."""
    rows = {}
    for program in programs:
        out = CACHE / "check.jsonl"
        run(program, python, file, out)
        sample, count = {}, 0
        with open(out, "rb") as lines:
            for count, line in enumerate(lines, 1):
                # Some programs do not keep the order, so rows are told by their id, which comes first.
                number = int(line[6 : line.index(b",")])
                if number % 997 == 0:
                    sample[number] = json.loads(line)
        rows[program] = count, sample
        out.unlink()
    count, sample = rows["viking-export"]
    for program, (other_count, other_sample) in rows.items():
        if other_count != count:
            sys.exit(f"{file}: {program} printed {other_count} rows, ours {count}")
        for number, ours in sample.items():
            if not same(ours, other_sample[number]):
                sys.exit(f"{file}: {program} printed {other_sample[number]}, ours {ours}")
    return count


def versions(python):
    code = "import chdb, duckdb, polars; print(chdb.engine_version, duckdb.__version__, polars.__version__)"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def chart(record, path):
    """One bar for each program and data set: the time relative to ours."""
    programs = ["viking-export", "ClickHouse (chdb)", "Polars", "DuckDB", "arrow-json"]
    colours = ["#d1495b", "#8d99ae", "#a3b18a", "#e9c46a", "#b5838d"]
    width, bar, gap = 640, 14, 26
    height = 40 + len(record["sets"]) * (len(programs) * bar + gap)
    longest = max(ratio for entry in record["sets"].values() for ratio in entry["ratios"].values())
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="10" y="18" font-size="13">Time to print a Parquet file as JSON Lines, viking-export = 1</text>',
    ]
    y = 36
    for name, entry in record["sets"].items():
        lines.append(f'<text x="10" y="{y + 10}" font-weight="bold">{name}</text>')
        for program, colour in zip(programs, colours):
            ratio = 1.0 if program == "viking-export" else entry["ratios"].get(program)
            if ratio is None:
                continue
            length = 360 * ratio / longest
            lines.append(f'<text x="180" y="{y + 10}" text-anchor="end">{program}</text>')
            lines.append(f'<rect x="186" y="{y + 1}" width="{length:.1f}" height="{bar - 3}" fill="{colour}"/>')
            lines.append(f'<text x="{190 + length:.1f}" y="{y + 10}">{ratio:.1f}</text>')
            y += bar
        y += gap
    lines.append("</svg>")
    path.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record")
    parser.add_argument("--sets", default=",".join(SETS))
    chosen = parser.parse_args()
    python, sets = prepare()
    programs = ["viking-export", *ENGINES, *(name for name, _ in ARROW)]
    timed = [*programs, ONE_THREAD]
    record = {"machine": machine(), "rounds": chosen.rounds, "versions": versions(python), "sets": {}}
    for name in chosen.sets.split(","):
        file = sets / f"{name}.parquet"
        rows = check(programs, python, file)
        runs, to_cat = {program: [] for program in timed}, []
        for _ in range(chosen.rounds):
            for program in timed:
                runs[program].append(run(program, python, file, "/dev/null"))
            to_cat.append(run_to_cat(file)[0])
        processor = {program: statistics.median(time for _, _, time in runs[program])
                     for program in [ONE_THREAD, *(name for name, _ in ARROW)]}
        one_thread = round(min(processor[name] for name, _ in ARROW) / processor[ONE_THREAD], 2)
        del runs[ONE_THREAD]
        seconds = {program: statistics.median(time for time, _, _ in taken) for program, taken in runs.items()}
        memory = {program: round(max(peak for _, peak, _ in taken)) for program, taken in runs.items()}
        seconds["arrow-json"] = min(seconds.pop(name) for name, _ in ARROW)
        memory["arrow-json"] = min(memory.pop(name) for name, _ in ARROW)
        ours = seconds["viking-export"]
        ratios = {program: round(taken / ours, 2) for program, taken in seconds.items() if program != "viking-export"}
        best = min(ratios.values())
        record["sets"][name] = {"rows": rows, "seconds": seconds, "ratios": ratios, "memory_mib": memory,
                                "best_peer": best, "goals": GOALS.get(name),
                                "processor_seconds": processor, "arrow_json_to_one_thread": one_thread,
                                "to_cat_seconds": statistics.median(to_cat),
                                "best_peer_of_to_cat": round(best * ours / statistics.median(to_cat), 2)}
        print(f"{name}: {rows} rows, ours {ours:.3f} s and {memory['viking-export']} MiB; "
              f"the best peer takes {best} times as long (to cat {record['sets'][name]['best_peer_of_to_cat']}); {ratios}; "
              f"one thread: arrow-json takes {one_thread} times the processor time",
              flush=True)
    if chosen.record:
        write_record(chosen.record, record)
        chart(record, ROOT / "benches/record" / f"{chosen.record}.svg")


main()
