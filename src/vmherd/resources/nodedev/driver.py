"""The devices of this host."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self
from uuid import uuid4

from vmherd.conf.nodedev import Device, parse_device, render
from vmherd.conf.nodedev.kinds import FibreChannel, Mdev, ScsiHost
from vmherd.driver.nodedev import DeviceInfo, NodeDeviceDriver
from vmherd.driver.uri import ConnectURI
from vmherd.errors import (
    AlreadyExists,
    HostError,
    InvalidArgument,
    InvalidState,
    NodeDeviceNotFound,
    OperationUnsupported,
    Unsupported,
    VmherdError,
)
from vmherd.events import ResourceEvent, Subscription
from vmherd.resources.nodedev import assign, vports
from vmherd.resources.nodedev.begun import Begun
from vmherd.resources.nodedev.mdevs import Definition, Mdevs
from vmherd.resources.nodedev.sysfs import Sysfs
from vmherd.resources.nodedev.tree import Found, look
from vmherd.resources.nodedev.uevents import Monitor
from vmherd.resources.nodedev.view import View, as_defined, look_around, name_of
from vmherd.resources.nodedev.watch import Watch
from vmherd.state.notify import ping
from vmherd.state.places import Places, of_uri
from vmherd.util import command
from vmherd.util.aside import whole
from vmherd.util.files import write_atomically
from vmherd.util.process import boot_id

log = logging.getLogger("vmherd.nodedev")

_MAKING, _BINDING = "make", "bind"
#: Seconds until a device that was made is there, at most; libvirt waits as long.
_PATIENCE = 60.0


class LocalDevices(NodeDeviceDriver):
    """The devices in sysfs; with ``root`` those of a host that was recorded."""

    def __init__(self, uri: ConnectURI, places: Places, root: Path = Path("/")) -> None:
        super().__init__(uri)
        self._sysfs = Sysfs(root)
        self._mdevs = Mdevs(self._sysfs)
        self._places = places
        self._monitor = Monitor(udev=self._sysfs.is_watched) if self._sysfs.is_ours else None
        self._view: View | None = None
        self._signature: object = None
        self._looking = asyncio.Lock()
        self._listeners = places.run / "listeners"
        self._begun = Begun(places.run)
        self._watch = Watch(self._listeners, self._monitor, self._now)

    @classmethod
    async def open(cls, uri: ConnectURI, *, readonly: bool = False) -> Self:
        driver = cls(uri, of_uri(uri, "nodedev"))
        await driver.attend()
        return driver

    async def attend(self) -> None:
        """Make good what others began who were killed; once after each boot, make what starts by itself."""
        await self._begun.make_good(self._undo)
        await self._start_those_that_shall()

    def _undo(self, doing: str, device: str) -> None:
        with suppress(OSError, HostError):
            if doing == _MAKING:
                self._mdevs.remove(device)
            else:
                assign.find_driver(self._sysfs, device)

    async def close(self) -> None:
        self._watch.close()
        if self._monitor:
            self._monitor.close()

    async def _start_those_that_shall(self) -> None:
        """Once after each boot, make the mediated devices that start by themselves; mdevctl does it where it is."""
        mark = self._places.run / "started"
        if self._mdevs.has_tool or (mark.exists() and mark.read_text() == boot_id()):
            return
        if any(definition.autostart for definition in self._mdevs.defined()):
            for name, definition in (await self._now()).defined.items():
                if definition.autostart:
                    await self._start_by_itself(name)
        write_atomically(mark, boot_id().encode())

    async def _start_by_itself(self, name: str) -> None:
        try:
            await self.device_start(name)
        except InvalidState:
            return  # somebody else made it
        except VmherdError as problem:
            log.warning("cannot make device %s by itself: %s", name, problem)

    # What there is

    async def _now(self) -> View:
        """Everything; it is looked at again only when something changed."""
        async with self._looking:
            changed = self._watch.is_stale() or self._monitor is None
            signature = self._mdevs.signature()
            if self._view is None or changed or signature != self._signature:
                self._signature = signature
                self._view = await asyncio.to_thread(look_around, self._sysfs, self._mdevs)
            return self._view

    async def device_list(self) -> list[DeviceInfo]:
        return (await self._now()).infos()

    async def device_find(self, name: str) -> DeviceInfo:
        return (await self._now()).get(name).info

    async def device_by_wwn(self, wwnn: str, wwpn: str) -> DeviceInfo:
        found = _by_wwn(await self._now(), wwnn, wwpn)
        if found is None:
            raise NodeDeviceNotFound(f"{wwnn}:{wwpn}")
        return found

    async def device_xml(self, name: str, *, inactive: bool = False) -> str:
        view = await self._now()
        found = view.get(name)
        if inactive and name in view.defined:
            return render(as_defined(view.defined[name], name, found.info.parent))
        if not found.info.active:
            return render(found.device)
        device = await asyncio.to_thread(look, found, self._sysfs)
        if isinstance(device.capability, Mdev) and name in view.defined:
            device.capability.attributes = view.defined[name].capability.attributes
        return render(device)

    async def events(self, *wanted: type[ResourceEvent]) -> Subscription[ResourceEvent]:
        return await self._watch.subscribe(*wanted)

    # PCI devices for guests

    async def device_detach(self, name: str, driver: str = "") -> None:
        assign.require_driver(driver)
        path = await self._pci(name)
        if self._sysfs.is_ours and not assign.has_vfio(self._sysfs):
            with suppress(HostError):  # `detach` tells that it is not there
                await command.run(["modprobe", "vfio-pci"], patience=10)
        await self._bind(assign.detach, path)

    async def device_reattach(self, name: str) -> None:
        await self._bind(assign.reattach, await self._pci(name))

    async def _bind(self, work: Callable[[Sysfs, Path], None], path: Path) -> None:
        async with self._begun.noted(_BINDING, path.name):
            await whole(asyncio.to_thread(work, self._sysfs, path))

    async def device_reset(self, name: str) -> None:
        await asyncio.to_thread(assign.reset, self._sysfs, await self._pci(name))

    async def _pci(self, name: str) -> Path:
        found = (await self._now()).get(name)
        if "pci" not in found.info.capabilities or found.path is None:
            raise InvalidArgument(f"device {name} is not a PCI device", hint="'vmherd device list' shows what each is")
        return found.path

    # Devices that are made

    async def device_create(self, xml: str) -> DeviceInfo:
        device = parse_device(xml, new=True)
        match device.capability:
            case ScsiHost() as host:
                return await self._create_port(host, device.parent)
            case Mdev() as mdev:
                definition = await self._read(device, mdev)
                await self._make(definition)
                return await self._appears(lambda view: _active(view, name_of(definition)))
        raise _not_to_be_made("device/capability/@type")

    async def _make(self, definition: Definition) -> None:
        async with self._begun.noted(_MAKING, definition.uuid):
            await whole(self._mdevs.start(definition))

    async def _create_port(self, host: ScsiHost, parent: str | None) -> DeviceInfo:
        wwnn, wwpn = vports.names_of(host)
        view = await self._now()
        if parent:
            view.get(parent)
        owner = vports.owner(view.tree, parent)
        assert owner.path is not None  # a host adapter is in sysfs
        await asyncio.to_thread(vports.manage, self._sysfs, owner.path, (wwnn, wwpn), create=True)
        return await self._appears(lambda view: _by_wwn(view, wwnn, wwpn))

    async def _read(self, device: Device, mdev: Mdev) -> Definition:
        """What a document says of a mediated device.  Raises InvalidArgument where it has no parent."""
        if not device.parent:
            raise InvalidArgument("cannot create a mediated device without a parent", hint="add <parent>")
        mdev.uuid = mdev.uuid or str(uuid4())
        view = await self._now()
        return Definition.of(mdev, view.in_sysfs(device.parent))

    async def _appears(self, wanted: Callable[[View], DeviceInfo | None]) -> DeviceInfo:
        """Wait for a device that was made: udev may have to look at it first."""
        self._tell()
        try:
            async with asyncio.timeout(_PATIENCE):
                while (found := wanted(await self._now())) is None:
                    self._view = None
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise HostError("the device was asked for, and does not appear", hint="see dmesg") from None
        return found

    async def device_destroy(self, name: str) -> None:
        view = await self._now()
        found = view.get(name)
        match found.device.capability:
            case Mdev() as mdev:
                if not found.info.active:
                    raise InvalidState(f"Device '{name}' is not active", hint="nothing is to be done")
                assert mdev.uuid is not None  # what was found has one
                await self._mdevs.stop(mdev.uuid)
            case ScsiHost() as host if "fc_host" in found.info.capabilities:
                await self._destroy_port(view, found, host)
            case _:
                raise _not_to_be_made("device")
        self._view = None
        self._tell()

    async def _destroy_port(self, view: View, found: Found, host: ScsiHost) -> None:
        parent = view.get(found.info.parent)
        if parent.path is None or "vports" not in parent.info.capabilities:
            raise OperationUnsupported(f"{found.info.name} is no virtual port", hint="only those can be removed")
        await asyncio.to_thread(vports.manage, self._sysfs, parent.path, vports.names_of(host), create=False)

    async def device_define(self, xml: str) -> DeviceInfo:
        device = parse_device(xml, new=True)
        if not isinstance(device.capability, Mdev):
            raise _not_to_be_made("device/capability/@type")
        definition = await self._read(device, device.capability)
        known = (await self._now()).defined.get(name_of(definition))
        if known and known.kind != definition.kind:
            raise AlreadyExists(f"device {name_of(definition)} is defined with type {known.kind!r}", hint="undefine it")
        if known and known.autostart:
            definition = Definition.of(device.capability, definition.parent, autostart=True)
        await asyncio.to_thread(self._mdevs.keep, definition)
        self._tell()
        return await self.device_find(name_of(definition))

    async def device_undefine(self, name: str) -> None:
        await asyncio.to_thread(self._mdevs.forget, await self._defined(name))
        self._tell()

    async def _defined(self, name: str) -> Definition:
        view = await self._now()
        view.get(name)
        if name not in view.defined:
            raise InvalidState(f"Node device '{name}' is not defined", hint="only mediated devices can be")
        return view.defined[name]

    async def device_start(self, name: str) -> None:
        view = await self._now()
        if view.get(name).info.active:
            raise InvalidState("Device is already active", hint="nothing is to be done")
        await self._make(view.defined[name])
        await self._appears(lambda now: _active(now, name))

    async def device_set_autostart(self, name: str, enabled: bool) -> None:
        found = (await self._now()).get(name)
        if not isinstance(found.device.capability, Mdev):
            raise OperationUnsupported("Unsupported device type", hint="only mediated devices start by themselves")
        if not found.info.persistent:
            raise InvalidState("cannot set autostart for transient device", hint="define it")
        known = await self._defined(name)
        definition = Definition(known.uuid, known.parent, known.kind, enabled, known.attributes)
        await asyncio.to_thread(self._mdevs.keep, definition)
        self._tell()

    def _tell(self) -> None:
        """Let every process look at the definitions again, and at what the kernel told."""
        ping(self._listeners)


def _by_wwn(view: View, wwnn: str, wwpn: str) -> DeviceInfo | None:
    for found in view.tree.devices.values():
        for each in getattr(found.device.capability, "capabilities", ()):
            if isinstance(each, FibreChannel) and (each.wwnn, each.wwpn) == (wwnn, wwpn):
                return found.info
    return None


def _active(view: View, name: str) -> DeviceInfo | None:
    found = view.tree.devices.get(name)
    return found.info if found and found.info.active else None


def _not_to_be_made(place: str) -> Unsupported:
    hint = "mediated devices and virtual ports of Fibre Channel can be made"
    return Unsupported("Unsupported device type", place=place, hint=hint)
