"""Serial and parallel ports, consoles and channels: the host's end (-chardev) and the guest's (-device)."""

from __future__ import annotations

from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.chardev import (
    Channel,
    ChannelTargetType,
    ChardevLog,
    ChardevSource,
    ChardevType,
    Console,
    ConsoleTargetType,
    Parallel,
    Protocol,
    ProtocolType,
    Serial,
    SocketMode,
)
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device, escape
from vmherd.hypervisors.qemu.command.launch import Launch


def arguments(domain: Domain, launch: Launch) -> list[str]:
    """Every character device in libvirt's order: serial, parallel, channel, console."""
    devices = domain.devices
    args: list[str] = []
    for serial in devices.serials:
        args += _host_end(serial, launch) + device(_serial(domain, serial))
    for parallel in devices.parallels:
        args += _host_end(parallel, launch)
        args += device({"driver": "isa-parallel", "chardev": f"char{alias(parallel)}", "id": alias(parallel)})
    for channel in devices.channels:
        args += _host_end(channel, launch) + _channel(domain, channel)
    for console in devices.consoles:
        if console.target and console.target.type is ConsoleTargetType.VIRTIO:
            args += _host_end(console, launch)
            end = {"driver": "virtconsole", "chardev": f"char{alias(console)}", "id": alias(console)}
            args += device({**end, **_console_place(domain, console)})
    return args


def _console_place(domain: Domain, console: Console) -> Properties:
    """libvirt leaves out the place of a console on the first controller, where QEMU puts it anyway."""
    place = bus(console, domain)
    return {} if place.get("nr") == 0 else place


def _serial(domain: Domain, serial: Serial) -> Properties:
    target = serial.target
    model = target.model.name if target and target.model else "isa-serial"
    end: Properties = {"driver": model, "chardev": f"char{alias(serial)}", "id": alias(serial)}
    if model == "isa-serial":
        end["index"] = target.port if target else 0
    return {**end, **bus(serial, domain)}


def _channel(domain: Domain, channel: Channel) -> list[str]:
    target = channel.target
    if target.type is ChannelTargetType.GUESTFWD:
        address = f"tcp:{target.address}:{target.port}-chardev:char{alias(channel)}"
        return ["-netdev", f'{{"type":"user","guestfwd":[{{"str":"{address}"}}],"id":"{alias(channel)}"}}']
    name = target.name or ("com.redhat.spice.0" if channel.type is ChardevType.SPICEVMC else None)
    end: Properties = {"driver": "virtserialport", **bus(channel, domain), "chardev": f"char{alias(channel)}"}
    return device({**end, "id": alias(channel), "name": name})


def _host_end(each: Serial | Parallel | Console | Channel, launch: Launch) -> list[str]:
    words = backend(f"char{alias(each)}", each.type, each.sources, each.protocol, launch)
    if isinstance(each, Parallel) and each.type is ChardevType.DEV:
        words = words.replace("serial", "parallel", 1)
    return ["-chardev", words + _log(each.log)]


def _log(log: ChardevLog | None) -> str:
    if log is None:
        return ""
    append = "on" if log.append is not False else "off"
    return f",logfile={escape(log.file)},logappend={append}"


def backend(
    name: str, type_: ChardevType, sources: list[ChardevSource], protocol: Protocol | None, launch: Launch
) -> str:
    """The value of -chardev.  A listening UNIX socket is opened by us, so that it is there before QEMU is."""
    source = sources[0] if sources else ChardevSource()
    match type_:
        case ChardevType.NULL | ChardevType.PTY | ChardevType.STDIO | ChardevType.VC:
            return f"{type_},id={name}"
        case ChardevType.DEV:
            return f"serial,id={name},path={escape(_path(source))}"
        case ChardevType.FILE:
            append = "on" if source.append else "off"
            return f"file,id={name},path={escape(_path(source))},append={append}"
        case ChardevType.PIPE:
            return f"pipe,id={name},path={escape(_path(source))}"
        case ChardevType.UNIX if source.mode is SocketMode.BIND:
            return f"socket,id={name},fd={launch.listen(Path(_path(source)))},server=on,wait=off"
        case ChardevType.UNIX:
            return f"socket,id={name},path={escape(_path(source))}{_reconnect(source)}"
        case ChardevType.TCP:
            return _tcp(name, source, protocol)
        case ChardevType.UDP:
            return _udp(name, sources)
        case ChardevType.SPICEVMC:
            return f"spicevmc,id={name},name=vdagent"
        case ChardevType.SPICEPORT:
            return f"spiceport,id={name},name={source.channel}"
    raise Unsupported(f"QEMU has no character device of type {str(type_)!r}", place="domain/devices")


def _path(source: ChardevSource) -> str:
    if source.path:
        return source.path
    raise Unsupported("a character device needs a path", place="domain/devices", hint="add <source path='/...'/>")


def _reconnect(source: ChardevSource) -> str:
    wanted = source.reconnect
    return f",reconnect={wanted.timeout if wanted.enabled else 0}" if wanted else ""


def _tcp(name: str, source: ChardevSource, protocol: Protocol | None) -> str:
    telnet = ",telnet=on" if protocol and protocol.type is ProtocolType.TELNET else ""
    listening = ",server=on,wait=off" if source.mode is SocketMode.BIND else ""
    return f"socket,id={name},host={source.host},port={source.service}{telnet}{listening}{_reconnect(source)}"


def _udp(name: str, sources: list[ChardevSource]) -> str:
    ends = {source.mode: source for source in sources}
    far, near = ends.get(SocketMode.CONNECT, ChardevSource()), ends.get(SocketMode.BIND, ChardevSource())
    words = f"udp,id={name},host={far.host or ''},port={far.service}"
    return f"{words},localaddr={near.host or ''},localport={near.service or 0}"
