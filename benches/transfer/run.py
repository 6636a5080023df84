"""Times viking-export fetch beside other programs that download from S3.

    python3 benches/transfer/run.py [--rounds N] [--record NAME]

Starts SeaweedFS on loopback with 16 objects of 32 MiB and one of 512 MiB, downloads them all in turns
with viking-export, curl, rclone, s5cmd, obstore and the AWS command line, four requests at a time, and prints
medians of wall and CPU time and ratios. Ours flushes every file to the disk before it counts, so the others
are followed by `sync`; curl and s5cmd, the fastest, are timed without it as well.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness import CACHE, OURS, ROOT, environment, machine, write_record

MIB = 1 << 20
OBJECTS = [(f"{number}.parquet", 32 * MIB) for number in range(16)] + [("large.parquet", 512 * MIB)]
BYTES = sum(size for _, size in OBJECTS)
JOBS = "4"
WORK = CACHE / "transfer"
# Runs the command behind it and flushes the disk.
THEN_SYNC = ["sh", "-c", '"$@" && sync', "sh"]

OBSTORE = """
import asyncio, os, sys, obstore
from obstore.store import S3Store
url, folder = sys.argv[1:]
store = S3Store("demo", endpoint=url, region=os.environ["AWS_REGION"], client_options={"allow_http": True})
async def load(name, gate):
    async with gate:
        with open(os.path.join(folder, os.path.basename(name)), "wb") as file:
            async for chunk in (await obstore.get_async(store, name)).stream(min_chunk_size=1 << 20):
                file.write(chunk)
async def main():
    gate = asyncio.Semaphore(4)
    names = [entry["path"] for page in obstore.list(store, "bench") for entry in page]
    await asyncio.gather(*(load(name, gate) for name in names))
asyncio.run(main())
"""


def upload(url, ready, python):
    """Random bytes that look like Parquet at both ends."""
    source = WORK / "source"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for name, size in OBJECTS:
        with open(source / name, "wb") as file:
            file.write(b"PAR1")
            for start in range(0, size - 8, MIB):
                file.write(os.urandom(min(MIB, size - 8 - start)))
            file.write(b"PAR1")
    s5cmd = python.parent / "s5cmd"
    command = [s5cmd, "--endpoint-url", url, "cp", f"{source}/", "s3://demo/bench/"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return source


def programs(ready, url, python):
    """For each program the command that downloads everything into the folder that is put behind it."""
    binaries = python.parent
    curl = ["curl", "--silent", "--noproxy", "*", "--parallel", "--parallel-max", JOBS, "--no-progress-meter", "--fail", "--config", str(WORK / "curl.cfg")]
    rclone = [binaries / "rclone", "copy", "--quiet", "--transfers", JOBS, "bench:demo/bench"]
    s5cmd = [binaries / "s5cmd", "--log", "error", "--endpoint-url", url, "--numworkers", JOBS, "cp", "s3://demo/bench/*"]
    aws = [binaries / "aws", "--endpoint-url", url, "s3", "cp", "--quiet", "--recursive", "s3://demo/bench/"]
    ours = [OURS, "--quiet", "fetch", "tos://demo/bench", "--jobs", JOBS, "--tos-endpoint", ready["tos"], "--dir"]
    return {
        "viking-export": lambda folder: [*ours, folder / "run"],
        "viking-export --verify full": lambda folder: [*ours, folder / "run", "--verify", "full"],
        "curl": lambda folder: [*THEN_SYNC, *curl, "--output-dir", folder],
        "curl without sync": lambda folder: [*curl, "--output-dir", folder],
        "rclone": lambda folder: [*THEN_SYNC, *rclone, folder],
        "s5cmd": lambda folder: [*THEN_SYNC, *s5cmd, f"{folder}/"],
        "s5cmd without sync": lambda folder: [*s5cmd, f"{folder}/"],
        "obstore": lambda folder: [*THEN_SYNC, python, "-c", OBSTORE, url, folder],
        "aws": lambda folder: [*THEN_SYNC, *aws, folder],
    }


def curl_config(url, keys, region):
    """Writes what curl needs to download everything from `url`."""
    lines = [f'user = "{keys[0]}:{keys[1]}"', f'aws-sigv4 = "aws:amz:{region}:s3"']
    for name, _ in OBJECTS:
        lines += [f'url = "{url}/demo/bench/{name}"', f'output = "{name}"']
    config = WORK / "curl.cfg"
    config.touch(mode=0o600)
    config.write_text("\n".join(lines) + "\n")
    return config


def settings(ready, url):
    """What each program needs to find the server."""
    keys = ready["access_key"], ready["secret_key"]
    curl_config(url, keys, ready["region"])
    return {
        "PATH": os.environ["PATH"], "HOME": str(WORK), "NO_PROXY": "*",
        "VOLCENGINE_ACCESS_KEY": keys[0], "VOLCENGINE_SECRET_KEY": keys[1], "VOLCENGINE_REGION": ready["region"],
        "AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1], "AWS_REGION": ready["region"],
        "RCLONE_CONFIG_BENCH_TYPE": "s3", "RCLONE_CONFIG_BENCH_PROVIDER": "Other",
        "RCLONE_CONFIG_BENCH_ACCESS_KEY_ID": keys[0], "RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY": keys[1],
        "RCLONE_CONFIG_BENCH_ENDPOINT": url, "RCLONE_CONFIG_BENCH_REGION": ready["region"],
        "RCLONE_CONFIG": os.devnull,
    }  # fmt: skip


def timed(command, variables):
    """Wall seconds, CPU seconds with children, and peak memory in MiB of one process and its children."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], env=variables)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if status != 0:
        sys.exit(f"{command[0]} failed")
    return seconds, cpu, usage.ru_maxrss / 1024


