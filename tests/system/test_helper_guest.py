"""The tests that are marked ``kernel``, all in one boot of a guest with Debian's kernel."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from support import helperguest

TESTS = Path(__file__).parent.parent
_PYTEST = ["-m", "pytest", "-m", "kernel", "-q", "-p", "no:cacheprovider", "--basetemp=/var/tmp/tests", "--durations=5"]


@pytest.mark.qemu
@pytest.mark.packages
@pytest.mark.root
@pytest.mark.timeout(600)
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root rights to share this machine's files with a guest")
@pytest.mark.skipif(helperguest.missing() != "", reason=helperguest.missing())
async def test_what_needs_another_kernel_holds_under_debians() -> None:
    files = [str(path) for path in sorted(TESTS.rglob("test_*.py")) if "pytest.mark.kernel" in path.read_text()]
    files.remove(str(Path(__file__)))
    outcome = helperguest.run(
        [sys.executable, *_PYTEST, *files],
        TESTS.parent,
        await helperguest.kernel(),
        patience=550,
        devices=helperguest.HARDWARE,
    )
    print(outcome.said)  # what took how long, for -s
    assert outcome.status is not None, f"{outcome.said}\n{outcome.console}"
    assert outcome.status == 0, outcome.said
