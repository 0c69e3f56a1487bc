"""Plugging vCPUs into a running guest, and unplugging them, which the guest must agree to.

Source: query-hotpluggable-cpus, device_add and device_del in QEMU's QMP reference; qemuDomainHotplugAddVcpu and
qemuDomainHotplugDelVcpu of libvirt.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Collection
from typing import Any

import msgspec

from vmherd.conf.domain import Domain
from vmherd.errors import InvalidArgument, OperationFailed, OperationUnsupported
from vmherd.hypervisors.qemu.monitor import Monitor, Refused
from vmherd.state.changes import Edit
from vmherd.state.tuning import vcpus

#: Where QEMU keeps what was plugged under a name of ours.
_PLUGGED = "/machine/peripheral/"
_NAME = re.compile(r"vcpu\d+")
#: Seconds a guest gets to let a vCPU go, as libvirt gives it, and between two looks.
_PATIENCE, _LOOK = 5.0, 0.05


class Slot(msgspec.Struct, frozen=True):
    """A place for a vCPU, or for all threads of one core: the numbers of its vCPUs, and what is there."""

    numbers: tuple[int, ...]
    type: str
    props: dict[str, Any]
    path: str

    @property
    def name(self) -> str:
        """The id of what is plugged here."""
        return self.path.removeprefix(_PLUGGED) if self.path.startswith(_PLUGGED) else f"vcpu{self.numbers[0]}"

    @property
    def loose(self) -> bool:
        """Whether what is there was plugged, so that it can be unplugged."""
        return self.path.startswith(_PLUGGED)


async def slots(monitor: Monitor) -> list[Slot]:
    """All places, in the order of their numbers; none where the machine lets no vCPU come and go."""
    try:
        told = await monitor.execute("query-hotpluggable-cpus")
    except Refused:
        return []
    found, number = [], 0
    for each in reversed(told):  # the last one comes first
        size = int(each["vcpus-count"])
        numbers = tuple(range(number, number + size))
        found.append(Slot(numbers, each["type"], each["props"], each.get("qom-path", "")))
        number += size
    return found


def _chosen(places: list[Slot], numbers: Collection[int]) -> list[Slot]:
    """The places of these vCPUs, in their order; InvalidArgument for a part of a place.

    Raises OperationUnsupported where there are no places.
    """
    if numbers and not places:
        raise OperationUnsupported("cpu hotplug is not supported", hint="this machine keeps the vCPUs it starts with")
    found = {slot.numbers: slot for number in numbers for slot in places if number in slot.numbers}
    for slot in found.values():
        for sibling in slot.numbers:
            if sibling not in numbers:
                text = (
                    f"vcpu '{slot.numbers[0]}' belongs to a larger hotpluggable entity, but siblings were not selected"
                )
                raise InvalidArgument(text, hint=f"name all of {', '.join(map(str, slot.numbers))}")
    return list(found.values())


async def plug(monitor: Monitor, numbers: Collection[int]) -> None:
    """Plug vCPUs.  Raises Refused with QEMU's reason."""
    for slot in _chosen(await slots(monitor), numbers):
        await monitor.execute("device_add", {"driver": slot.type, "id": slot.name, **slot.props})


async def unplug(monitor: Monitor, numbers: Collection[int]) -> None:
    """Unplug vCPUs, one after the other.

    Raises Refused with QEMU's reason, OperationFailed where the guest does not let one go in time; it may do later.
    """
    for slot in _chosen(await slots(monitor), numbers):
        await monitor.execute("device_del", {"id": slot.name})
        deadline = time.monotonic() + _PATIENCE
        while any(each.numbers == slot.numbers and each.path for each in await slots(monitor)):
            if time.monotonic() > deadline:
                raise OperationFailed(
                    "vcpu unplug request timed out. Unplug result must be manually inspected in the domain",
                    hint="the guest's system has to let it go",
                )
            await asyncio.sleep(_LOOK)


def is_vcpu(alias: str) -> bool:
    """Whether something that was plugged is a vCPU."""
    return _NAME.fullmatch(alias) is not None


def gone(alias: str) -> Edit:
    """Takes a vCPU that the guest let go out of its document; one that is not there is no mistake."""
    number = int(alias.removeprefix("vcpu"))

    def edit(domain: Domain) -> None:
        states = vcpus.states(domain)
        there = {each.id for each in states if each.enabled and each.id != number}
        vcpus.plugged(domain, there, {each.id for each in states if each.hotpluggable})

    return edit


async def note(monitor: Monitor, domain: Domain) -> None:
    """Write down which vCPUs are there, as QEMU tells; those of a machine that keeps all stay as they are."""
    places = await slots(monitor)
    if not places:
        return
    there = {number for slot in places if slot.path for number in slot.numbers}
    loose = {number for slot in places if slot.loose for number in slot.numbers}
    vcpus.plugged(domain, there, loose)


async def complete(monitor: Monitor, domain: Domain) -> None:
    """Plug what a document wants to be unpluggable from the start, before the vCPUs run."""
    wanted = [each for each in domain.vcpus if each.enabled and each.hotpluggable]
    if wanted:
        await plug(monitor, [each.id for each in sorted(wanted, key=lambda each: (each.order or 0, each.id))])
    if domain.vcpus:
        await note(monitor, domain)
