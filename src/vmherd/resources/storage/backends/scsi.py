"""Pools that are a SCSI host of this machine: its disks are the volumes, also those of a virtual Fibre Channel port."""

from __future__ import annotations

import asyncio
from pathlib import Path

from vmherd.conf.storage import Pool, Volume
from vmherd.conf.storage.pool import Adapter, AdapterType
from vmherd.errors import HostError
from vmherd.resources.storage import luns
from vmherd.resources.storage.backends.base import Backend
from vmherd.util.files import on_host

_SCSI, _FC = Path("/sys/class/scsi_host"), Path("/sys/class/fc_host")
#: Seconds within which a new virtual port shows itself.
_PORT = 5.0


class ScsiBackend(Backend):
    """sysfs alone; a virtual port is made and removed by its parent."""

    async def ready(self, pool: Pool) -> bool:
        return await asyncio.to_thread(_find, _adapter(pool)) is not None

    async def start(self, pool: Pool) -> None:
        adapter = _adapter(pool)
        parent = await asyncio.to_thread(_parent, adapter)
        if parent is None:
            raise HostError(f"SCSI host {_called(adapter)} is not there", hint="'ls /sys/class/scsi_host' shows all")
        await asyncio.to_thread(_write_port, parent, "vport_create", adapter)
        for _ in range(round(_PORT / 0.05)):
            if await self.ready(pool):
                return
            await asyncio.sleep(0.05)
        raise HostError(f"the virtual port {_called(adapter)} did not appear", hint="check the zoning of the fabric")

    async def stop(self, pool: Pool) -> None:
        adapter = _adapter(pool)
        if adapter.managed is not False and (parent := await asyncio.to_thread(_parent, adapter)):
            await asyncio.to_thread(_write_port, parent, "vport_delete", adapter)

    async def measure(self, pool: Pool) -> None:
        if not await self.ready(pool):
            text = f"SCSI host {_called(_adapter(pool))} is gone"
            raise HostError(text, hint="stop the pool, and start it when the host is there again")

    async def refresh(self, pool: Pool) -> dict[str, Volume]:
        await self.measure(pool)
        number = await asyncio.to_thread(_find, _adapter(pool))
        assert number is not None  # `measure` has looked
        assert pool.target  # parse_pool sees to it
        await asyncio.to_thread(luns.rescan, number)
        found = await asyncio.to_thread(luns.volumes, number, pool.target.path or "/dev")
        pool.capacity = pool.allocation = sum(volume.capacity or 0 for volume in found.values())
        return found


def _adapter(pool: Pool) -> Adapter:
    assert pool.source.adapter  # parse_pool sees to it
    return pool.source.adapter


def _called(adapter: Adapter) -> str:
    return repr(adapter.name or adapter.wwpn or "")


def _find(adapter: Adapter) -> int | None:
    """The number of the host; None where there is none.  Blocks."""
    if adapter.type is AdapterType.FC_HOST:
        return _fibre_channel(adapter.wwnn or "", adapter.wwpn or "")
    if adapter.parent_address:
        return _at_address(adapter)
    number = _number(adapter.name or "")
    return number if number is not None and (_SCSI / f"host{number}").exists() else None


def _number(name: str) -> int | None:
    """Of scsi_host3, host3 or fc_host3."""
    digits = name.removeprefix("scsi_").removeprefix("fc_").removeprefix("host")
    return int(digits) if digits.isdigit() else None


def _fibre_channel(wwnn: str, wwpn: str) -> int | None:
    for path in _hosts(_FC):
        if (_word(path / "node_name"), _word(path / "port_name")) == (wwnn.lower(), wwpn.lower()):
            return _number(path.name)
    return None


def _at_address(adapter: Adapter) -> int | None:
    """The host of a PCI device; ``unique_id`` tells several apart."""
    wanted = adapter.parent_address
    assert wanted  # the caller has looked
    address = None
    if at := wanted.address:
        numbers = (int(each, 16) for each in (at.domain, at.bus, at.slot, at.function))
        address = "{:04x}:{:02x}:{:02x}.{:x}".format(*numbers)
    for path in _hosts(_SCSI):
        here = address is None or address in path.resolve().parts
        if here and (wanted.unique_id is None or _word(path / "unique_id") == str(wanted.unique_id)):
            return _number(path.name)
    return None


def _hosts(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _word(path: Path) -> str:
    """What a file says; numbers of 16 digits without 0x."""
    try:
        return path.read_text().strip().lower().removeprefix("0x")
    except OSError:
        return ""


def _parent(adapter: Adapter) -> Path | None:
    """The port that a virtual one is made on; None where there is none, or the pool wants none."""
    if adapter.type is not AdapterType.FC_HOST:
        return None
    for path in _hosts(_FC):
        by_name = adapter.parent and _number(adapter.parent) == _number(path.name)
        by_wwn = adapter.parent_wwnn and (_word(path / "node_name"), _word(path / "port_name")) == (
            adapter.parent_wwnn.lower(),
            (adapter.parent_wwpn or "").lower(),
        )
        by_fabric = adapter.parent_fabric_wwn and _word(path / "fabric_name") == adapter.parent_fabric_wwn.lower()
        anyone = not (adapter.parent or adapter.parent_wwnn or adapter.parent_fabric_wwn)
        if by_name or by_wwn or by_fabric or (anyone and (path / "vport_create").exists()):
            return path
    return None


def _write_port(parent: Path, file: str, adapter: Adapter) -> None:
    with on_host(f"change virtual ports of {parent.name}"):
        (parent / file).write_text(f"{adapter.wwpn}:{adapter.wwnn}")
