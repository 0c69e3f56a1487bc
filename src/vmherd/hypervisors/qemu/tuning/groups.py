"""The control group of a guest: made before its QEMU runs, removed when it has ended.

It is below "machine", as libvirt's are, or in the partition that the document names.  The guest's folder notes its
name, so that whoever sees the guest end can remove it.  Source: virCgroupNewPartition of libvirt.
"""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vmherd.util.cgroup.group import Group
from vmherd.util.cgroup.layout import Layout, detect
from vmherd.util.files import write_atomically

if TYPE_CHECKING:
    from vmherd.conf.domain import Domain
    from vmherd.hypervisors.qemu.config import Config

log = logging.getLogger("vmherd.qemu")

_NOTE = "cgroup"
_PARTITION = "machine"
#: Partitions whose names libvirt leaves as they are; all others get its suffix.
_PLAIN = ("machine", "system", "user")
_STRANGE = re.compile(r"[^A-Za-z0-9_.-]")
_NAME_SIZE = 64


def usable(config: Config) -> Layout:
    """The controllers that the administrator lets us use, and whose hierarchies we may make groups in."""
    found = detect().controllers.items()
    return Layout({name: tree for name, tree in found if name in config.cgroup_controllers and _is_ours(tree.root)})


def _is_ours(root: Path) -> bool:
    """Whether groups can be made there: a container may show its host's, read only."""
    try:
        (root / _PARTITION).mkdir(exist_ok=True)
    except OSError:
        return False
    return True


def name(domain: Domain) -> str:
    """The name of the group of a guest that is being started."""
    assert domain.uuid is not None  # the driver gives one to each document it reads
    plain = _STRANGE.sub("_", domain.name)[:_NAME_SIZE]
    return f"{_partition(domain)}/qemu-{domain.id}-{plain}-{domain.uuid[:8]}.vmherd"


def tell(domain: Domain) -> None:
    """Say in the document of a running guest where its group is."""
    from vmherd.conf.domain.domain import Resource

    domain.resource = domain.resource or Resource()
    domain.resource.partition = domain.resource.partition or f"/{_PARTITION}"


def _partition(domain: Domain) -> str:
    told = domain.resource.partition if domain.resource and domain.resource.partition else _PARTITION
    words = told.strip("/").split("/")
    return "/".join(word if word in _PLAIN or "." in word else f"{word}.partition" for word in words)


def create(folder: Path, layout: Layout, name: str) -> Group:
    """Make the group ``name`` for the guest that has this folder.  Raises OSError."""
    write_atomically(folder / _NOTE, name.encode())
    group = Group(layout, name)
    group.create()
    return group


def of(folder: Path) -> Group | None:
    """The group of the guest that has this folder."""
    try:
        name = (folder / _NOTE).read_text()
    except FileNotFoundError:
        return None
    return Group(detect(), name)


def admit(folder: Path, pid: int) -> None:
    """Put a helper of the guest that has this folder into its group, so that the guest's limits are the helper's."""
    try:
        if group := of(folder):
            group.add(pid)
    except ProcessLookupError:
        pass  # it has ended already
    except OSError as problem:
        log.warning("a helper runs outside of its guest's control group: %s", problem)


def remove(folder: Path) -> None:
    """Remove the group of a guest that has ended."""
    with suppress(FileNotFoundError):
        group = of(folder)
        try:
            if group:
                group.remove()
        except OSError as problem:
            log.warning("the control group %s stays: %s", group.name if group else "", problem)
