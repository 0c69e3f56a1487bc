"""Control groups of version 2, proven by a kernel of our own: User-mode Linux has the controllers to itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parent.parent / "support"
INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 none /sys/fs/cgroup
{python} {script} 2>&1
halt -f -p || echo o >/proc/sysrq-trigger
sleep 10
"""


@pytest.mark.skipif(not shutil.which("linux.uml"), reason="needs a kernel to boot, of the package user-mode-linux")
def test_the_kernel_takes_every_limit_of_version_2(tmp_path: Path) -> None:
    init = tmp_path / "init"
    init.write_text(INIT.format(python=sys.executable, script=SUPPORT / "limits.py"))
    init.chmod(0o755)
    kernel = ["linux.uml", "mem=256M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", f"init={init}"]
    terminal = ["con=null", "con0=fd:0,fd:1", "quiet", f"uml_dir={tmp_path}"]
    done = subprocess.run([*kernel, *terminal], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("limits:")] or [done.stdout]
    assert json.loads(line.removeprefix("limits:")) == {
        "cpu.max": "20000 50000",
        "cpu.weight": "50",
        "memory.max": str(100 << 20),
        "memory.high": str(50 << 20),
        "memory.swap.max": str(50 << 20),
        "vcpu0": "10000 100000",
        "vcpu0 has its thread": True,
        "left": [],
    }
