"""The sockets a daemon listens on: opened here, or by systemd."""

from __future__ import annotations

import contextlib
import fcntl
import grp
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import Self

import msgspec

from vmherd.daemon import notify, places
from vmherd.daemon.config import Config, Sockets
from vmherd.daemon.places import Place
from vmherd.errors import Busy, HostError
from vmherd.util.files import on_host
from vmherd.util.sockets import connect_unix, listen_unix

BACKLOG = 1000


class Kind(Enum):
    """Through which door somebody comes."""

    READ_WRITE = places.READ_WRITE
    READ_ONLY = places.READ_ONLY
    ADMIN = places.ADMIN
    TCP = "tcp"
    TLS = "tls"


_PATHS = (Kind.READ_WRITE, Kind.READ_ONLY, Kind.ADMIN)


class Door(msgspec.Struct, frozen=True):
    """One listening socket."""

    kind: Kind
    socket: socket.socket

    @property
    def name(self) -> str:
        """Where it is: a path, or an address."""
        place = self.socket.getsockname()
        if isinstance(place, str):
            return place
        host = f"[{place[0]}]" if ":" in place[0] else place[0]
        return f"{self.kind.value} {host}:{place[1]}"


@contextlib.contextmanager
def claimed(place: Place, *, patience: float = 0.0) -> Iterator[None]:
    """Be the one daemon of a folder, after waiting ``patience`` seconds at most for another one to leave it.

    Raises Busy if it stays, HostError if the folder cannot be made.
    """
    with on_host("make the folder of the daemon's sockets"):
        place.folder.mkdir(mode=0o755 if place.system else 0o700, parents=True, exist_ok=True)
        fd = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(fd, place, time.monotonic() + patience)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, place: Place, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            pid = os.pread(fd, 20, 0).decode().strip() or "unknown"
            raise Busy(
                f"a daemon runs already in {place.folder}, as process {pid}",
                hint=f"'kill {pid}' asks it to leave; guests run on",
            ) from None
        return


class Doors:
    """Every door that the settings ask for, or that systemd has opened; use it as a context manager.

    Raises HostError for a path or an address that cannot be had.
    """

    def __init__(self, place: Place, config: Config) -> None:
        self.open: list[Door] = []
        self._place = place
        self._config = config
        self._sockets = ExitStack()
        self._paths = ExitStack()
        self._inherited = [_taken(name, each) for name, each in notify.inherited()]

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.close)
            given = {door.kind for door in self._inherited}
            self.open = [*self._inherited, *self.show()]
            for kind, addresses in ((Kind.TCP, self._config.tcp.listen), (Kind.TLS, self._config.tls.listen)):
                for address in () if kind in given else addresses:
                    self._open_internet(kind, address)
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self) -> list[Door]:
        """Open our paths, for the first time or once they were hidden; what is open now."""
        given = {door.kind for door in self._inherited}
        paths = [(kind, self._place.folder / kind.value) for kind in _PATHS if kind not in given]
        if self._config.sockets.libvirt_paths:
            paths += [(kind, self._place.libvirt / kind.value) for kind in _PATHS]
        return [self._listening(path, kind) for kind, path in paths]

    def hide(self) -> None:
        """Let nobody find our paths any more; who has come already can still be let in.

        Doors that systemd has opened stay: it starts another daemon for who comes next.
        """
        self._paths.close()

    def close(self) -> None:
        self.hide()
        self._sockets.close()
        self.open = []

    def _listening(self, path: Path, kind: Kind) -> Door:
        settings = self._config.sockets
        door = Door(kind, self._sockets.enter_context(_listen(path, _mode(settings, kind), settings.group)))
        self._paths.callback(_remove, path, path.stat())
        return door

    def _open_internet(self, kind: Kind, address: str) -> None:
        host, _, port = address.rpartition(":")
        try:
            for family, _, _, _, place in _resolved(host.strip("[]*"), int(port)):
                listening = self._sockets.enter_context(socket.socket(family, socket.SOCK_STREAM))
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listening.bind(place)
                listening.listen(BACKLOG)
                self.open.append(Door(kind, listening))
        except (OSError, OverflowError) as problem:
            hint = "take an address of this host and a free port"
            raise HostError(f"cannot listen at {address} ({kind.value}.listen): {problem}", hint=hint) from None


def _mode(sockets: Sockets, kind: Kind) -> int:
    match kind:
        case Kind.READ_ONLY:
            return sockets.readonly_mode
        case Kind.ADMIN:
            return sockets.admin_mode
    return sockets.mode


def _taken(name: str, found: socket.socket) -> Door:
    """A socket of systemd's: its unit names it like a file of ours, or its file has the name."""
    told = found.getsockname()
    for word in (name, Path(told).name if isinstance(told, str) else ""):
        with contextlib.suppress(ValueError):
            return Door(Kind(word), found)
    known = ", ".join(kind.value for kind in Kind)
    raise HostError(
        f"systemd gave a socket {name or told!r}, which is none of ours",
        hint=f"FileDescriptorName in its unit is one of {known}",
    )


def _listen(path: Path, mode: int, group: str) -> socket.socket:
    with on_host(f"listen at {path}"):
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if _answers(path):
            hint = "stop libvirtd or virtqemud, or set libvirt_paths = false"
            raise HostError(f"somebody listens at {path} already", hint=hint)
        # Nobody but us may use it until its owner and its mode are right.
        listening = listen_unix(path, backlog=BACKLOG)
        try:
            if group:
                os.chown(path, -1, _gid(group))
            path.chmod(mode)
        except BaseException:
            listening.close()
            path.unlink(missing_ok=True)
            raise
    return listening


def _answers(path: Path) -> bool:
    """Whether a process listens at a path, so that it is not a leftover."""
    try:
        connect_unix(path).close()
    except BlockingIOError:
        return True  # so many wait for it that there is no room for us
    except OSError:
        return False
    return True


def _remove(path: Path, made: os.stat_result) -> None:
    with contextlib.suppress(OSError):
        if os.path.samestat(path.stat(), made):
            path.unlink()


def _gid(group: str) -> int:
    if group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise HostError(f"sockets.group: no group {group!r} here", hint=f"'groupadd {group}' makes it") from None


def _resolved(host: str, port: int) -> Sequence[tuple[socket.AddressFamily, object, object, object, tuple[str, int]]]:
    if port > 65535:
        raise OSError("there are ports up to 65535")  # the resolver would take what is left of it in 16 bits
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # The kernel may be built without IPv6; the empty address is nevertheless resolved for it.
    return [each for each in found if each[0] != socket.AF_INET6 or socket.has_ipv6]  # type: ignore[misc]
