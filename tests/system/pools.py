"""A daemon in namespaces of its own, for pools; and programs that only play theirs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import RunningDaemon
from namespaces import Host as OwnHost


@pytest.fixture(name="daemon")
def storage_daemon(own: OwnHost, tmp_path: Path) -> Iterator[RunningDaemon]:
    """A daemon that keeps its pools in the test's folder, and mounts them where nobody else sees it."""
    daemon = RunningDaemon(tmp_path, uri=f"qemu:///embed?root={tmp_path / 'root'}")
    try:
        yield daemon.start(words=own.words)
    finally:
        daemon.__exit__()


def blank(path: Path, megabytes: int) -> Path:
    """An empty disk in a file."""
    with path.open("xb") as file:
        file.truncate(megabytes << 20)
    return path


def define(daemon: RunningDaemon, folder: Path, text: str) -> None:
    """Define a pool by its document."""
    document = folder / "pool.xml"
    document.write_text(text)
    assert "defined" in daemon.virsh("pool-define", str(document))


class Programs:
    """A folder of programs that note how they are called, and say what was recorded of the real ones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / ".called"
        folder.mkdir()

    @property
    def path(self) -> str:
        """The PATH in which they come first."""
        return f"{self._folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    def say(self, program: str, arguments: str, output: str = "", *, status: int = 0, do: str = "") -> None:
        """What a program says to these arguments from now on; ``do`` is what a shell does before that.

        Arguments that were not recorded make it fail.
        """
        script = self._folder / program
        script.write_text(_SCRIPT.format(program=program, log=self._log, answers=self._answers(program)))
        script.chmod(0o755)
        self._answer(program, arguments).write_text(_spoken(output, status, do))

    def begin_to_say(self, program: str, arguments: str, output: str) -> str:
        """What a shell has to do so that it says so: for a program that changes what another one says."""
        return f"printf %s {shlex.quote(_spoken(output, 0, ''))} > '{self._answer(program, arguments)}'"

    def _answers(self, program: str) -> Path:
        answers = self._folder / f".{program}"
        answers.mkdir(exist_ok=True)
        return answers

    def _answer(self, program: str, arguments: str) -> Path:
        return self._answers(program) / arguments.replace("/", "|")

    def called(self) -> list[str]:
        """The command lines since the last time."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        self._log.write_text("")
        return lines


_SCRIPT = """#!/bin/sh
printf '%s\\n' "{program} $*" >> '{log}'
answer='{answers}'/$(printf %s "$*" | tr / '|')
[ -f "$answer" ] || {{ echo "nobody recorded: {program} $*" >&2; exit 99; }}
. "$answer"
"""


def _spoken(output: str, status: int, do: str) -> str:
    return f"{do}\nprintf '%s\\n' {shlex.quote(output)}\nexit {status}\n" if output else f"{do}\nexit {status}\n"


def own_dev(own: OwnHost) -> None:
    """Give a host of one's own a /dev with nothing but the plainest devices, in which things can be made."""
    nodes = "null zero full random urandom tty"
    script = f"mkdir /run/dev && mount -t tmpfs -o mode=755 own /run/dev && cd /dev && cp -a {nodes} /run/dev"
    own.run("sh", "-ec", f"{script} && ln -s /proc/self/fd /run/dev/fd && mount --move /run/dev /dev")
