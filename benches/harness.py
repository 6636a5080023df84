"""What the benches share: places, environments, runs and records."""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "viking-export-bench"
OURS = ROOT / "target/release/viking-export"


def environment(name, needs):
    """The interpreter of a virtual environment outside the tree with the packages of a file."""
    folder = CACHE / name
    stamp = folder / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != needs.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin/pip", "install", "-q", "-r", needs], check=True)
        stamp.write_text(needs.read_text())
    return folder / "bin/python"


def run_to_cat(file):
    """Seconds and peak memory in MiB of ours with a pipe to cat."""
    start = time.perf_counter()
    ours = subprocess.Popen([OURS, "cat", file], stdout=subprocess.PIPE)
    cat = subprocess.Popen(["cat"], stdin=ours.stdout, stdout=subprocess.DEVNULL)
    ours.stdout.close()
    _, status, usage = os.wait4(ours.pid, 0)
    if cat.wait() != 0 or status != 0:
        sys.exit(f"viking-export to cat failed on {file}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), "")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.platform(), "commit": commit.stdout.strip()}


def write_record(name, record):
    """Writes benches/record/NAME.json."""
    place = ROOT / "benches/record" / f"{name}.json"
    place.write_text(json.dumps(record, indent=1) + "\n")
