"""A disk without room: clear errors, nothing lost, and everything works again once there is room."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.qemu

#: Runs with a small file system of its own at its first argument.
SCRIPT = """
import asyncio, os, sys
from pathlib import Path
from vmherd.api.aio import connect
from vmherd.errors import HostError

GUEST = (
    "<domain type='qemu'><name>{}</name><memory unit='MiB'>32</memory>"
    "<os><type arch='x86_64' machine='pc'>hvm</type></os></domain>"
)

def fill(path):
    fd = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(fd, bytes(4096))
    except OSError:
        os.close(fd)

async def main(root):
    async with await connect(f"qemu:///embed?root={root}") as host:
        first = await host.define(GUEST.format("first"))
        fill(root / "fill")
        for work in (
            host.define(GUEST.format("second")), first.start(), host.create(GUEST.format("third")), first.undefine()
        ):
            try:
                await work
            except HostError as problem:
                assert problem.hint == "make room on the disk", problem
            else:
                raise AssertionError("a full disk went unnoticed")
        assert [(info.name, info.active) for info in await host.domains()] == [("first", False)]
        assert not list((root / "run" / "guests").iterdir())
        (root / "fill").unlink()
        await first.start()
        await first.poweroff()
        await first.undefine()
        print("well")

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    alone = ["unshare", "--mount", "--user", "--map-root-user", "--"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("this host allows no mount namespaces")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    small = tmp_path / "small"
    small.mkdir()
    steps = 'mount -t tmpfs -o size=1m small "$1" && exec "$2" "$3" "$1"'
    done = subprocess.run(
        [*alone, "sh", "-c", steps, "sh", small, sys.executable, script], capture_output=True, text=True, timeout=100
    )
    assert done.stdout == "well\n", done.stderr
