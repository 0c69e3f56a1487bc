"""Kernel modules: which others each needs, and the ``modules.dep`` that modprobe(8) reads.

Source: modules.dep(5); the ``depends`` entry that the kernel's build puts into the .modinfo section.
"""

from __future__ import annotations

import lzma
import re
from pathlib import PurePosixPath

from vmherd.errors import HostError

_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


def load(path: str, data: bytes) -> tuple[str, bytes]:
    """Path and content of a module, unpacked if it was packed."""
    return (path.removesuffix(".xz"), lzma.decompress(data)) if path.endswith(".xz") else (path, data)


def name_of(path: str) -> str:
    """``virtio_rng`` for ``kernel/drivers/char/hw_random/virtio-rng.ko``: dashes and underscores are one."""
    return PurePosixPath(path).name.partition(".")[0].replace("-", "_")


def closure(wanted: list[str], modules: dict[str, tuple[str, bytes]]) -> dict[str, list[str]]:
    """The ``wanted`` modules and all they need: each name with the names it needs directly.

    ``modules`` has path and content by name.  Raises HostError for one that the kernel lacks.
    """
    found: dict[str, list[str]] = {}
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if name not in modules:
            raise HostError(f"the kernel package has no module {name}")
        found[name] = _depends(modules[name][1])
        waiting += found[name]
    return found


def _depends(content: bytes) -> list[str]:
    match = _DEPENDS.search(content)
    return [name.replace("-", "_") for name in match[1].decode().split(",") if name] if match else []


def dependency_list(needs: dict[str, list[str]], paths: dict[str, str]) -> str:
    """``modules.dep``: for each module the paths of all it needs, in the order in which they are unloaded."""
    return "".join(f"{paths[name]}: {' '.join(paths[each] for each in _all(name, needs))}\n" for name in sorted(needs))


def _all(name: str, needs: dict[str, list[str]]) -> list[str]:
    """Everything a module needs, each before what it needs itself."""
    found: list[str] = []
    for each in needs[name]:
        for step in [each, *_all(each, needs)]:
            if step in found:
                found.remove(step)
            found.append(step)
    return found
