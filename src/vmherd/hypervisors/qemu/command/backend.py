"""The host's end of a character device: -chardev, with the files, sockets and certificates it needs.

Files are opened by us and handed over as sets of descriptors (add-fd), so that QEMU itself needs no access to their
folders; the same goes for sockets it listens on.  Source: qemuBuildChardevStr and qemuFDPass of libvirt.
"""

from __future__ import annotations

from pathlib import Path

from vmherd.conf.domain.chardev import (
    ChardevLog,
    ChardevSource,
    ChardevType,
    MouseMode,
    Parallel,
    ProtocolType,
    SocketMode,
)
from vmherd.conf.domain.redirdev import Redirdev
from vmherd.conf.domain.smartcard import Smartcard
from vmherd.conf.domain.streams import Stream
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.command import tls
from vmherd.hypervisors.qemu.command.device import escape
from vmherd.hypervisors.qemu.command.launch import Launch


def backend(device: str, stream: Stream, launch: Launch) -> list[str]:
    """The arguments for the host's end of the device with alias ``device``; its id is ``char`` before the alias."""
    name = f"char{device}"
    source = stream.sources[0] if stream.sources else ChardevSource()
    args: list[str] = []
    match stream.type:
        case ChardevType.FILE:
            fd = launch.opener.output(Path(_path(source)), append=bool(source.append))
            args, path = _descriptor_set(device, "source", fd, launch)
            words = f"file,id={name},path={path},append=on"
        case ChardevType.UNIX:
            words = _unix(name, source, launch)
        case ChardevType.TCP:
            encrypted = launch.config.chardev.tls if source.tls is None else source.tls
            args = tls.credentials(name, launch.config.chardev, launch, listens=_listens(source)) if encrypted else []
            words = _tcp(name, stream, source) + (f",tls-creds={tls.alias(name)}" if encrypted else "")
        case _:
            words = _simple(name, stream, source)
    log_args, log_words = _log(device, getattr(stream, "log", None), launch)
    return [*args, *log_args, "-chardev", words + log_words]


def _descriptor_set(device: str, what: str, fd: int, launch: Launch) -> tuple[list[str], str]:
    """Hand a descriptor over; the path by which QEMU opens it."""
    number = next(launch.fdsets)
    return ["-add-fd", f"set={number},fd={fd},opaque={device}-{what}"], f"/dev/fdset/{number}"


def _log(device: str, log: ChardevLog | None, launch: Launch) -> tuple[list[str], str]:
    if log is None:
        return [], ""
    fd = launch.opener.log(Path(log.file), append=log.append is not False)
    args, path = _descriptor_set(device, "log", fd, launch)
    return args, f",logfile={path},logappend=on"


def _simple(name: str, stream: Stream, source: ChardevSource) -> str:
    """Those that take a few words."""
    match stream.type:
        case ChardevType.NULL | ChardevType.PTY | ChardevType.STDIO | ChardevType.VC:
            return f"{stream.type},id={name}"
        case ChardevType.DEV:
            kind = "parallel" if isinstance(stream, Parallel) else "serial"
            return f"{kind},id={name},path={escape(_path(source))}"
        case ChardevType.PIPE:
            return f"pipe,id={name},path={escape(_path(source))}"
        case ChardevType.UDP:
            return _udp(name, stream.sources)
        case ChardevType.SPICEVMC:
            return f"spicevmc,id={name},name={_spice_name(stream)}"
        case ChardevType.SPICEPORT:
            return f"spiceport,id={name},name={_channel(stream, source)}"
        case ChardevType.DBUS:
            return f"dbus,id={name},name={_channel(stream, source)}"
        case ChardevType.QEMU_VDAGENT:
            return f"qemu-vdagent,id={name},name=vdagent{_vdagent(source)}"
    raise Unsupported(f"QEMU has no character device of type {str(stream.type)!r}", place="domain/devices")


def _path(source: ChardevSource) -> str:
    if source.path:
        return source.path
    raise Unsupported("a character device needs a path", place="domain/devices", hint="add <source path='/...'/>")


def _listens(source: ChardevSource) -> bool:
    return source.mode is SocketMode.BIND


def _unix(name: str, source: ChardevSource, launch: Launch) -> str:
    """A listening socket is opened by us, so that it is there before QEMU is."""
    if _listens(source):
        return f"socket,id={name},fd={launch.opener.listen(Path(_path(source)))},server=on,wait=off"
    path = launch.reach(Path(_path(source)))
    return f"socket,id={name},path={escape(path)}{_reconnect(source)}"


def _tcp(name: str, stream: Stream, source: ChardevSource) -> str:
    telnet = ",telnet=on" if stream.protocol and stream.protocol.type is ProtocolType.TELNET else ""
    listening = ",server=on,wait=off" if _listens(source) else ""
    return f"socket,id={name},host={source.host},port={source.service}{telnet}{listening}{_reconnect(source)}"


def _reconnect(source: ChardevSource) -> str:
    wanted = source.reconnect
    return f",reconnect={wanted.timeout if wanted.enabled else 0}" if wanted else ""


def _udp(name: str, sources: list[ChardevSource]) -> str:
    ends = {source.mode: source for source in sources}
    far, near = ends.get(SocketMode.CONNECT, ChardevSource()), ends.get(SocketMode.BIND, ChardevSource())
    words = f"udp,id={name},host={far.host or ''},port={far.service}"
    return f"{words},localaddr={near.host or ''},localport={near.service or 0}"


def _spice_name(stream: Stream) -> str:
    """The channel of SPICE that carries this kind of device."""
    match stream:
        case Redirdev():
            return "usbredir"
        case Smartcard():
            return "smartcard"
    return "vdagent"


def _channel(stream: Stream, source: ChardevSource) -> str:
    if stream.type is ChardevType.DBUS and isinstance(stream, Redirdev):
        return source.channel or "org.qemu.usbredir"
    if source.channel:
        return source.channel
    raise Unsupported(
        f"type {str(stream.type)!r} needs a channel", place="domain/devices", hint="add <source channel=''/>"
    )


def _vdagent(source: ChardevSource) -> str:
    words = ""
    if source.clipboard:
        words += f",clipboard={'on' if source.clipboard.copypaste else 'off'}"
    if source.mouse:
        words += f",mouse={'on' if source.mouse.mode is MouseMode.CLIENT else 'off'}"
    return words
