"""The devices of a guest in a line each, as far as a person has to do with them."""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain
from vmherd.conf.domain.chardev import Serial
from vmherd.conf.domain.disk import Disk
from vmherd.conf.domain.graphics import Graphics
from vmherd.conf.domain.net import Interface


def described(domain: Domain) -> Iterator[tuple[str, str]]:
    """Kind and description of what it boots, its disks, network cards, serial lines and screens."""
    if domain.os.kernel:
        yield "kernel", domain.os.kernel
    for disk in domain.devices.disks:
        yield "disk", _disk(disk)
    for interface in domain.devices.interfaces:
        yield "network", _interface(interface)
    for serial in domain.devices.serials:
        yield "serial", _serial(serial)
    for graphics in domain.devices.graphics:
        yield "screen", _graphics(graphics)


def _disk(disk: Disk) -> str:
    source = disk.source
    where = (source.file or source.dev or source.name or source.volume) if source else None
    format_ = f" ({disk.driver.type})" if disk.driver and disk.driver.type else ""
    kind = "" if disk.device == "disk" else f"{disk.device} "
    return f"{kind}{disk.target.dev}: {where or 'empty'}{format_}"


def _interface(interface: Interface) -> str:
    source = interface.source
    where = (source.network or source.bridge or source.dev) if source else None
    parts = [
        interface.type,
        where,
        interface.mac.address if interface.mac else None,
        interface.model.type if interface.model else None,
    ]
    return ", ".join(str(part) for part in parts if part)


def _serial(serial: Serial) -> str:
    path = serial.sources[0].path if serial.sources else None
    return f"{serial.type} {path}" if path else str(serial.type)


def _graphics(graphics: Graphics) -> str:
    if graphics.socket:
        return f"{graphics.type} on {graphics.socket}"
    if graphics.port is None or graphics.port < 0:
        return f"{graphics.type}, port chosen at start"
    return f"{graphics.type} on {graphics.listen or '127.0.0.1'}:{graphics.port}"
