"""A device in sysfs: its attributes, and what udev knows of it where udev runs.

Source: Documentation/ABI/testing/sysfs-* and Documentation/admin-guide/sysfs-rules.rst of Linux; udev(7), sd-device(3).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path


class Sysfs:
    """The sysfs of this host, or with ``root`` a recorded one: a folder with ``sys`` and what belongs to it."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root.resolve()
        self.sys = self.root / "sys"

    @property
    def is_ours(self) -> bool:
        """Whether it is that of the kernel we run on."""
        return self.root == Path("/")

    @property
    def is_watched(self) -> bool:
        """Whether udev looks at each device that comes.  It does so in one network namespace, that of the system."""
        if not (self.root / "run/udev/control").exists():
            return False
        with suppress(OSError):
            return os.readlink("/proc/self/ns/net") == os.readlink("/proc/1/ns/net")
        return True

    def node(self, path: Path) -> Node:
        """The device of a folder, or of a link to it."""
        return Node(Path(os.path.realpath(path)), self)

    def listed(self, folder: str) -> Iterator[Node]:
        """The devices in a folder such as bus/pci/devices."""
        for name in names(self.sys / folder):
            yield self.node(self.sys / folder / name)


def names(folder: Path) -> list[str]:
    """What is in a folder, in order; nothing if it is not there."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


class Node:
    """One device; whatever cannot be read of it, since it just went, is not there."""

    def __init__(self, path: Path, sysfs: Sysfs) -> None:
        self.path = path
        self.sysfs = sysfs
        self.name = path.name

    @property
    def place(self) -> str:
        """Its path as the host has it."""
        return f"/{self.path.relative_to(self.sysfs.root)}"

    def text(self, attribute: str) -> str | None:
        """An attribute without the blanks around it."""
        try:
            return (self.path / attribute).read_bytes().decode(errors="replace").strip(" \n\t\0")
        except OSError:
            return None

    def number(self, attribute: str, base: int = 10) -> int | None:
        return _number(self.text(attribute), base)

    def target(self, link: str) -> str:
        """The name of what a link leads to, "" if there is none."""
        try:
            return os.path.basename(os.readlink(self.path / link))
        except OSError:
            return ""

    @property
    def driver(self) -> str:
        return self.target("driver")

    @cached_property
    def subsystem(self) -> str:
        return self.target("subsystem")

    @cached_property
    def event(self) -> dict[str, str]:
        """What the kernel tells of it in its events."""
        lines = (self.text("uevent") or "").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    @property
    def type(self) -> str:
        """What the kernel calls a device of several kinds that one subsystem has: "disk", "partition", ..."""
        return self.event.get("DEVTYPE", "")

    @cached_property
    def _udev(self) -> tuple[dict[str, str], list[str]]:
        """What udev found out, and its names for the device's file."""
        found: dict[str, str] = {}
        links: list[str] = []
        for line in self._udev_lines():
            kind, _, rest = line.partition(":")
            if kind == "E" and "=" in rest:
                key, _, value = rest.partition("=")
                found[key] = value
            elif kind == "S":
                links.append(f"/dev/{rest}")
        return found, sorted(links)

    @property
    def is_looked_at(self) -> bool:
        """Whether udev has noted what it knows of it, and is not about to give it another name."""
        return self._udev_file.exists() and self._udev[0].get("ID_RENAMING") != "1"

    def _udev_lines(self) -> list[str]:
        try:
            return self._udev_file.read_text(errors="replace").splitlines()
        except OSError:
            return []

    @property
    def _udev_file(self) -> Path:
        return self.sysfs.root / "run/udev/data" / self._udev_id()

    def _udev_id(self) -> str:
        if number := self.text("dev"):
            return f"{'b' if self.subsystem == 'block' else 'c'}{number}"
        if self.subsystem == "net":
            return f"n{self.text('ifindex')}"
        return f"+{self.subsystem}:{self.name}"

    def known(self, key: str) -> str | None:
        """A property that udev, or else the kernel, tells."""
        return self._udev[0].get(key) or self.event.get(key)

    @property
    def links(self) -> list[str]:
        return self._udev[1]

    @property
    def file(self) -> str | None:
        """The device's file in /dev."""
        name = self.event.get("DEVNAME")
        return f"/dev/{name.removeprefix('/dev/')}" if name else None


def _number(text: str | None, base: int) -> int | None:
    try:
        return int(text or "", base)
    except ValueError:
        return None
