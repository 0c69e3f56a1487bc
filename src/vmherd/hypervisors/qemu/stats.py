"""What a running guest tells of itself: counters of its disks, NICs, memory and CPUs.

Source: query-blockstats, query-block, query-balloon and guest-stats of virtio-balloon in QEMU's QMP reference.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from vmherd.conf.domain import Domain, parse_domain
from vmherd.driver.types import BalloonStats, BlockStats, DomainStats, NetStats
from vmherd.hypervisors.qemu.monitor import PATIENCE, Monitor, Refused
from vmherd.state.domains import Entry, Live
from vmherd.util.process import cpu_times, resident_size

_NANOSECOND = 1e-9
#: The value of a balloon's counter that the guest did not tell.
_UNTOLD = (1 << 64) - 1


async def balloon_size(monitor: Monitor, *, patience: float = PATIENCE) -> int | None:
    """Bytes of memory the guest has now; None without a balloon."""
    try:
        return int((await monitor.execute("query-balloon", patience=patience))["actual"])
    except Refused:
        return None


async def collect(entry: Entry, live: Live, monitor: Monitor) -> DomainStats:
    """All counters of one running guest."""
    user, system = cpu_times(live.pid)
    info = entry.info
    domain = parse_domain(live.xml)
    return DomainStats(
        uuid=entry.uuid,
        name=entry.name,
        state=live.state,
        reason=live.reason,
        cpu_time=user + system,
        cpu_user=user,
        cpu_system=system,
        vcpu_current=info.vcpus,
        vcpu_maximum=domain.vcpu.count,
        balloon=await _balloon(entry, live, domain, monitor),
        block=await _disks(domain, monitor),
        net=[
            _nic(iface.target.dev if iface.target else None, index)
            for index, iface in enumerate(domain.devices.interfaces)
        ],
    )


async def memory(entry: Entry, live: Live, monitor: Monitor) -> BalloonStats:
    """What a running guest has of memory, and says of it."""
    return await _balloon(entry, live, parse_domain(live.xml), monitor)


async def _balloon(entry: Entry, live: Live, domain: Domain, monitor: Monitor) -> BalloonStats:
    told: dict[str, int] = {}
    updated = None
    balloon = domain.devices.memballoon
    if balloon and balloon.alias:
        path = f"/machine/peripheral/{balloon.alias.name}"
        with suppress(Refused):  # before the guest's driver is up there are none
            found = await monitor.execute("qom-get", {"path": path, "property": "guest-stats"})
            told, updated = found["stats"], found["last-update"]

    def stat(name: str) -> int | None:
        value = told.get(name)
        return None if value is None or value in (-1, _UNTOLD) else value

    return BalloonStats(
        current=await balloon_size(monitor) or live.summary.memory,
        maximum=entry.info.max_memory,
        resident=resident_size(live.pid),
        unused=stat("stat-free-memory"),
        available=stat("stat-total-memory"),
        usable=stat("stat-available-memory"),
        swap_in=stat("stat-swap-in"),
        swap_out=stat("stat-swap-out"),
        major_faults=stat("stat-major-faults"),
        minor_faults=stat("stat-minor-faults"),
        disk_caches=stat("stat-disk-caches"),
        hugetlb_allocations=stat("stat-htlb-pgalloc"),
        hugetlb_failures=stat("stat-htlb-pgfail"),
        last_update=updated,
    )


async def _disks(domain: Domain, monitor: Monitor) -> list[BlockStats]:
    counters = {each.get("qdev", ""): each for each in await monitor.execute("query-blockstats")}
    images = {each.get("qdev", ""): each.get("inserted") for each in await monitor.execute("query-block")}
    found = []
    for disk in domain.devices.disks:
        alias = disk.alias.name if disk.alias else ""
        # The qdev is the device's id or its path, which for virtio ends in an inner device.
        qdev = next((name for name in counters if alias and alias in name.split("/")), None)
        if qdev is not None:
            found.append(_disk(disk.target.dev, counters[qdev], images.get(qdev) or {}))
    return found


def _disk(name: str, counters: dict[str, Any], inserted: dict[str, Any]) -> BlockStats:
    stats = counters["stats"]
    image = inserted.get("image", {})
    return BlockStats(
        name=name,
        path=image.get("filename"),
        read_requests=stats["rd_operations"],
        read_bytes=stats["rd_bytes"],
        read_time=stats["rd_total_time_ns"] * _NANOSECOND,
        write_requests=stats["wr_operations"],
        write_bytes=stats["wr_bytes"],
        write_time=stats["wr_total_time_ns"] * _NANOSECOND,
        flush_requests=stats["flush_operations"],
        flush_time=stats["flush_total_time_ns"] * _NANOSECOND,
        allocation=stats.get("wr_highest_offset"),
        capacity=image.get("virtual-size"),
        physical=image.get("actual-size"),
    )


def _nic(device: str | None, index: int) -> NetStats:
    """What the host counts for a tap; the guest receives what the tap sends."""
    if device is None or "/" in device:
        return NetStats(name=device or f"net{index}")
    folder = Path("/sys/class/net") / device / "statistics"

    def count(name: str) -> int | None:
        try:
            return int((folder / name).read_text())
        except (OSError, ValueError):
            return None

    return NetStats(
        name=device,
        rx_bytes=count("tx_bytes"),
        rx_packets=count("tx_packets"),
        rx_errors=count("tx_errors"),
        rx_dropped=count("tx_dropped"),
        tx_bytes=count("rx_bytes"),
        tx_packets=count("rx_packets"),
        tx_errors=count("rx_errors"),
        tx_dropped=count("rx_dropped"),
    )