def check(folder, source):
    for name, _ in OBJECTS:
        path = next(folder.rglob(name))
        subprocess.run(["cmp", "--silent", path, source / name], check=True)


def download(program, command, variables, source, checked):
    folder = WORK / "target"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    # What one program left to be written to the disk must not slow the next one down.
    os.sync()
    taken = timed(command(folder), variables)
    if program not in checked:
        check(folder, source)
        checked.add(program)
    return taken


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record")
    chosen = parser.parse_args()
    python = environment("transfer-python", ROOT / "benches/transfer/requirements.txt")
    if "VIKING_TEST_S3" not in os.environ:
        subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True)
        server = [python, ROOT / "fixtures/seaweedfs/serve.py", python, __file__, *sys.argv[1:]]
        sys.exit(subprocess.run(server).returncode)
    ready = json.loads(os.environ["VIKING_TEST_S3"])
    url = ready["tos"].replace("tos.localhost", "127.0.0.1")
    WORK.mkdir(parents=True, exist_ok=True)
    variables = settings(ready, url)
    os.environ.update(variables)
    source = upload(url, ready, python)
    commands, checked = programs(ready, url, python), set()
    runs = {program: [] for program in commands}
    for _ in range(chosen.rounds):
        for program, command in commands.items():
            runs[program].append(download(program, command, variables, source, checked))
    record = {"machine": machine(), "rounds": chosen.rounds, "bytes": BYTES, "jobs": int(JOBS), "programs": {}}
    medians = {program: [statistics.median(column) for column in zip(*taken)] for program, taken in runs.items()}
    ours = medians["viking-export"]
    for program, (seconds, cpu, _) in medians.items():
        peak = max(memory for _, _, memory in runs[program])
        record["programs"][program] = {
            "seconds": round(seconds, 3), "cpu_seconds": round(cpu, 3), "peak_memory_mib": round(peak),
            "wall_to_ours": round(seconds / ours[0], 2), "cpu_to_ours": round(cpu / ours[1], 2),
        }  # fmt: skip
        print(f"{program}: {seconds:.2f} s, CPU {cpu:.2f} s, {peak:.0f} MiB; to ours {seconds / ours[0]:.2f}, CPU {cpu / ours[1]:.2f}")
    if chosen.record:
        write_record(chosen.record, record)
    shutil.rmtree(WORK, ignore_errors=True)


if __name__ == "__main__":
    main()
