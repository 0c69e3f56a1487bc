"""How long the command line takes to start."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.figure import Figure, failed, middle

ROUNDS = 15

#: With compiled modules, as for every user; trying each command once makes them.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

#: Seconds after which a command that is tried is given up.
_PATIENCE = 60

_BARE = (sys.executable, "-c", "pass")


class Case(msgspec.Struct, frozen=True):
    """A command and the milliseconds it may take; ``first`` is what must be done before it."""

    what: str
    target: float
    argv: Sequence[str]
    first: Sequence[str] = _BARE


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as root:
        cases = _cases(str(Path(sys.executable).parent / "vmherd"), f"qemu:///embed?root={root}")
        problems = {case.what: _problem(case.first) or _problem(case.argv) for case in cases}
        working = [case for case in cases if not problems[case.what]]
        bare, *times = _measured([_BARE, *(case.argv for case in working)])
    found = {case.what: _figure(case, ms, bare) for case, ms in zip(working, times, strict=True)}
    return [found.get(case.what) or failed(case.what, problems[case.what]) for case in cases]


def _cases(vmherd: str, uri: str) -> list[Case]:
    define = [vmherd, "-c", uri, "create", "web", "--kernel", "/dev/null"]
    return [
        Case("start: import vmherd", 60, [sys.executable, "-c", "import vmherd"]),
        Case("start: vmherd --version", 120, [vmherd, "--version"]),
        Case("start: vmherd --help", 120, [vmherd, "--help"]),
        Case("start: vmherd list, test driver", 250, [vmherd, "-c", "test:///default", "list"]),
        Case("start: vmherd list, QEMU", 250, [vmherd, "-c", uri, "list"], define),
    ]


def _figure(case: Case, ms: float, bare: float) -> Figure:
    return Figure(
        what=case.what,
        value=ms,
        unit="ms",
        ratio=ms / bare,
        against=f"python -c pass: {bare:.1f} ms",
        target=f"<= {case.target:g} ms",
        reached=ms <= case.target,
    )


def _problem(argv: Sequence[str]) -> str:
    """Why a command does not work, or ""."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_PATIENCE, env=_ENVIRONMENT)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return str(problem)
    if done.returncode == 0:
        return ""
    said = done.stderr.strip().splitlines()
    return f"{' '.join(argv)} exits with {done.returncode}: {said[-1] if said else 'it says nothing'}"


def _measured(commands: list[Sequence[str]]) -> list[float]:
    """Milliseconds of each, all of them in turn, so that a disturbance hits every one alike."""
    times: list[list[float]] = [[] for _ in commands]
    for _ in range(ROUNDS):
        for argv, found in zip(commands, times, strict=True):
            began = time.perf_counter()
            # No timeout: with one, Python asks at growing intervals whether the command has ended.
            subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, env=_ENVIRONMENT)
            found.append(time.perf_counter() - began)
    return [middle(found) for found in times]
