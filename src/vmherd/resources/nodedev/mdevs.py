"""Mediated devices: their definitions, and making them.

A definition is a file as mdevctl(8) has it, /etc/mdevctl.d/PARENT/UUID, so that both know the same ones.  Where mdevctl
is installed it does the work, since it may run scripts of the hardware's maker; else it is done in sysfs.

Source: mdevctl(8); Documentation/driver-api/vfio-mediated-device.rst of Linux.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from vmherd.conf.nodedev.kinds import Mdev, MdevAttribute, MdevKind
from vmherd.errors import HostError, InvalidState
from vmherd.resources.nodedev.sysfs import Sysfs, names
from vmherd.util import command
from vmherd.util.files import on_host, write_atomically

_TOOL = "mdevctl"
_FOLDER = "etc/mdevctl.d"
_NO_FOLDERS = ("scripts.d", "notification.d")


class _File(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What mdevctl keeps of a device; the order of the attributes matters."""

    mdev_type: str
    start: str = "manual"
    attrs: list[dict[str, str]] = []


class Definition(msgspec.Struct, frozen=True):
    """A mediated device: where it is made, and of which kind.  ``parent`` is the name in sysfs."""

    uuid: str
    parent: str
    kind: str
    autostart: bool = False
    attributes: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, mdev: Mdev, parent: str, *, autostart: bool = False) -> Definition:
        assert mdev.uuid is not None  # whoever reads a document gives it one
        attributes = tuple((each.name, each.value) for each in mdev.attributes)
        return cls(mdev.uuid, parent, mdev.kind.id, autostart, attributes)

    @property
    def capability(self) -> Mdev:
        attributes = [MdevAttribute(name=name, value=value) for name, value in self.attributes]
        return Mdev(kind=MdevKind(id=self.kind), uuid=self.uuid, parent_address=self.parent, attributes=attributes)

    def encoded(self) -> bytes:
        attrs = [{name: value} for name, value in self.attributes]
        kept = _File(mdev_type=self.kind, start="auto" if self.autostart else "manual", attrs=attrs)
        return msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n"


class Mdevs:
    """The mediated devices of a host."""

    def __init__(self, sysfs: Sysfs) -> None:
        self._sysfs = sysfs
        self._folder = sysfs.root / _FOLDER
        #: Whether mdevctl does the work, and starts by itself what shall start by itself.
        self.has_tool = sysfs.is_ours and shutil.which(_TOOL) is not None

    def defined(self) -> Iterator[Definition]:
        """Every definition; files that are none are left alone."""
        for parent in names(self._folder):
            if parent in _NO_FOLDERS:
                continue
            for uuid in names(self._folder / parent):
                if uuid.startswith("."):
                    continue
                with suppress(OSError, msgspec.DecodeError):
                    kept = msgspec.json.decode((self._folder / parent / uuid).read_bytes(), type=_File)
                    pairs = tuple(pair for each in kept.attrs for pair in each.items())
                    yield Definition(uuid, parent, kept.mdev_type, kept.start == "auto", pairs)

    def signature(self) -> tuple[tuple[str, int], ...]:
        """Another one after each change of a definition."""
        found = []
        for parent in ("", *names(self._folder)):
            with suppress(OSError):
                found.append((parent, (self._folder / parent).stat().st_mtime_ns))
        return tuple(found)

    def keep(self, definition: Definition) -> None:
        """Keep a definition, in the place of the one it had."""
        path = self._folder / definition.parent / definition.uuid
        with on_host("keep the definition of a mediated device"):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, definition.encoded(), mode=0o644, durable=True)

    def forget(self, definition: Definition) -> None:
        path = self._folder / definition.parent / definition.uuid
        with on_host("forget the definition of a mediated device"):
            path.unlink(missing_ok=True)
            with suppress(OSError):  # others are in it
                path.parent.rmdir()

    async def start(self, definition: Definition) -> None:
        """Make a device, or nothing.  Raises HostError where its parent cannot, or an attribute is refused."""
        if not self.has_tool:
            await asyncio.to_thread(_make, self._sysfs, definition)
            return
        with tempfile.NamedTemporaryFile(prefix="vmherd-", suffix=".json") as file:
            file.write(definition.encoded())
            file.flush()
            words = ["--parent", definition.parent, "--uuid", definition.uuid, "--jsonfile", file.name]
            await command.run([_TOOL, "start", *words])

    async def stop(self, uuid: str) -> None:
        """Remove a device.  Raises InvalidState while a guest has it."""
        require_unused(self._sysfs, self._sysfs.sys / "bus/mdev/devices" / uuid)
        if self.has_tool:
            await command.run([_TOOL, "stop", "--uuid", uuid])
            return
        with on_host(f"remove the mediated device {uuid}"):
            await asyncio.to_thread(self.remove, uuid)

    def remove(self, uuid: str) -> None:
        """Raises OSError, also where it is not there."""
        (self._sysfs.sys / "bus/mdev/devices" / uuid / "remove").write_text("1")


def _make(sysfs: Sysfs, definition: Definition) -> None:
    kinds = sysfs.sys / "class/mdev_bus" / definition.parent / "mdev_supported_types"
    create = kinds / definition.kind / "create"
    if not create.exists():
        known = ", ".join(names(kinds)) or "none"
        text = f"{definition.parent} cannot make mediated devices of type {definition.kind!r}"
        raise HostError(text, hint=f"its types are: {known}")
    device = sysfs.sys / "bus/mdev/devices" / definition.uuid
    with on_host(f"make a mediated device of {definition.parent}"):
        create.write_text(definition.uuid)
        try:
            for name, value in definition.attributes:
                _attribute(device, name).write_text(value)
        except BaseException:
            with suppress(OSError):
                (device / "remove").write_text("1")
            raise


def _attribute(device: Path, name: str) -> Path:
    """The file of an attribute, which is the device's own: the name comes from a document."""
    path = device / name
    if ".." in Path(name).parts or os.path.isabs(name) or not path.is_file():
        raise HostError(f"mediated device {device.name} has no attribute {name!r}", hint=f"see {device}")
    return path


def require_unused(sysfs: Sysfs, device: Path) -> None:
    """Raise InvalidState while a guest has a device: VFIO lets nobody else open its group."""
    group = device / "iommu_group"
    if not (sysfs.is_ours and group.is_symlink()):
        return
    path = f"/dev/vfio/{os.path.basename(os.readlink(group))}"
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError as problem:
        if problem.errno == errno.EBUSY:
            hint = "stop the guest, or detach the device from it, first"
            raise InvalidState(f"device {device.name} is in use by a guest ({path})", hint=hint) from None
