"""Which packets go into a network, out of it and through it: rules of nftables, in one table of our own.

Two maps say which chains an interface's packets go through, and one which sources are translated, so that a packet
costs the same with one network as with a hundred, and so does a change.  A packet must be let out by the network that
it comes from and let in by the one it goes to.  Names of chains are made of the network's UUID.

    await install(network)     installing what is there already changes nothing
    await withdraw(network)

Source: networkAddIPSpecificFirewallRules and its
neighbours in src/network/bridge_driver_linux.c of libvirt 9.0 for what is let through; nft(8)
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

import msgspec

from vmherd.conf.network import Network
from vmherd.conf.network.forward import ForwardMode, Nat, NatPorts
from vmherd.conf.network.ip import Ip
from vmherd.errors import HostError
from vmherd.util import addresses
from vmherd.util.command import run

TABLE = "inet vmherd_network"
_M = ForwardMode
#: Networks whose packets pass rules; an open one is its user's to guard.
GUARDED = (_M.NONE, _M.NAT, _M.ROUTE)

# Rules of chains that are there already are replaced.  Removing any costs the kernel a pause until nobody uses them.
_BASE = f"""\
add table {TABLE}
add map {TABLE} outof {{ type ifname : verdict; }}
add map {TABLE} into {{ type ifname : verdict; }}
add map {TABLE} nat4 {{ type ipv4_addr : verdict; flags interval; }}
add map {TABLE} nat6 {{ type ipv6_addr : verdict; flags interval; }}
add chain {TABLE} forward {{ type filter hook forward priority filter; policy accept; }}
add chain {TABLE} postrouting {{ type nat hook postrouting priority srcnat; policy accept; }}
flush chain {TABLE} forward
flush chain {TABLE} postrouting
add rule {TABLE} forward iifname vmap @outof
add rule {TABLE} forward oifname vmap @into
add rule {TABLE} postrouting ip saddr vmap @nat4
add rule {TABLE} postrouting ip6 saddr vmap @nat6
"""

_ANY_PORT = (1024, 65535)
#: What is never translated: it stays on the wire.
_LINK_WIDE = {4: "{ 224.0.0.0/24, 255.255.255.255 }", 6: "{ fe80::/10, ff02::/16 }"}


def add(network: Network) -> str:
    """What lets the packets of a network through; "" where nothing is to be done."""
    if network.mode not in GUARDED:
        return ""
    key, bridge = _key(network), _bridge(network)
    chains = {f"out_{key}": list(_outgoing(network)), f"in_{key}": list(_incoming(network))}
    elements = [f"outof {{ {bridge} : jump out_{key} }}", f"into {{ {bridge} : jump in_{key} }}"]
    for version, ips in _translated(network).items():
        chains[f"nat{version}_{key}"] = list(_translation(network, version))
        elements += [f"nat{version} {{ {_range(ip)} : jump nat{version}_{key} }}" for ip in ips]
    lines = []
    for name, rules in chains.items():
        lines += [f"add chain {TABLE} {name}", f"flush chain {TABLE} {name}"]
        lines += [f"add rule {TABLE} {name} {rule}" for rule in rules]
    lines += [f"add element {TABLE} {element}" for element in elements]
    return "".join(f"{line}\n" for line in lines)


def remove(network: Network) -> str:
    """What takes everything of ``add`` out again, all of which must be there."""
    key = _key(network)
    lines = [f"delete element {TABLE} {element}" for element in _elements(network)]
    chains = [f"out_{key}", f"in_{key}", *(f"nat{version}_{key}" for version in _translated(network))]
    lines += [f"delete chain {TABLE} {chain}" for chain in chains]
    return "".join(f"{line}\n" for line in lines)


def _elements(network: Network) -> Iterator[str]:
    """The keys of a network in the maps."""
    for name in ("outof", "into"):
        yield f"{name} {{ {_bridge(network)} }}"
    for version, ips in _translated(network).items():
        yield from (f"nat{version} {{ {_range(ip)} }}" for ip in ips)


def show_ports(network: Network) -> None:
    """Put the ports that outgoing connections get into the document of a network that starts, as libvirt does."""
    forward = network.forward
    if forward and forward.mode is _M.NAT:
        forward.nat = forward.nat or Nat()
        forward.nat.port = forward.nat.port or NatPorts(start=_ANY_PORT[0], end=_ANY_PORT[1])


def _key(network: Network) -> str:
    return (network.uuid or "").replace("-", "")


def _bridge(network: Network) -> str:
    assert network.bridge is not None  # networks of these modes have one
    return f'"{network.bridge.name}"'


def _range(ip: Ip) -> str:
    return str(addresses.network(addresses.parse(ip.address), ip.bits))


def _family(ip: Ip) -> str:
    return "ip" if ip.version == 4 else "ip6"


def _through(network: Network, word: str) -> str:
    """The one card of the host that packets may take, if the document names one."""
    dev = network.forward.dev if network.forward else None
    return f'{word} "{dev}" ' if dev else ""


def _among_guests(network: Network) -> str:
    """From guest to guest; the kernel shows bridged packets to this table too, where br_netfilter is on."""
    with_ipv6 = network.ipv6 or any(ip.version == 6 for ip in network.ips)
    return f"oifname {_bridge(network)} " + ("" if with_ipv6 else "meta nfproto ipv4 ") + "accept"


def _outgoing(network: Network) -> Iterator[str]:
    yield _among_guests(network)
    if network.mode is not _M.NONE:
        yield from (f"{_through(network, 'oifname')}{_family(ip)} saddr {_range(ip)} return" for ip in network.ips)
    yield "reject"


def _incoming(network: Network) -> Iterator[str]:
    """New connections come in where addresses are not translated."""
    if network.mode is not _M.NONE:
        translated = [ip for ips in _translated(network).values() for ip in ips]
        for ip in network.ips:
            state = "ct state established,related " if ip in translated else ""
            yield f"{_through(network, 'iifname')}{_family(ip)} daddr {_range(ip)} {state}return"
    yield "reject"


def _translated(network: Network) -> dict[int, list[Ip]]:
    """The ranges whose addresses nobody outside sees, by IP version."""
    if network.mode is not _M.NAT:
        return {}
    nat = network.forward.nat if network.forward else None
    versions = (4, 6) if nat and nat.ipv6 else (4,)
    found = {version: [ip for ip in network.ips if ip.version == version] for version in versions}
    return {version: ips for version, ips in found.items() if ips}


def _translation(network: Network, version: int) -> Iterator[str]:
    family = "ip" if version == 4 else "ip6"
    yield f"oifname {_bridge(network)} return"
    yield f"{family} daddr {_LINK_WIDE[version]} return"
    nat = (network.forward.nat if network.forward else None) or Nat()
    first, last = (nat.port.start, nat.port.end) if nat.port else _ANY_PORT
    through = _through(network, "oifname")
    target = "masquerade"
    if nat.address and version == 4:
        same = nat.address.start == nat.address.end
        target = f"snat ip to {nat.address.start}" + ("" if same else f"-{nat.address.end}")
    ports = f"{'' if target.startswith('snat') else ' to '}:{first}-{last}"
    yield f"{through}meta l4proto {{ tcp, udp }} {target}{ports}"
    yield f"{through}{target}"


async def install(network: Network) -> None:
    """Let the packets of a network through, by all of its rules or none.  Raises HostError with nft's own words."""
    text = add(network)
    if not text:
        return
    try:
        await _nft(text)
    except HostError:
        await restore()
        for element in _elements(network):
            with suppress(HostError):  # of a network that nobody knows any more, on a bridge that is ours now
                await _nft(f"delete element {TABLE} {element}\n")
        await _nft(text)


