"""Times viking-export on links with latency, beside other programs.

    python3 benches/network/run.py [--rounds N] [--only downloads|rows] [--program NAME]... [--record NAME]

Puts a link between SeaweedFS on loopback and the programs: none, one of 40 ms there and back, and the same with
12.5 MB/s for each connection (the example `link`). Prints medians of downloads in turns with s5cmd, rclone, curl and
the vendor's ve-tos-cli, and of rows without landing (`cat tos://…`) beside a download followed by `cat`: 13 objects of
14 MB, 1,000 of 100 KB, and one of 184 MB. Others are followed by `sync`, as ours flushes each file to the disk. ve-tos-cli signs in TOS's own
way, which SeaweedFS does not know: it has a gateway of its own that checks no signatures, and gets no checksum of TOS's
that it would compare.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "transfer"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "fixtures/seaweedfs"))
import run as transfer
import serve
from harness import OURS, ROOT, environment, machine, write_record

BUILT = ROOT / "target/release/examples"
# Milliseconds one way, and megabytes a second for each connection; 0 is no limit.
LINKS = {"loopback": None, "40 ms": (20, 0), "40 ms, 12.5 MB/s": (20, 12.5)}
# Objects and the share of the bench set `vec` that each is.
SETS = {"13 x 14 MB": (13, 1 / 13), "1000 x 100 KB": (1000, 33 / 60_000), "1 x 184 MB": (1, 1)}


def prefix(name):
    return name.replace(" ", "")


@contextmanager
def link(port, numbers):
    """The port to speak to."""
    if numbers is None:
        yield port
        return
    command = [BUILT / "link", str(port), *map(str, numbers)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield int(process.stdout.readline())
    process.stdin.close()
    process.wait()


@contextmanager
def open_gateway(filer, python):
    """The port of a second gateway to the same objects, which lets everybody in."""
    port = serve.free_ports(1)[0]
    keys = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [
        python.parent / "weed", "s3", f"-filer=127.0.0.1:{filer}", "-ip.bind=127.0.0.1", f"-port={port}", "-port.iceberg=0",
        "-port.lance=0",
    ]  # fmt: skip
    process = subprocess.Popen(command, env=keys, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        reached = ["curl", "--silent", "--noproxy", "*", "--output", os.devnull, "--retry", "50", "--retry-delay", "1"]
        subprocess.run([*reached, "--retry-connrefused", f"http://127.0.0.1:{port}/demo"], check=True)
        yield port
    finally:
        process.terminate()
        process.wait()


def upload_sets(url, python):
    for name, (objects, scale) in SETS.items():
        folder = transfer.WORK / prefix(name)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([BUILT / "fixtures", "--bench", folder, str(scale), "vec"], check=True)
        (folder / "vec.parquet").rename(folder / "0.parquet")
        for number in range(1, objects):
            os.link(folder / "0.parquet", folder / f"{number}.parquet")
        command = [python.parent / "s5cmd", "--endpoint-url", url, "cp", f"{folder}/", f"s3://demo/{prefix(name)}/"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder)


def downloads(port, open_port, python):
    url = f"http://127.0.0.1:{port}"
    bin = python.parent
    keys = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    config = transfer.curl_config(url, keys, os.environ["AWS_REGION"])
    ours = [OURS, "--quiet", "fetch", "tos://demo/bench", "--tos-endpoint", f"http://tos.localhost:{port}", "--dir"]
    s5cmd = [bin / "s5cmd", "--log", "error", "--endpoint-url", url, "cp", "s3://demo/bench/*"]
    rclone = [bin / "rclone", "copy", "--quiet", "--s3-endpoint", url]
    tuned = [*rclone, "--transfers", "16", "--multi-thread-streams", "8"]
    curl = ["curl", "--silent", "--noproxy", "*", "--parallel", "--parallel-max", "8", "--no-progress-meter", "--fail", "--config", config]
    sync = transfer.THEN_SYNC
    # It prints a report on each object. Its variables are ours as well, where these keys would not do.
    any_keys = ["env", "TOS_ACCESS_KEY=any", "TOS_SECRET_KEY=any", f"TOS_REGION={os.environ['AWS_REGION']}"]
    tos = ["sh", "-c", '"$@" >/dev/null && sync', "sh", *any_keys, bin / "ve-tos-cli", "cp", "tos://demo/bench/"]
    tos_at = ["--recursive", "-q", "-e", f"http://127.0.0.1:{open_port}"]
    return {
        "viking-export": lambda folder: [*ours, folder / "run"],
        "viking-export --jobs 4": lambda folder: [*ours, folder / "run", "--jobs", "4"],
        "s5cmd": lambda folder: [*sync, *s5cmd, f"{folder}/"],
        "s5cmd without sync": lambda folder: [*s5cmd, f"{folder}/"],
        "rclone": lambda folder: [*sync, *rclone, "bench:demo/bench", folder],
        "rclone, 16 x 8 streams": lambda folder: [*sync, *tuned, "bench:demo/bench", folder],
        "curl, 8 at once": lambda folder: [*sync, *curl, "--output-dir", folder],
        "ve-tos-cli": lambda folder: [*tos, f"{folder}/", *tos_at],
        "ve-tos-cli --checkpoint": lambda folder: [*tos, f"{folder}/", *tos_at, "--checkpoint"],
    }


def rows(port):
    """Rows of each set without landing and by a download first."""
    commands = {}
    endpoint = ["--tos-endpoint", f"http://tos.localhost:{port}"]
    for name in SETS:
        place = f"tos://demo/{prefix(name)}"
        cat = ["sh", "-c", 'exec "$@" >/dev/null', "sh", OURS, "--quiet", "cat", place, *endpoint]
        fetch = [OURS, "--quiet", "fetch", place, *endpoint, "--dir"]
        both = ["sh", "-c", '"$@" && exec "$1" --quiet cat "$0" >/dev/null']
        commands[f"{name}: cat"] = lambda folder, cat=cat: cat
        commands[f"{name}: cat -c id"] = lambda folder, cat=cat: [*cat, "-c", "id"]
        commands[f"{name}: fetch, then cat"] = lambda folder, fetch=fetch: [*both, folder / "run", *fetch, folder / "run"]
    return commands


def measure(commands, rounds, check):
    """Medians of seconds and the largest peak of memory of each command, in turns."""
    taken = {name: [] for name in commands}
    for number in range(rounds):
        for name, command in commands.items():
            folder = transfer.WORK / "target"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            os.sync()
            taken[name].append(transfer.timed(command(folder), dict(os.environ)))
            if number == 0:
                check(name, folder)
    return {
        name: {"seconds": round(statistics.median(run[0] for run in runs), 2), "peak_memory_mib": round(max(run[2] for run in runs))}
        for name, runs in taken.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["downloads", "rows"])
    parser.add_argument("--link", choices=list(LINKS))
    parser.add_argument("--program", action="append", help="of the downloads only this one; may be repeated")
    parser.add_argument("--record")
    chosen = parser.parse_args()
    python = environment("transfer-python", ROOT / "benches/transfer/requirements.txt")
    if "VIKING_TEST_S3" not in os.environ:
        subprocess.run(["cargo", "build", "--release", "--workspace", "--bins", "--examples"], cwd=ROOT, check=True)
        server = [python, ROOT / "fixtures/seaweedfs/serve.py", python, __file__, *sys.argv[1:]]
        sys.exit(subprocess.run(server).returncode)
    ready = json.loads(os.environ["VIKING_TEST_S3"])
    port = int(ready["tos"].rpartition(":")[2])
    url = f"http://127.0.0.1:{port}"
    transfer.WORK.mkdir(parents=True, exist_ok=True)
    os.environ.update(transfer.settings(ready, url))
    # With a link between, the endpoint is given with the command.
    del os.environ["RCLONE_CONFIG_BENCH_ENDPOINT"]
    source = transfer.upload(url, ready, python)
    upload_sets(url, python)
    record = {"machine": machine(), "rounds": chosen.rounds, "bytes": transfer.BYTES, "downloads": {}, "rows": {}}
    with open_gateway(ready["filer"], python) as gateway:
        for name, numbers in LINKS.items():
            if chosen.link and chosen.link != name:
                continue
            with link(port, numbers) as near, link(gateway, numbers) as open_near:
                if chosen.only != "rows":
                    check = lambda _, folder: transfer.check(folder, source)
                    programs = downloads(near, open_near, python)
                    programs = {name: programs[name] for name in chosen.program or programs}
                    record["downloads"][name] = measure(programs, chosen.rounds, check)
                if chosen.only != "downloads":
                    record["rows"][name] = measure(rows(near), chosen.rounds, lambda *_: None)
            for table in ("downloads", "rows"):
                for program, figures in record[table].get(name, {}).items():
                    print(f"{name}: {program}: {figures['seconds']:.2f} s, {figures['peak_memory_mib']} MiB", flush=True)
    if chosen.record:
        write_record(chosen.record, record)
    shutil.rmtree(transfer.WORK, ignore_errors=True)


if __name__ == "__main__":
    main()
