"""Simulates machines of many processors: how much faster than one thread the rows of a file are printed.

    python3 benches/scaling/run.py [--rounds N] [--record NAME] [--memory MIB]

Real tasks are measured on this machine: what each page, block and text took of a processor (feature `trace` of the
reader), planned for as many threads as are simulated and done by as many as there are processors here. A list scheduler then gives them to as many processors. It assumes
that

- a task takes as long on a machine of many processors as it did here (no limit of memory bandwidth, no turbo);
- each thread has a processor, and a lock that is free is taken at once;
- a thread reads pages ahead while there is room for them, and else takes the next block, as the program does;
- a page is read ahead in the order in which blocks need it, as many of them at a time as the program has room for;
- blocks are decoded in order by the decoder that decoded them here, and handed to the output in order;
- no text is more than the number of threads ahead of the output, and the output takes what /dev/null took.

The speed-up is the processor time of all tasks with one thread, the best of the rounds, over the simulated time.
What the process takes beside its tasks (opening the file, starting threads) is in neither.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness import CACHE, ROOT, environment, machine, write_record

SETS = ["vec", "text", "scalar", "sparse"]
SMALL_GROUP_ROWS = 1000
THREADS = [1, 2, 4, 8, 16]
# By set, at 16 threads; 5 with small row groups.
GOALS = {"vec": 9, "text": 8, "scalar": 7, "sparse": 6}
GOAL_SMALL = 5

REGROUP = """
import sys, pyarrow.parquet as pq
source, out, rows = pq.ParquetFile(sys.argv[1]), sys.argv[2], int(sys.argv[3])
pq.write_table(source.read(), out, row_group_size=rows, compression="snappy")
"""


def prepare():
    build = ["cargo", "build", "--release"]
    subprocess.run([*build, "--workspace", "--examples"], cwd=ROOT, check=True)
    subprocess.run([ROOT / "target/release/examples/fixtures", "--bench", CACHE / "sets"], check=True)
    trace = ["-p", "viking-reader", "--example", "tasks", "--features", "trace"]
    subprocess.run([*build, *trace], cwd=ROOT, check=True)
    python = environment("peers", ROOT / "benches/peers/requirements.txt")
    files = {}
    for name in SETS:
        files[name] = CACHE / "sets" / f"{name}.parquet"
        small = CACHE / f"{name}-groups-of-{SMALL_GROUP_ROWS}.parquet"
        if not small.exists():
            regroup = [python, "-c", REGROUP, files[name], small, str(SMALL_GROUP_ROWS)]
            subprocess.run(regroup, check=True)
        files[f"{name}-small"] = small
    return files


def measure(file, threads, memory):
    """The tasks of one run: by block, and pages by their place in the file."""
    example = ROOT / "target/release/examples/tasks"
    command = [example, file, str(threads), str(memory << 20)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    tasks = {"decode": {}, "encode": {}, "hand": {}, "page": {}, "lane": {}, "needs": {}, "bytes": {}}
    for line in run.stdout.splitlines():
        task = json.loads(line)
        kind, number, size, nanos = task["kind"], task["number"], task["bytes"], task["nanos"]
        if kind == "need":
            tasks["needs"].setdefault(number, []).append(size)
            continue
        if kind == "ready":
            tasks["ready"] = size
            continue
        tasks[kind][number] = tasks[kind].get(number, 0) + nanos
        if kind == "decode":
            tasks["lane"][number] = size
        elif kind == "page":
            tasks["bytes"][number] = size
    tasks["warnings"] = run.stderr
    return tasks


def total(tasks):
    return sum(sum(tasks[kind].values()) for kind in ["decode", "encode", "hand", "page"])


class Ahead:
    """The pages, in the order in which blocks need them."""

    def __init__(self, tasks):
        self.left = tasks["ready"]
        self.tasks = tasks
        self.ready, self.order, self.last_use = {}, [], {}
        for block in sorted(tasks["needs"]):
            for page in tasks["needs"][block]:
                self.last_use[page] = block
                if page not in self.ready and page in tasks["page"]:
                    self.ready[page] = None
                    self.order.append(page)
        self.next = 0

    def read_one(self, now):
        """The time at which a thread is done with a page that it read ahead; None if there is none to read."""
        while self.next < len(self.order) and self.ready[self.order[self.next]] is not None:
            self.next += 1
        if self.next == len(self.order):
            return None
        page = self.order[self.next]
        if self.tasks["bytes"][page] > self.left:
            return None
        self.left -= self.tasks["bytes"][page]
        self.ready[page] = now + self.tasks["page"][page]
        return self.ready[page]

    def use(self, block, now):
        """The time at which the pages of a block are there, if the thread that needs them reads what is not."""
        for page in self.tasks["needs"].get(block, []):
            if page not in self.ready:
                continue
            if self.ready[page] is None:
                self.ready[page] = now + self.tasks["page"][page]
                self.left -= self.tasks["bytes"][page]
            now = max(now, self.ready[page])
            if self.last_use[page] == block:
                self.left += self.tasks["bytes"][page]
                self.last_use[page] = None
        return now


def simulate(tasks, threads):
    """Nanoseconds that `threads` processors take for the tasks."""
    pages = Ahead(tasks)
    free = [0] * threads
    lane_free = {}
    handed = {}
    blocks = sorted(tasks["decode"])
    at = 0
    while at < len(blocks):
        thread = min(range(threads), key=free.__getitem__)
        done = pages.read_one(free[thread])
        if done is not None:
            free[thread] = done
            continue
        block = blocks[at]
        lane = tasks["lane"][block]
        now = pages.use(block, max(free[thread], lane_free.get(lane, 0)))
        now += tasks["decode"][block]
        lane_free[lane] = now
        now += tasks["encode"].get(block, 0)
        before = handed.get(blocks[at - 1], 0) if at else 0
        hand = tasks["hand"].get(block, 0)
        handed[block] = max(now, before) + hand
        # Who brings a text before its turn goes on, unless it is too far ahead.
        window = handed.get(blocks[at - threads - 1], 0) if at > threads else 0
        free[thread] = handed[block] if before <= now else max(now, window)
        at += 1
    return max(handed.values())


def bench(files, rounds, memory):
    rows = {}
    for name, file in files.items():
        alone = min(total(measure(file, 1, memory)) for _ in range(rounds))
        row = {"ms with one thread": round(alone / 1e6, 1)}
        for threads in THREADS:
            runs = [measure(file, threads, memory) for _ in range(rounds)]
            best = min(runs, key=total)
            time = simulate(best, threads)
            chain = {}
            for block, lane in best["lane"].items():
                chain[lane] = chain.get(lane, 0) + best["decode"][block]
            row[threads] = {
                "times one thread": round(alone / time, 2),
                "processor time": round(total(best) / alone, 2),
                "decoders": len(chain),
                "blocks": len(best["decode"]),
                "alone": len(best["hand"]) - len(best["encode"]),
                "longest decoder": round(max(chain.values()) / alone, 3),
                "shares": {kind: round(sum(best[kind].values()) / alone, 2)
                           for kind in ["page", "decode", "encode", "hand"]},
            }
        rows[name] = row
        show(name, row)
    return rows


def show(name, row):
    goal = GOALS.get(name, GOAL_SMALL)
    reached = row[16]["times one thread"]
    figures = "  ".join(f"{threads}: {row[threads]['times one thread']:5.2f}" for threads in THREADS)
    last = row[16]
    print(f"{name:13} {row['ms with one thread']:7} ms  {figures}   goal {goal}{'' if reached >= goal else ' MISSED'}"
          f"   at 16: {last['decoders']} decoders, {last['blocks']} blocks, {last['alone']} alone, longest {last['longest decoder']}, time x {last['processor time']},"
          f" {last['shares']}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record")
    parser.add_argument("--memory", type=int, default=64)
    parser.add_argument("--only", nargs="*")
    arguments = parser.parse_args()
    print(__doc__.split("\n\n", 2)[2])
    files = prepare()
    files = {name: file for name, file in files.items() if not arguments.only or name in arguments.only}
    rows = bench(files, arguments.rounds, arguments.memory)
    if arguments.record:
        record = {"machine": machine(), "memory in MiB": arguments.memory, "rounds": arguments.rounds, "sets": rows}
        write_record(arguments.record, record)


if __name__ == "__main__":
    main()
