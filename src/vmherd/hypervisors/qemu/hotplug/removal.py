"""What is to do when a device has left the guest: its other ends in QEMU and on the host, and the document.

Every step may be done twice, by whoever comes first: the one who asked for the removal, or the keeper.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import Device
from vmherd.conf.domain.domain import devices_of
from vmherd.conf.domain.hostdev import Hostdev, PciSource
from vmherd.conf.domain.net import Interface
from vmherd.conf.domain.plug import take_out
from vmherd.events import DeviceRemovedEvent, DomainEvent
from vmherd.hypervisors.qemu import grants, helpers, hostdevs
from vmherd.hypervisors.qemu.cards import release
from vmherd.hypervisors.qemu.command import blockdev, disk
from vmherd.hypervisors.qemu.command.device import host_pci
from vmherd.hypervisors.qemu.host import rebind
from vmherd.hypervisors.qemu.hotplug.running import Running
from vmherd.hypervisors.qemu.monitor import Monitor, Refused


async def finish(running: Running, alias: str, monitor: Monitor) -> None:
    """Clear away what belonged to a device that QEMU has no more, and take it out of the document."""
    device = named(running.domain, alias)
    await let_go(alias, monitor)
    if device is not None:
        await let_go_host_side(running, device)

    told: list[DomainEvent] = []

    def forget(domain: Domain) -> None:
        if found := named(domain, alias):
            take_out(domain, found)
            told.append(DeviceRemovedEvent(uuid=running.uuid, name=running.name, alias=alias))

    running.note(forget, told)
    if helpers.is_there(running.folder, blockdev.MANAGED_HELPER) and not disk.leaves_reservations(running.domain):
        await _try(monitor, "object-del", id=blockdev.MANAGED_HELPER)
        await asyncio.to_thread(helpers.end_some, running.folder, blockdev.MANAGED_HELPER)


def named(domain: Domain, alias: str) -> Device | None:
    """The device of that name."""
    return next((each for each in devices_of(domain.devices) if each.alias and each.alias.name == alias), None)


async def present(monitor: Monitor) -> set[str]:
    """The names of the devices that QEMU has."""
    return {each["name"] for each in await monitor.execute("qom-list", {"path": "/machine/peripheral"})}


async def let_go(alias: str, monitor: Monitor) -> None:
    """Remove from QEMU what is named after a device, and images that nobody uses any more."""
    await _try(monitor, "netdev_del", id=f"host{alias}")
    for line in (f"char{alias}", f"chr-vu-{alias}"):
        await _try(monitor, "chardev-remove", id=line)
    for name in _objects(alias):
        await _try(monitor, "object-del", id=name)
    for each in await monitor.execute("query-fdsets"):
        if any(fd.get("opaque", "").startswith(f"{alias}-") for fd in each["fds"]):
            await _try(monitor, "remove-fd", **{"fdset-id": each["fdset-id"]})
    await remove_unused_images(monitor)


def _objects(alias: str) -> Iterator[str]:
    yield from (f"obj{alias}", f"mem{alias}", f"shmmem-{alias}")
    yield from (f"objchar{alias}_tls0", f"char{alias}-secret0")


async def remove_unused_images(monitor: Monitor) -> None:
    """Remove the nodes of images that no device, no job and no other node uses, from the top down, with their keys."""
    removed = True
    while removed:
        removed = False
        for node in await _roots(monitor):
            removed |= await _try(monitor, "blockdev-del", **{"node-name": node})
    await _remove_keys(monitor)


async def _roots(monitor: Monitor) -> list[str]:
    """The named nodes that nothing stands on."""
    graph = await monitor.execute("x-debug-query-block-graph")
    used = {edge["child"] for edge in graph["edges"]}
    return [
        node["name"]
        for node in graph["nodes"]
        if node["type"] == "block-driver" and node["id"] not in used and node["name"].startswith("libvirt-")
    ]


async def _remove_keys(monitor: Monitor) -> None:
    """The secrets, certificates and helpers of images that are no more."""
    nodes = {each["node-name"] for each in await monitor.execute("query-named-block-nodes", {"flat": True})}
    for each in await monitor.execute("qom-list", {"path": "/objects"}):
        name = each["name"]
        owner = name.removeprefix("obj").removeprefix("pr-helper-")
        for mark in ("-auth-secret0", "-httpcookie-secret0", "-encryption-secret", "_tls0"):
            owner = owner.split(mark)[0]
        if owner != name and owner.startswith("libvirt-") and owner not in nodes:
            await _try(monitor, "object-del", id=name)


async def _try(monitor: Monitor, command: str, **arguments: Any) -> bool:
    """Whether there was something to remove, and it is gone."""
    try:
        await monitor.execute(command, arguments)
    except Refused:
        return False
    return True


async def let_go_host_side(running: Running, device: Device) -> None:
    """End the helpers of a device, and give the host back what it is and what it used."""
    assert device.alias is not None  # it was plugged in under that name
    await asyncio.to_thread(helpers.end_some, running.folder, f"{device.alias.name}-*")
    await asyncio.to_thread(grants.take_back, running, device.alias.name)
    await release.one(running.folder, device.alias.name)
    handed_over = hostdevs.of_card(device) if isinstance(device, Interface) else device
    if isinstance(handed_over, Hostdev) and isinstance(handed_over.source, PciSource):
        await asyncio.to_thread(rebind.give_back_one, running.folder, host_pci(handed_over.source.address))