async def restore() -> None:
    """Write what all networks share: at first, and after somebody took it away.

    Apart from the rest, since nft cannot add ranges to a map of the same transaction (seen with 1.0.6).
    """
    await _nft(_BASE)


async def withdraw(network: Network) -> None:
    """Take out everything of ``install``, whether all of it is there or not.  Raises HostError."""
    if network.mode not in GUARDED:
        return
    try:
        await _nft(remove(network))
    except HostError:  # what is not there cannot be deleted
        await install(network)
        await _nft(remove(network))


async def _nft(text: str) -> None:
    await run(["nft", "-f", "-"], package="nftables", feed=text)


class _Named(msgspec.Struct):
    name: str = ""
    chain: str = ""


class _Item(msgspec.Struct):
    rule: _Named | None = None


class _Listing(msgspec.Struct):
    nftables: list[_Item]


async def present() -> set[str]:
    """The names of the chains of our table that have rules; none where the table is gone."""
    try:
        told = await run(["nft", "-j", "-t", "list", "table", *TABLE.split()], package="nftables")
    except HostError:
        return set()
    return {item.rule.chain for item in msgspec.json.decode(told, type=_Listing).nftables if item.rule}


def is_restored(chains: set[str]) -> bool:
    """Whether what all networks share is among those of ``present``."""
    return {"forward", "postrouting"} <= chains


def is_whole(network: Network, chains: set[str]) -> bool:
    """Whether the rules of a network are among those of ``present``."""
    if network.mode not in GUARDED:
        return True
    own = ("out", "in", *(f"nat{version}" for version in _translated(network)))
    return {f"{name}_{_key(network)}" for name in own} <= chains


_NETFILTER = 12  # NETLINK_NETFILTER
_GETGEN = 10 << 8 | 16  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN
_NEWGEN = 10 << 8 | 15


def generation() -> int | None:
    """The number of the kernel's set of rules, which is another one after each change; None where it tells none."""
    request = struct.pack("=IHHII", 20, _GETGEN, 1, 1, 0) + bytes(4)  # nlmsghdr with NLM_F_REQUEST, nfgenmsg
    with (
        suppress(OSError),
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER) as kernel,
    ):
        kernel.settimeout(1)
        kernel.send(request)
        answer = kernel.recv(4096)
        if struct.unpack_from("=H", answer, 4)[0] == _NEWGEN:
            return int(struct.unpack_from(">I", answer, 24)[0])  # after the headers: the attribute NFTA_GEN_ID
    return None
