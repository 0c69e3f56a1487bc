"""What is mounted where.

Source: /proc/self/mountinfo in proc(5)
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from vmherd.util.files import on_host


class Mount(msgspec.Struct, frozen=True):
    """``source`` is as the file system names it: a device, HOST:/PATH, or just a word."""

    path: str
    type: str
    source: str


def mount_at(path: str | Path) -> Mount | None:
    """What is mounted on top at a place, None where there is just a folder or nothing.

    Links are followed only where nothing is found: whoever looks at the mount of a server that is gone waits for ever.
    """
    with on_host("read which file systems are mounted"), open("/proc/self/mountinfo") as lines:
        found = {each.path: each for each in map(_read, lines)}
    return found.get(os.path.normpath(path)) or found.get(os.path.realpath(path))


def _read(line: str) -> Mount:
    before, _, after = line.rstrip("\n").partition(" - ")
    kind, source, *_ = after.split(" ")
    return Mount(_plain(before.split(" ")[4]), kind, _plain(source))


def _plain(word: str) -> str:
    r"""Blanks and the like are written as \040."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), word)


def backing_file(device: str) -> str | None:
    """The file behind a loop device, None for any other."""
    try:
        return Path("/sys/class/block", os.path.basename(device), "loop/backing_file").read_text().rstrip("\n")
    except OSError:
        return None


def is_source(mount: Mount, path: str) -> bool:
    """Whether a mount is of this device, or of the image of a file system in this file."""
    real = os.path.realpath(path)
    return real in (os.path.realpath(mount.source), backing_file(mount.source))
