"""Ways through a firewall of the host's own that drops what it does not know.

What our table lets through, another table may drop.  Firewalls made with iptables (ufw, Docker, scripts) do so by the
policy of their chains INPUT and FORWARD; there, as libvirt does, rules for each network stand before all others: to
dnsmasq, and through the bridge, where our own table decides.  They carry the network's UUID, by which they are found.
Hosts without such chains pay one look for them.

Source: networkAddGeneralIPv4FirewallRules and its neighbours of libvirt 9.0; iptables-nft(8)
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import msgspec

from vmherd.conf.network import Network
from vmherd.errors import HostError
from vmherd.resources.network.firewall import GUARDED
from vmherd.util.command import run

log = logging.getLogger("vmherd.network")

_FAMILIES = ("ip", "ip6")
_TABLE = "filter"
_CHAINS = ("INPUT", "FORWARD")
_MARK = "vmherd network "


class _Chain(msgspec.Struct):
    family: str
    table: str
    name: str
    policy: str = ""


class _Rule(msgspec.Struct):
    family: str
    chain: str
    handle: int
    comment: str = ""


class _Item(msgspec.Struct):
    chain: _Chain | None = None
    rule: _Rule | None = None


class _Listing(msgspec.Struct):
    nftables: list[_Item]


class Ways(msgspec.Struct):
    """The chains that drop, by family and name, and the rules of ours in such tables."""

    closed: list[tuple[str, str]]
    rules: list[_Rule]

    def of(self, uuid: str) -> list[_Rule]:
        return [rule for rule in self.rules if rule.comment == _MARK + uuid]

    def missing(self, network: Network) -> list[tuple[str, str]]:
        """The chains that drop what belongs to a network."""
        if network.mode not in GUARDED:
            return []
        known = {(rule.family, rule.chain) for rule in self.of(network.uuid or "")}
        return [each for each in self.closed if each not in known]


async def look() -> Ways:
    """How the host's own firewall is now.  Raises HostError."""
    told = await _listed("; ".join(f"list chains {family}" for family in _FAMILIES))
    chains = [item.chain for item in told if item.chain]
    found = [each for each in chains if each.table == _TABLE and each.name in _CHAINS]
    rules = []
    for family in sorted({each.family for each in found}):
        rules += [item.rule for item in await _listed(f"list table {family} {_TABLE}") if item.rule]
    ours = [rule for rule in rules if rule.comment.startswith(_MARK)]
    return Ways([(each.family, each.name) for each in found if each.policy == "drop"], ours)


async def _listed(commands: str) -> list[_Item]:
    """nft answers each command with a document of its own."""
    told = await run(["nft", "-j", "-a", commands], package="nftables")
    return [item for line in told.splitlines() if line for item in msgspec.json.decode(line, type=_Listing).nftables]


async def open_for(network: Network, ways: Ways | None = None) -> None:
    """Let the packets of a network through.  A host whose firewall cannot be changed so is warned about."""
    try:
        missing = (ways or await look()).missing(network)
        if missing:
            await run(["nft", "-f", "-"], feed="".join(_rules(network, missing)), package="nftables")
    except HostError as problem:
        log.warning("the host's own firewall may drop packets of network %r: %s", network.name, problem)


def _rules(network: Network, chains: list[tuple[str, str]]) -> Iterator[str]:
    assert network.bridge is not None  # networks of these modes have one
    bridge, mark = f'"{network.bridge.name}"', f'comment "{_MARK}{network.uuid}"'
    for family, chain in chains:
        before = f"insert rule {family} {_TABLE} {chain}"
        if chain == "FORWARD":
            yield f"{before} iifname {bridge} accept {mark}\n"
            yield f"{before} oifname {bridge} accept {mark}\n"
        else:
            yield from (f"{before} iifname {bridge} {what} accept {mark}\n" for what in _served(network, family))


def _served(network: Network, family: str) -> Iterator[str]:
    """What dnsmasq listens for."""
    yield from ("udp dport 53", "tcp dport 53")
    if family == "ip":
        yield "udp dport 67"
        if any(ip.tftp for ip in network.ips):
            yield "udp dport 69"
    else:
        yield from ("udp dport 547", "meta l4proto ipv6-icmp")


async def close_for(network: Network) -> None:
    """Take out again what ``open_for`` put in, if anything."""
    if network.mode not in GUARDED:
        return
    try:
        rules = (await look()).of(network.uuid or "")
        if rules:
            text = "".join(f"delete rule {each.family} {_TABLE} {each.chain} handle {each.handle}\n" for each in rules)
            await run(["nft", "-f", "-"], feed=text, package="nftables")
    except HostError as problem:
        log.warning("the host's own firewall may still have rules for network %r: %s", network.name, problem)
