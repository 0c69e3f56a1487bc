"""Which way commands take to the guests: through the daemon that serves them, or by themselves.

The system's guests are reached through its daemon while that runs.  A user's own daemon is started when a command needs
it, and leaves when nobody needs it.  ``VMHERD_DAEMON=never`` and ``--no-daemon`` have commands do without either.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

from vmherd.daemon.places import Place, session_place, system_place
from vmherd.driver.uri import default_uri, parse_uri
from vmherd.errors import HostError, InvalidArgument
from vmherd.util.files import on_host
from vmherd.util.paths import state_home
from vmherd.util.sockets import connect_unix

#: Seconds for a daemon to be ready.
_PATIENCE = 30.0
_DIRECTLY = "VMHERD_DAEMON=never does without a daemon"


def reach(uri: str, *, direct: bool = False, start: bool = True) -> str:
    """The URI to open for ``uri``, "" for the default one.

    ``direct`` goes by no daemon, without ``start`` none is started.  Raises HostError where one cannot be.
    """
    uri = uri or default_uri()
    if direct or not _wanted():
        return uri
    place = _served(uri)
    if place is None:
        return uri
    if not _listens(place.socket):
        if place.system or not start:
            return uri
        _start(place)
    scheme, _, path = place.uri.partition("://")
    return f"{scheme}+unix://{path}?socket={quote(str(place.socket))}"


def _wanted() -> bool:
    told = os.environ.get("VMHERD_DAEMON", "auto")
    if told not in ("auto", "never"):
        raise InvalidArgument(f"VMHERD_DAEMON is {told!r}", hint="it can be auto or never")
    return told == "auto"


def _served(text: str) -> Place | None:
    """The place of the daemon that would serve a URI."""
    uri = parse_uri(text)
    if uri.transport or uri.host or uri.params:
        return None
    match uri.scheme, uri.path:
        case "qemu", "/system":
            return system_place()
        case "qemu", "/session":
            return session_place()
    return None


def _listens(path: Path) -> bool:
    try:
        connect_unix(path).close()
    except (BlockingIOError, PermissionError):
        return True  # it is there, be it that it is busy, or not for us
    except OSError:
        return False
    return True


def _start(place: Place) -> None:
    """Start the user's daemon, unless somebody else does, and wait until it listens."""
    log = state_home() / "vmherd" / "daemon.log"
    with on_host("start the session's daemon"):
        place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (place.folder / "start.lock").open("ab") as turn, log.open("ab") as output:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if not _listens(place.socket):
                began = output.tell()
                _wait(place, _spawn(output.fileno()), log, began)


def _spawn(output: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "vmherd", "daemon", "--session", "--on-demand"],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd="/",
        start_new_session=True,
    )


def _wait(place: Place, process: subprocess.Popen[bytes], log: Path, began: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not _listens(place.socket):
        if process.poll() is not None:
            raise HostError(f"the session's daemon did not start: {_complaint(log, began)}", hint=_DIRECTLY)
        if time.monotonic() > deadline:
            raise HostError(f"the session's daemon is not ready after {_PATIENCE:.0f} s", hint=_DIRECTLY)
        time.sleep(0.01)
    process.returncode = 0  # it outlives us


def _complaint(log: Path, began: int) -> str:
    """What it said last, without its hint."""
    with log.open("rb") as file:
        file.seek(began)
        lines = [line for line in file.read().decode(errors="replace").splitlines() if not line.startswith("hint:")]
    return f"{lines[-1].removeprefix('error: ')} (see {log})" if lines else f"see {log}"
