"""A daemon of one's own, as a process, and libvirt's clients of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

PATIENCE = 20.0


class RunningDaemon:
    """``vmherd daemon`` with its sockets in ``folder`` and the settings ``text``; use it as a context manager."""

    def __init__(
        self, folder: Path, text: str = "", *, uri: str = "test:///default", words: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self.run = folder / "run"
        self.config = folder / "daemon.toml"
        self.log = folder / "daemon.log"
        self.uri = uri
        #: What comes before its command, such as that of somebody else's namespaces.
        self.words = words
        self.sockets = ""
        self.configure(text)
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, text: str) -> None:
        """Write the settings: those in ``text``, and ``sockets`` in their table."""
        self.config.write_text(f'uri = "{self.uri}"\n{text}\n[sockets]\nfolder = "{self.run}"\n{self.sockets}\n')

    def start(self, *, words: Sequence[str] = (), **more: object) -> Self:
        """Start it, and wait until it listens."""
        command = [*(words or self.words), sys.executable, "-m", "vmherd", "daemon", "--config", str(self.config)]
        before = self.said().count("listening at")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **more)  # type: ignore[call-overload]
        self.expect("listening at", at_least=before + 3)
        return self

    def expect(self, words: str, *, at_least: int = 1) -> None:
        """Wait until the log has these words that often."""
        deadline = time.monotonic() + PATIENCE
        while self.said().count(words) < at_least:
            ended = self.process is not None and self.process.poll() is not None
            assert not ended or self.said().count(words) >= at_least, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)

    def wait_for(self, true: Callable[[], bool]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit code."""
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.wait()

    # Clients

    def virsh(self, *words: str, readonly: bool = False) -> str:
        """What virsh says over a socket; its complaints where it fails."""
        name = "libvirt-sock-ro" if readonly else "libvirt-sock"
        scheme, _, path = self.uri.partition("://")
        place = "/system" if scheme == "qemu" else path
        return virsh(f"{scheme}+unix://{place}?socket={self.run / name}", *words)


def virsh(uri: str, *words: str) -> str:
    """What virsh says, without its empty lines."""
    done = subprocess.run(
        ["virsh", "-c", uri, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ | {"LC_ALL": "C"},
    )
    return "\n".join(line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip())
