"""What a document asks for that only the monitor can give: done once QEMU greets, before the vCPUs run.

Source: set_password, expire_password, balloon, qom-set, set_link and block_set_io_throttle in QEMU's QMP reference.
"""

from __future__ import annotations

from datetime import UTC, datetime

from vmherd.conf.domain import Domain
from vmherd.conf.domain.graphics import Graphics, GraphicsType
from vmherd.conf.domain.memballoon import MemballoonModel
from vmherd.conf.domain.memdev import MemoryModel
from vmherd.conf.domain.net import LinkState
from vmherd.hypervisors.qemu import throttle
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import base
from vmherd.hypervisors.qemu.config import Config
from vmherd.hypervisors.qemu.monitor import Monitor


async def adjust(domain: Domain, caps: Capabilities, monitor: Monitor, config: Config) -> None:
    """Apply what ends the guest, passwords, balloon, cables and disk limits.  Raises Refused with QEMU's reason."""
    if base.never_reboots(domain) and "set-action" in caps:
        await monitor.execute("set-action", {"reboot": "shutdown"})
    await _passwords(domain, monitor, config)
    await _balloon(domain, monitor)
    await _cables(domain, monitor)
    await _disk_limits(domain, monitor)


async def plugged(view: Domain, monitor: Monitor) -> None:
    """Apply what a device asks for that is plugged in while the guest runs, alone in ``view``."""
    await _cables(view, monitor)
    await _disk_limits(view, monitor)


async def _passwords(domain: Domain, monitor: Monitor, config: Config) -> None:
    """Those of the document, or the administrator's."""
    defaults = {GraphicsType.VNC: config.vnc.password, GraphicsType.SPICE: config.spice.password}
    for graphics in domain.devices.graphics:
        password = graphics.passwd if graphics.passwd is not None else defaults.get(graphics.type)
        if graphics.type not in defaults or password is None:
            continue
        await set_password(graphics, password, monitor)


async def set_password(graphics: Graphics, password: str, monitor: Monitor) -> None:
    """Set the password of a display, and until when it is valid."""
    protocol = str(graphics.type)
    arguments: dict[str, object] = {"protocol": protocol, "password": password}
    arguments |= {"connected": str(graphics.connected)} if graphics.connected else {}
    await monitor.execute("set_password", arguments)
    if graphics.passwd_valid_to:
        end = datetime.fromisoformat(graphics.passwd_valid_to).replace(tzinfo=UTC)
        await monitor.execute("expire_password", {"protocol": protocol, "time": str(int(end.timestamp()))})


async def _balloon(domain: Domain, monitor: Monitor) -> None:
    balloon = domain.devices.memballoon
    if balloon is None or balloon.model is MemballoonModel.NONE or balloon.alias is None:
        return
    if balloon.stats:
        path = f"/machine/peripheral/{balloon.alias.name}"
        period = {"path": path, "property": "guest-stats-polling-interval", "value": balloon.stats.period}
        await monitor.execute("qom-set", period)
    if domain.current_memory is not None and domain.current_memory < domain.memory.size:
        # Of modules the balloon counts DIMMs only (get_current_ram_size in QEMU's virtio-balloon.c).
        others = sum(m.target.size for m in domain.devices.memories if m.model is not MemoryModel.DIMM)
        await monitor.execute("balloon", {"value": max(domain.current_memory - others, 0)})


async def _cables(domain: Domain, monitor: Monitor) -> None:
    for interface in domain.devices.interfaces:
        if interface.link and interface.link.state is LinkState.DOWN and interface.alias:
            await monitor.execute("set_link", {"name": interface.alias.name, "up": False})


async def _disk_limits(domain: Domain, monitor: Monitor) -> None:
    for disk in domain.devices.disks:
        if disk.iotune and disk.alias:
            await throttle.limit(monitor, disk)
