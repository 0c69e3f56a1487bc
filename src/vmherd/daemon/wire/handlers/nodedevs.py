"""Devices of the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.flags import only
from vmherd.driver.nodedev import DeviceInfo, NodeDeviceDriver

_VALIDATE = 1
_INACTIVE = 1  # VIR_NODE_DEVICE_XML_INACTIVE, of libvirt 10.1

#: The bits of virConnectListAllNodeDeviceFlags for what devices can do.
_CAPABILITIES = (
    *("system", "pci", "usb_device", "usb", "net", "scsi_host", "scsi_target", "scsi", "storage", "fc_host", "vports"),
    *("scsi_generic", "drm", "mdev_types", "mdev", "ccw", "css", "vdpa", "ap_card", "ap_queue", "ap_matrix", "vpd"),
)
_ANY = (1 << len(_CAPABILITIES)) - 1
_STATES: dict[int, Callable[[DeviceInfo], bool]] = {
    1 << 30: lambda info: not info.active,
    1 << 31: lambda info: info.active,
}
_ALL = _ANY | sum(_STATES)


class DeviceRef(NamedTuple):
    """How the protocol names a device."""

    name: str


async def _devices(call: Call) -> NodeDeviceDriver:
    return await call.driver.resource(NodeDeviceDriver)


def _wanted(flags: int, info: DeviceInfo) -> bool:
    if flags & _ANY and not any(flags >> _CAPABILITIES.index(word) & 1 for word in info.capabilities):
        return False
    states = [test for bit, test in _STATES.items() if flags & bit]
    return not states or any(test(info) for test in states)


@remote
async def connect_list_all_node_devices(call: Call, need_results: int, flags: int) -> tuple[list[DeviceRef], int]:
    only(flags, _ALL)
    found = [DeviceRef(info.name) for info in await (await _devices(call)).device_list() if _wanted(flags, info)]
    return found if need_results else [], len(found)


async def _active(call: Call, capability: str | None) -> list[str]:
    """The names of those that are there, and can do something."""
    infos = await (await _devices(call)).device_list()
    return [info.name for info in infos if info.active and (not capability or capability in info.capabilities)]


@remote
async def node_num_of_devices(call: Call, capability: str | None, flags: int) -> int:
    only(flags, 0)
    return len(await _active(call, capability))


@remote
async def node_list_devices(call: Call, capability: str | None, most: int, flags: int) -> list[str]:
    only(flags, 0)
    return (await _active(call, capability))[: max(most, 0)]


async def _find(call: Call, name: str) -> DeviceInfo:
    return await (await _devices(call)).device_find(name)


@remote
async def node_device_lookup_by_name(call: Call, name: str) -> DeviceRef:
    return DeviceRef((await _find(call, name)).name)


@remote
async def node_device_lookup_scsi_host_by_wwn(call: Call, wwnn: str, wwpn: str, flags: int) -> DeviceRef:
    only(flags, 0)
    return DeviceRef((await (await _devices(call)).device_by_wwn(wwnn, wwpn)).name)


@remote
async def node_device_get_xml_desc(call: Call, name: str, flags: int) -> str:
    only(flags, _INACTIVE)
    return await (await _devices(call)).device_xml(name, inactive=bool(flags & _INACTIVE))


@remote
async def node_device_get_parent(call: Call, name: str) -> str | None:
    return (await _find(call, name)).parent or None


@remote
async def node_device_num_of_caps(call: Call, name: str) -> int:
    return len((await _find(call, name)).capabilities)


@remote
async def node_device_list_caps(call: Call, name: str, most: int) -> list[str]:
    return list((await _find(call, name)).capabilities)[: max(most, 0)]


@remote
async def node_device_dettach(call: Call, name: str) -> None:
    await (await _devices(call)).device_detach(name)


@remote
async def node_device_detach_flags(call: Call, name: str, driver: str | None, flags: int) -> None:
    only(flags, 0)
    await (await _devices(call)).device_detach(name, driver or "")


@remote
async def node_device_re_attach(call: Call, name: str) -> None:
    await (await _devices(call)).device_reattach(name)


@remote
async def node_device_reset(call: Call, name: str) -> None:
    await (await _devices(call)).device_reset(name)


@remote
async def node_device_create_xml(call: Call, xml: str, flags: int) -> DeviceRef:
    only(flags, _VALIDATE)
    return DeviceRef((await (await _devices(call)).device_create(xml)).name)


@remote
async def node_device_destroy(call: Call, name: str) -> None:
    await (await _devices(call)).device_destroy(name)


@remote
async def node_device_define_xml(call: Call, xml: str, flags: int) -> DeviceRef:
    only(flags, _VALIDATE)
    return DeviceRef((await (await _devices(call)).device_define(xml)).name)


@remote
async def node_device_undefine(call: Call, name: str, flags: int) -> None:
    only(flags, 0)
    await (await _devices(call)).device_undefine(name)


@remote
async def node_device_create(call: Call, name: str, flags: int) -> None:
    only(flags, 0)
    await (await _devices(call)).device_start(name)


@remote
async def node_device_get_autostart(call: Call, name: str) -> int:
    return int((await _find(call, name)).autostart)


@remote
async def node_device_set_autostart(call: Call, name: str, enabled: int) -> None:
    await (await _devices(call)).device_set_autostart(name, bool(enabled))


@remote
async def node_device_is_persistent(call: Call, name: str) -> int:
    return int((await _find(call, name)).persistent)


@remote
async def node_device_is_active(call: Call, name: str) -> int:
    return int((await _find(call, name)).active)
