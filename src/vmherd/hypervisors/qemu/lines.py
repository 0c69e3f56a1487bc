"""The serial lines and channels of a running guest: where to connect."""

from __future__ import annotations

from pathlib import Path

from vmherd.conf.domain import parse_domain
from vmherd.conf.domain.chardev import Channel, ChannelState, ChardevType, Console, Serial, SocketMode
from vmherd.errors import ArgumentUnsupported, InvalidState, NotResponding
from vmherd.hypervisors.qemu import agent


class NoSuchDevice(InvalidState):
    """The guest has no device of that name."""

    code = 1  # VIR_ERR_INTERNAL_ERROR, which libvirt answers


def console(xml: str, device: str) -> tuple[str, Path]:
    """The alias and the path of a line a person can talk to: the first, or the one with alias ``device``.

    Raises InvalidState if the guest has none, NoSuchDevice if it has none of that name.
    """
    domain = parse_domain(xml)
    devices = domain.devices
    lines: list[Serial | Console | Channel] = [*devices.serials, *devices.consoles, *devices.channels]
    for each in lines:
        alias = each.alias.name if each.alias else ""
        path = each.sources[0].path if each.sources else None
        if path and device in ("", alias) and _is_reachable(each):
            return alias, Path(path)
    if device:
        raise NoSuchDevice(f"cannot find character device {device}", hint="'vmherd dumpxml' has their aliases")
    raise InvalidState(
        f"domain {domain.name!r} has no serial line to open",
        hint="give it a <serial type='pty'/>; the device names are in 'vmherd dumpxml'",
    )


def channel(xml: str, name: str) -> tuple[str, Path]:
    """The alias and the socket of a channel: the first, or the one with this alias or name in the guest.

    Raises NoSuchDevice if the guest has none, or none that can be reached.
    """
    for each in parse_domain(xml).devices.channels:
        alias = each.alias.name if each.alias else ""
        if name not in ("", alias, each.target.name):
            continue
        path = each.sources[0].path if each.sources else None
        if path is None or each.type is not ChardevType.UNIX:
            raise NoSuchDevice(
                f"channel {name or alias} is not using a UNIX socket", hint="write <channel type='unix'>"
            )
        return alias, Path(path)
    raise NoSuchDevice(f"cannot find channel {name or '<null>'}", hint="'vmherd dumpxml' has their names")


def _is_reachable(line: Serial | Console | Channel) -> bool:
    if line.type is ChardevType.UNIX:
        return line.sources[0].mode is SocketMode.BIND
    return line.type is ChardevType.PTY


def agent_channel(xml: str) -> Path:
    """The socket of the guest agent's channel.

    Raises ArgumentUnsupported where the guest has none, NotResponding where nobody in the guest listens there.
    """
    for channel in parse_domain(xml).devices.channels:
        if channel.target.name == agent.CHANNEL and channel.sources and channel.sources[0].path:
            if channel.target.state is ChannelState.DISCONNECTED:
                raise NotResponding("QEMU guest agent is not connected", hint="is it running in the guest?")
            return Path(channel.sources[0].path)
    raise ArgumentUnsupported("QEMU guest agent is not configured", hint=_NO_AGENT)


_NO_AGENT = "add a <channel type='unix'> with target name 'org.qemu.guest_agent.0', and run qemu-ga in the guest"
