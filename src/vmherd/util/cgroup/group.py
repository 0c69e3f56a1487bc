"""One group of processes: the folder of that name in each hierarchy.

In v1 a thread may be in another group than its process, controller by controller.  In v2 the groups of threads are
below that of their process and are "threaded": they share all but CPU time and CPUs with it.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vmherd.util.cgroup.layout import Hierarchy, Layout

#: What groups of threads can have of their own in v2.
_THREADED = ("cpu", "cpuset")
#: Milliseconds that a process which has just ended may still be seen in its group, and between two looks.
_LINGER, _LOOK = 50, 5


class Group:
    """``name`` is a path below the root of each hierarchy, such as "machine/web"."""

    def __init__(self, layout: Layout, name: str) -> None:
        self.layout = layout
        self.name = name

    def has(self, controller: str) -> bool:
        """Whether that controller limits this group."""
        return controller in self.layout and self.folder(controller).is_dir()

    def is_unified(self, controller: str) -> bool:
        return self.layout.controllers[controller].unified

    def folder(self, controller: str) -> Path:
        return self.layout.controllers[controller].root / self.name

    @property
    def folders(self) -> list[Path]:
        """In every hierarchy."""
        return [hierarchy.root / self.name for hierarchy in self.layout.hierarchies]

    def create(self) -> None:
        """Make it where it is not there, with those above it.  Raises OSError where that is not allowed."""
        for hierarchy in self.layout.hierarchies:
            place = hierarchy.root
            for word in self.name.split("/"):
                if hierarchy.unified:
                    self._hand_down(hierarchy, place)
                place /= word
                place.mkdir(exist_ok=True)
                self._inherit_cpus(hierarchy, place)

    def _hand_down(self, hierarchy: Hierarchy, place: Path) -> None:
        """Let the groups in ``place`` have its controllers; one that cannot be had is left out."""
        for word in _read(place / "cgroup.controllers").split():
            with suppress(OSError):
                (place / "cgroup.subtree_control").write_text(f"+{word}")

    def _inherit_cpus(self, hierarchy: Hierarchy, place: Path) -> None:
        """A new group of v1's cpuset has no CPU and no node, and takes no process before it has."""
        if hierarchy.unified or self.layout.controllers.get("cpuset") != hierarchy:
            return
        for name in ("cpuset.cpus", "cpuset.mems"):
            if not _read(place / name).strip():
                (place / name).write_text(_read(place.parent / name))

    def add(self, pid: int) -> None:
        """Move a process here, with all of its threads, in every hierarchy that has the group."""
        for folder in self.folders:
            if folder.is_dir():
                (folder / "cgroup.procs").write_text(str(pid))

    def threads(self, name: str) -> ThreadGroup:
        """A group below for some threads of the processes here, that has their CPU time; made if it is not there."""
        return ThreadGroup(self, name)

    def read(self, controller: str, file: str) -> str:
        """The content of a file of the group; "" where there is none."""
        return _read(self.folder(controller) / file)

    def write(self, controller: str, file: str, value: str) -> None:
        (self.folder(controller) / file).write_text(value)

    def remove(self) -> None:
        """Remove it with what is below; nothing happens where it is not there."""
        for folder in self.folders:
            remove(folder)


class ThreadGroup(Group):
    """A group of threads: in v1 of the controller ``cpu`` alone, in v2 threaded."""

    def __init__(self, above: Group, name: str) -> None:
        super().__init__(Layout({"cpu": above.layout.controllers["cpu"]}), f"{above.name}/{name}")
        folder = self.folder("cpu")
        if folder.is_dir():
            return
        if self.is_unified("cpu"):
            for word in _THREADED:
                with suppress(OSError):
                    (folder.parent / "cgroup.subtree_control").write_text(f"+{word}")
        folder.mkdir()
        if self.is_unified("cpu"):
            (folder / "cgroup.type").write_text("threaded")

    def add_thread(self, tid: int) -> None:
        """Move a thread here; one that has ended is no mistake."""
        file = "cgroup.threads" if self.is_unified("cpu") else "tasks"
        with suppress(ProcessLookupError):
            (self.folder("cpu") / file).write_text(str(tid))


def remove(folder: Path) -> None:
    """Remove a group's folder with those below, as soon as its processes have left; nothing if it is not there."""
    for below in _groups_in(folder):
        remove(below)
    for _ in range(0, _LINGER, _LOOK):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            return
        except OSError as problem:
            if problem.errno != errno.EBUSY:
                raise
            time.sleep(_LOOK / 1000)
        else:
            return


def _groups_in(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            yield from [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
