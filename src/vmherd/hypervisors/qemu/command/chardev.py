"""Serial and parallel ports, consoles and channels: the guest's end, after the host's end of ``backend``."""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.chardev import (
    Channel,
    ChannelTargetType,
    ChardevType,
    Console,
    ConsoleTargetType,
    Serial,
    SerialTargetType,
)
from vmherd.conf.domain.graphics import GraphicsType
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.command.backend import backend
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device, option
from vmherd.hypervisors.qemu.command.launch import Launch

#: What a guest's agent for SPICE looks for.
SPICE_AGENT = "com.redhat.spice.0"


def arguments(domain: Domain, launch: Launch) -> list[str]:
    """Every character device in libvirt's order: serial, parallel, channel, console."""
    devices = domain.devices
    args: list[str] = []
    spice = any(each.type is GraphicsType.SPICE for each in devices.graphics)
    for serial in devices.serials:
        if serial.type is ChardevType.SPICEPORT and not spice:
            continue  # libvirt leaves it out, so that a document outlives a change of its display
        args += backend(alias(serial), serial, launch) + _serial(domain, serial)
    for parallel in devices.parallels:
        args += backend(alias(parallel), parallel, launch)
        args += device({"driver": "isa-parallel", "chardev": f"char{alias(parallel)}", "id": alias(parallel)})
    for channel in devices.channels:
        args += backend(alias(channel), channel, launch) + _channel(domain, channel)
    for console in devices.consoles:
        if driver := _console_driver(console):
            end = {"driver": driver, "chardev": f"char{alias(console)}", "id": alias(console)}
            args += backend(alias(console), console, launch) + device({**end, **_console_place(domain, console)})
    return args


_CONSOLES = {
    ConsoleTargetType.VIRTIO: "virtconsole",
    ConsoleTargetType.SCLP: "sclpconsole",
    ConsoleTargetType.SCLPLM: "sclplmconsole",
}


def _console_driver(console: Console) -> str | None:
    """None for the console that is the first serial port under another name."""
    kind = console.target.type if console.target else None
    if kind in (None, ConsoleTargetType.SERIAL):
        return None
    if kind in _CONSOLES:
        return _CONSOLES[kind]
    place = "domain/devices/console/target/@type"
    raise Unsupported(f"QEMU has no console of type {str(kind)!r}", place=place, hint="use type='virtio'")


def _console_place(domain: Domain, console: Console) -> Properties:
    """libvirt leaves out the place of a console on the first controller, where QEMU puts it anyway."""
    place = bus(console, domain)
    return {} if place.get("nr") == 0 else place


def _serial(domain: Domain, serial: Serial) -> list[str]:
    """A port that is part of the board is named, any other one plugged in."""
    target = serial.target
    if target and target.type is SerialTargetType.SYSTEM:
        return ["-serial", f"chardev:char{alias(serial)}"]
    model = target.model.name if target and target.model else "isa-serial"
    end: Properties = {"driver": model, "chardev": f"char{alias(serial)}", "id": alias(serial)}
    if model == "isa-serial":
        end["index"] = target.port if target else 0
    return device({**end, **bus(serial, domain)})


def _channel(domain: Domain, channel: Channel) -> list[str]:
    target = channel.target
    if target.type is ChannelTargetType.XEN:
        text = "QEMU guests have no channels of type 'xen'"
        raise Unsupported(text, place="domain/devices/channel/target/@type", hint="use type='virtio'")
    if target.type is ChannelTargetType.GUESTFWD:
        address = f"tcp:{target.address}:{target.port}-chardev:char{alias(channel)}"
        return option("-netdev", {"type": "user", "guestfwd": [{"str": address}], "id": alias(channel)})
    name = target.name or (SPICE_AGENT if channel.type is ChardevType.SPICEVMC else None)
    end: Properties = {"driver": "virtserialport", **bus(channel, domain), "chardev": f"char{alias(channel)}"}
    return device({**end, "id": alias(channel), "name": name})
