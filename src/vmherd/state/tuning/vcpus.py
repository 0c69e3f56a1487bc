"""vCPUs of a document: how many there are and may be, which of them, and whether they can be unplugged.

Source: qemuDomainSetVcpusConfig, qemuDomainSetVcpusMax and qemuDomainSetVcpuConfig of libvirt.
"""

from __future__ import annotations

from collections.abc import Collection, Set

from vmherd.conf.domain import Domain
from vmherd.conf.domain.vcpu import VcpuState
from vmherd.errors import InvalidArgument, OperationUnsupported, Unsupported


def online(domain: Domain) -> int:
    return domain.vcpu.current or domain.vcpu.count


def states(domain: Domain) -> list[VcpuState]:
    """Each vCPU, told in full: those that no <vcpus> tells of can be unplugged only if they are not there yet."""
    told = {each.id: each for each in domain.vcpus}
    here = online(domain)
    return [
        told.get(number) or VcpuState(id=number, enabled=number < here, hotpluggable=number >= here, order=None)
        for number in range(domain.vcpu.count)
    ]


def _note(domain: Domain, vcpus: list[VcpuState], *, each: bool) -> None:
    """Write it down, one by one only where that says more than the count."""
    here = sum(vcpu.enabled for vcpu in vcpus)
    domain.vcpu.current = here if here != len(vcpus) else None
    domain.vcpus = vcpus if each or domain.vcpus else []


def set_count(domain: Domain, count: int, *, hotpluggable: bool) -> None:
    """Have ``count`` vCPUs at the next start.  Those taken away are the last, and can be plugged again."""
    _require_room(domain, count)
    vcpus = states(domain)
    for vcpu in vcpus:
        vcpu.order = None
    missing = count - online(domain)
    for vcpu in [each for each in vcpus if not each.enabled][: max(missing, 0)]:
        vcpu.enabled, vcpu.hotpluggable = True, hotpluggable
    for vcpu in [each for each in reversed(vcpus) if each.enabled][: max(-missing, 0)]:
        vcpu.enabled, vcpu.hotpluggable = False, True
    _note(domain, vcpus, each=hotpluggable)


def _require_room(domain: Domain, count: int) -> None:
    most = domain.vcpu.count
    if count > most:
        raise InvalidArgument(
            f"requested vcpus is greater than max allowable vcpus for the {_kind(domain)} domain: {count} > {most}"
        )


def set_maximum(domain: Domain, count: int) -> None:
    """Set how many vCPUs there may be; those beyond are gone."""
    if domain.id is not None:
        raise OperationUnsupported("maximum vcpu count of a live domain can't be modified")
    topology = domain.cpu.topology if domain.cpu else None
    if topology and topology.sockets * topology.dies * topology.cores * topology.threads != count:
        raise InvalidArgument("CPU topology doesn't match the desired vcpu count")
    cells = domain.cpu.numa.cells if domain.cpu and domain.cpu.numa else []
    if sum(len(cell.cpus or ()) for cell in cells) > count:
        raise InvalidArgument("Number of CPUs in <numa> exceeds the desired maximum vcpu count")
    here = min(online(domain), count)
    domain.vcpu.count = count
    domain.vcpus = [each for each in domain.vcpus if each.id < count]
    if domain.vcpus:
        here = sum(each.enabled for each in domain.vcpus)
    domain.vcpu.current = here if here != count else None


def set_each(domain: Domain, numbers: Collection[int], *, enabled: bool) -> None:
    """Have these vCPUs, or not, at the next start."""
    vcpus = states(domain)
    for number in sorted(numbers):
        if number >= len(vcpus):
            raise InvalidArgument(f"vcpu {number} is not present in {_kind(domain)} config")
        if number == 0:
            raise InvalidArgument("vCPU '0' can't be modified")
        vcpus[number].enabled = enabled
        vcpus[number].hotpluggable = True
        vcpus[number].order = None
    _note(domain, vcpus, each=True)


def plugged(domain: Domain, there: Set[int], hotpluggable: Set[int]) -> None:
    """Note which vCPUs a running guest has now, in the order they came, and which can be unplugged."""
    before = {each.id: each.order or each.id + 1 for each in states(domain) if each.enabled}
    order = sorted(there, key=lambda number: (before.get(number, len(before) + number + domain.vcpu.count), number))
    place = {number: position for position, number in enumerate(order, 1)}
    _note(
        domain,
        [
            VcpuState(
                id=number,
                enabled=number in there,
                hotpluggable=number in hotpluggable or number not in there,
                order=place.get(number),
            )
            for number in range(domain.vcpu.count)
        ],
        each=True,
    )


def to_reach(domain: Domain, count: int) -> tuple[list[int], list[int]]:
    """Which vCPUs of a running guest to plug, or to unplug, so that it has ``count``.

    Raises InvalidArgument for more than there may be, Unsupported if too few can be unplugged.
    """
    _require_room(domain, count)
    vcpus = states(domain)
    missing = count - sum(each.enabled for each in vcpus)
    free = [each.id for each in vcpus if not each.enabled][: max(missing, 0)]
    loose = [each.id for each in reversed(vcpus) if each.enabled and each.hotpluggable][: max(-missing, 0)]
    if len(free) + len(loose) < abs(missing):
        raise Unsupported(
            "failed to find appropriate hotpluggable vcpus to reach the desired target vcpu count",
            hint="those that were there at the start stay",
        )
    return free, loose


def to_switch(domain: Domain, numbers: Collection[int], *, enabled: bool) -> list[int]:
    """These vCPUs of a running guest, if they can be switched.

    Raises InvalidArgument for those that are so already, OperationUnsupported for those that were there at the start.
    """
    vcpus = states(domain)
    for number in sorted(numbers):
        if number >= len(vcpus):
            raise InvalidArgument(f"vcpu {number} is not present in {_kind(domain)} config")
        if vcpus[number].enabled == enabled:
            raise InvalidArgument(f"vcpu '{number}' is already in requested state")
        if not enabled and not vcpus[number].hotpluggable:
            raise OperationUnsupported(f"vcpu '{number}' can't be unplugged", hint="it was there at the start")
    return sorted(numbers)


def _kind(domain: Domain) -> str:
    return "live" if domain.id is not None else "persistent"
