"""The host's end of a network card.

Source: NetdevKind in QEMU's qapi/net.json; qemuBuildHostNetProps of libvirt.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.conf.domain.net import Interface, InterfaceSource, InterfaceType
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.command.device import Properties, alias, escape, option
from vmherd.hypervisors.qemu.command.launch import Launch

#: Kinds whose end on the host is a network device of the kernel's.
TAPS = frozenset({InterfaceType.NETWORK, InterfaceType.BRIDGE, InterfaceType.ETHERNET, InterfaceType.DIRECT})


def arguments(interface: Interface, launch: Launch, *, accelerated: bool) -> list[str]:
    """-netdev, and before it what it refers to; ``accelerated``: the kernel may move the packets."""
    name: Properties = {"id": f"host{alias(interface)}"}
    if interface.type in TAPS:
        return option("-netdev", {**_tap(interface, launch, accelerated=accelerated), **name})
    match interface.type:
        case InterfaceType.VHOSTUSER:
            return _vhost_user(interface, name)
        case InterfaceType.VDPA:
            return _vdpa(interface, name, launch)
        case InterfaceType.USER if is_passt(interface):
            path = str(launch.host.passt(interface))
            address = {"type": "unix", "path": path}
            return option("-netdev", {"type": "stream", "addr": address, "server": False, **name})
        case InterfaceType.USER | InterfaceType.INTERNAL:
            return option("-netdev", {"type": "user", **_user_addresses(interface), **name})
    return option("-netdev", {"type": "socket", **_tunnel(interface), **name})


def is_passt(interface: Interface) -> bool:
    return interface.backend is not None and interface.backend.type == "passt"


def queues(interface: Interface) -> int | None:
    """How many pairs of queues a card has, if more than one."""
    wanted = interface.driver.queues if interface.driver else None
    return wanted if wanted and wanted > 1 else None


def _tap(interface: Interface, launch: Launch, *, accelerated: bool) -> Properties:
    fds = launch.host.tap(interface)
    found: Properties = {"type": "tap", **_descriptors("fd", fds)}
    if accelerated and (workers := launch.host.vhost_net(interface)):
        found |= {"vhost": True, **_descriptors("vhostfd", workers)}
    return {**found, "sndbuf": interface.tune.sndbuf if interface.tune else None}


def _descriptors(name: str, fds: Sequence[int]) -> Properties:
    numbers = [str(fd) for fd in fds]
    return {name: numbers[0]} if len(numbers) == 1 else {f"{name}s": ":".join(numbers)}


def _vhost_user(interface: Interface, name: Properties) -> list[str]:
    """Packets that another process moves, through memory that it shares with the guest."""
    source = interface.source or InterfaceSource()
    line = f"char{alias(interface)}"
    words = f"socket,id={line},path={escape(source.path or '')}"
    if source.mode == "server":
        words += ",server=on"
    elif source.reconnect:
        words += f",reconnect={source.reconnect.timeout if source.reconnect.enabled else 0}"
    end: Properties = {"type": "vhost-user", "chardev": line, "queues": queues(interface)}
    return ["-chardev", words, *option("-netdev", {**end, **name})]


def _vdpa(interface: Interface, name: Properties, launch: Launch) -> list[str]:
    number = next(launch.fdsets)
    passed = f"set={number},fd={launch.host.vdpa(interface)},opaque={alias(interface)}-vdpa"
    end: Properties = {"type": "vhost-vdpa", "vhostdev": f"/dev/fdset/{number}", "queues": queues(interface)}
    return ["-add-fd", passed, *option("-netdev", {**end, **name})]


def _user_addresses(interface: Interface) -> Properties:
    """The network that QEMU's own router makes up for the guest."""
    found: Properties = {}
    for ip in interface.ips:
        if ip.family == "ipv6":
            found |= {"ipv6-prefix": ip.address, "ipv6-prefixlen": ip.prefix or None}
        else:
            found["net"] = f"{ip.address}/{ip.prefix}" if ip.prefix else ip.address
    return found


def _tunnel(interface: Interface) -> Properties:
    """Cards of several guests, joined by a TCP connection, a multicast group or UDP packets."""
    source = interface.source or InterfaceSource()
    far = f"{source.address or ''}:{source.port}"
    match interface.type:
        case InterfaceType.MCAST:
            return {"mcast": far}
        case InterfaceType.CLIENT:
            return {"connect": far}
        case InterfaceType.SERVER:
            return {"listen": far}
        case InterfaceType.UDP if source.local:
            return {"udp": far, "localaddr": f"{source.local.address or ''}:{source.local.port}"}
    raise Unsupported(
        f"QEMU has no network cards of type {str(interface.type)!r}",
        place="domain/devices/interface/@type",
        hint="use <interface type='user'>, which needs no rights and reaches the outside",
    )
