"""Which hierarchy has which controller on this host.

A v1 hierarchy is mounted for its controllers; all that no v1 hierarchy has are in the v2 tree, if that is mounted.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

#: Those that somebody here has a use for, by their v1 names; and the one that has another name in v2.
_USED = ("cpu", "cpuacct", "cpuset", "memory", "blkio", "devices")
_NEW_NAMES = {"io": "blkio"}


class Hierarchy(msgspec.Struct, frozen=True):
    """A tree of groups: where it is mounted, and whether it is the v2 one."""

    root: Path
    unified: bool


class Layout(msgspec.Struct, frozen=True):
    """The hierarchy of each controller, by its v1 name: cpu, cpuacct, cpuset, memory, blkio, devices."""

    controllers: dict[str, Hierarchy]

    def __contains__(self, controller: str) -> bool:
        return controller in self.controllers

    @property
    def hierarchies(self) -> list[Hierarchy]:
        """Each one once."""
        return list(dict.fromkeys(self.controllers.values()))


def detect(proc: Path = Path("/proc")) -> Layout:
    """What this host has; controllers that are in no hierarchy that is mounted are left out."""
    enabled = _of_this_process(proc)
    controllers: dict[str, Hierarchy] = {}
    unified: Path | None = None
    for place, kind, options in _mounts(proc):
        if kind == "cgroup2":
            unified = unified or place
        elif kind == "cgroup":
            found = Hierarchy(place, unified=False)
            controllers |= {name: found for name in options if name in enabled and name not in controllers}
    if unified:
        tree = Hierarchy(unified, unified=True)
        for word in _words(unified / "cgroup.controllers"):
            controllers.setdefault(_NEW_NAMES.get(word, word), tree)
        if controllers.get("cpu") == tree:
            controllers.setdefault("cpuacct", tree)
            controllers.setdefault("devices", tree)  # any process of ours may give a group a program
    return Layout({name: controllers[name] for name in _USED if name in controllers})


def _of_this_process(proc: Path) -> set[str]:
    """The v1 controllers that are in use, each with a line in /proc/self/cgroup: "4:cpu,cpuacct:/path"."""
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return set()
    return {name for line in lines for name in line.split(":", 2)[1].split(",") if name}


def _mounts(proc: Path) -> list[tuple[Path, str, list[str]]]:
    try:
        lines = (proc / "mounts").read_text().splitlines()
    except OSError:
        return []
    fields = [line.split(" ") for line in lines]
    return [(Path(where.replace("\\040", " ")), kind, options.split(",")) for _, where, kind, options, *_ in fields]


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
