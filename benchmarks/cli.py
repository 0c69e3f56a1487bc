"""How long the command line takes to start."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figure import Figure, at_most, middle

ROUNDS = 15

#: With compiled modules, as for every user; the first round makes them.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measure() -> list[Figure]:
    vmherd = str(Path(sys.executable).parent / "vmherd")
    with tempfile.TemporaryDirectory() as root:
        uri = f"qemu:///embed?root={root}"
        _define_one(vmherd, uri)
        cases = {
            "python -c pass": ([sys.executable, "-c", "pass"], None),
            "import vmherd": ([sys.executable, "-c", "import vmherd"], 60),
            "vmherd --version": ([vmherd, "--version"], 120),
            "vmherd --help": ([vmherd, "--help"], 120),
            "vmherd list": ([vmherd, "-c", uri, "list"], 250),
        }
        times = _measured([argv for argv, _ in cases.values()])
    bare = times[0]
    return [
        at_most(f"start: {name}", ms, "ms", target, f"python alone: {ms / bare:.1f} times as long")
        for (name, (_, target)), ms in zip(cases.items(), times, strict=True)
        if target
    ]


def _define_one(vmherd: str, uri: str) -> None:
    argv = [vmherd, "-c", uri, "create", "web", "--kernel", "/dev/null"]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def _measured(commands: list[list[str]]) -> list[float]:
    """Milliseconds of each, all of them in turn, so that a disturbance hits every one alike."""
    times: list[list[float]] = [[] for _ in commands]
    for _ in range(ROUNDS):
        for argv, found in zip(commands, times, strict=True):
            began = time.perf_counter()
            subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, env=_ENVIRONMENT)
            found.append(time.perf_counter() - began)
    return [middle(found) for found in times]
