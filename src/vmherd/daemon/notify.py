"""Talking with systemd: sockets it opened for us, and how far we are (sd_listen_fds(3), sd_notify(3))."""

from __future__ import annotations

import logging
import os
import socket
import time

_FIRST = 3

log = logging.getLogger("vmherd.daemon")


def inherited() -> list[tuple[str, socket.socket]]:
    """The listening sockets that systemd gave this very process, with the names its units gave them.

    They can be asked for once: what this process starts is not to take them for its own.
    """
    told = {name: os.environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")}
    if told["LISTEN_PID"] != str(os.getpid()) or not told["LISTEN_FDS"].isdecimal():
        return []
    count = int(told["LISTEN_FDS"])
    names = told["LISTEN_FDNAMES"].split(":") if told["LISTEN_FDNAMES"] else []
    names += [""] * (count - len(names))
    found = []
    for fd, name in zip(range(_FIRST, _FIRST + count), names, strict=False):
        os.set_inheritable(fd, False)
        found.append((name, socket.socket(fileno=fd)))
    return found


def ready(status: str) -> None:
    """Everything is open; ``status`` is what 'systemctl status' shows."""
    _tell(f"READY=1\nSTATUS={status}")


def reloading() -> None:
    """The settings are being read anew; ``ready`` comes after that."""
    _tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> None:
    _tell("STOPPING=1")


def _tell(text: str) -> None:
    place = os.environ.get("NOTIFY_SOCKET", "")
    if place[:1] not in ("/", "@"):
        return  # nobody listens
    address = place.replace("@", "\0", 1) if place[0] == "@" else place
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(text.encode(), address)
    except OSError as problem:
        log.warning("cannot tell systemd %r: %s", text.partition("\n")[0], problem)
