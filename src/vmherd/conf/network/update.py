"""Changing one section of a network, which need not be stopped for it.

Source: virNetworkDefUpdateSection of libvirt 9.0, virNetworkUpdateCommand and virNetworkUpdateSection
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import TypeVar

from vmherd.conf.network.checks import check_all, located
from vmherd.conf.network.dns import Dns, DnsHost, Srv, Txt
from vmherd.conf.network.forward import Forward, ForwardInterface
from vmherd.conf.network.ip import Dhcp, DhcpHost, DhcpRange, Ip
from vmherd.conf.network.network import Network, PortGroup
from vmherd.conf.network.rules import tidy
from vmherd.errors import InvalidState, OperationUnsupported
from vmherd.util.xmlmodel import Element, parse

E = TypeVar("E", bound=Element)


class Command(IntEnum):
    MODIFY = 1
    DELETE = 2
    ADD_LAST = 3
    ADD_FIRST = 4

    @property
    def adds(self) -> bool:
        return self in (Command.ADD_LAST, Command.ADD_FIRST)


class Section(IntEnum):
    BRIDGE = 1
    DOMAIN = 2
    IP = 3
    IP_DHCP_HOST = 4
    IP_DHCP_RANGE = 5
    FORWARD = 6
    FORWARD_INTERFACE = 7
    FORWARD_PF = 8
    PORTGROUP = 9
    DNS_HOST = 10
    DNS_TXT = 11
    DNS_SRV = 12


def update(network: Network, command: int, section: int, parent_index: int, xml: str | bytes) -> Network:
    """A copy of ``network`` with an element of ``section`` added, modified or deleted.

    ``parent_index`` tells which <ip> a DHCP entry is in; -1 is the one that serves DHCP, or the first.  Raises
    OperationUnsupported for what cannot be changed, InvalidState where the entry is there already or is not
    found, DocumentError when ``xml`` is nonsense.  Whether the changed network makes sense is for ``complete`` to say.
    """
    change = _CHANGES.get(section)
    if change is None:
        raise OperationUnsupported(f"the section {_named(Section, section)} of a network cannot be updated")
    if command not in list(Command):
        raise OperationUnsupported(f"{command} is no command to update a network with")
    changed = network.copy()
    change(changed, Command(command), parent_index, xml)
    tidy(changed)
    return changed


def _named(enum: type[IntEnum], number: int) -> str:
    return repr(enum(number).name.lower().replace("_", "-")) if number in list(enum) else str(number)


def _dhcp_host(network: Network, command: Command, parent_index: int, xml: str | bytes) -> None:
    host = parse(DhcpHost, xml)
    check_all(host, "host")
    ip = _ip_at(network, parent_index)
    located("host", lambda: host.check_in(ip, partial=command is Command.DELETE))
    dhcp = ip.dhcp = ip.dhcp or Dhcp()
    if command is Command.DELETE:
        found = [each for each in dhcp.hosts if _fits(host, each)][:1]
    else:
        found = [each for each in dhcp.hosts if _clashes(host, each)][:1]
    if command.adds:
        _refuse_second_dhcp(network, ip)
    _edit(dhcp.hosts, command, host, found)
    _drop_dhcp(ip)


def _clashes(host: DhcpHost, other: DhcpHost) -> bool:
    """Whether one of MAC address, name and IP address is the same."""
    return (
        host.same_mac(other)
        or (host.name is not None and host.name == other.name)
        or (host.ip is not None and host.ip == other.ip)
    )


def _fits(host: DhcpHost, other: DhcpHost) -> bool:
    """Whether all that ``host`` tells is so of the other; a MAC address counts where both have one."""
    return (
        (host.mac is None or other.mac is None or host.same_mac(other))
        and host.name in (None, other.name)
        and host.ip in (None, other.ip)
    )


def _dhcp_range(network: Network, command: Command, parent_index: int, xml: str | bytes) -> None:
    _refuse_modify(command, "a DHCP range")
    given = parse(DhcpRange, xml)
    check_all(given, "range")
    ip = _ip_at(network, parent_index)
    located("range", lambda: ip.check_range(given))
    dhcp = ip.dhcp = ip.dhcp or Dhcp()
    if command.adds:
        _refuse_second_dhcp(network, ip)
    found = [each for each in dhcp.ranges if (each.start, each.end) == (given.start, given.end)]
    _edit(dhcp.ranges, command, given, found)
    _drop_dhcp(ip)


def _ip_at(network: Network, index: int) -> Ip:
    """Source: virNetworkIPDefByIndex"""
    if index >= 0:
        if index < len(network.ips):
            return network.ips[index]
        raise InvalidState(f"there is no <ip> at index {index} in network {network.name!r}")
    serving = [ip for ip in network.ips if ip.serves_dhcp]
    ordered = sorted(network.ips, key=lambda ip: ip.version)
    for ip in (*serving, *ordered):
        return ip
    raise InvalidState(f"there is no <ip> in network {network.name!r}")


def _refuse_second_dhcp(network: Network, ip: Ip) -> None:
    """Source: virNetworkDefUpdateCheckMultiDHCP"""
    if any(each.serves_dhcp for each in network.ips if each is not ip and each.version == ip.version):
        raise InvalidState(f"DHCP is supported only for a single IPv{ip.version} address of each network")


def _drop_dhcp(ip: Ip) -> None:
    if not ip.serves_dhcp:
        ip.dhcp = None


def _interface(network: Network, command: Command, _: int, xml: str | bytes) -> None:
    _refuse_modify(command, "a forward interface")
    given = parse(ForwardInterface, xml)
    given.connections = 0
    forward = network.forward or Forward(mode=network.mode)
    found = [each for each in forward.cards if each.dev == given.dev]
    if command is Command.DELETE and found and found[0].connections:
        raise InvalidState(f"interface {given.dev!r} is used by {found[0].connections} guests")
    _edit(forward.interfaces, command, given, found)


def _portgroup(network: Network, command: Command, _: int, xml: str | bytes) -> None:
    group = parse(PortGroup, xml)
    check_all(group, "portgroup")
    found = [each for each in network.portgroups if each.name == group.name][:1]
    others = [each for each in network.portgroups if each.default and each not in found]
    if command is not Command.DELETE and group.default and others:
        raise InvalidState(f"{others[-1].name!r} is the default port group already; there can be only one")
    _edit(network.portgroups, command, group, found)


def _dns_host(network: Network, command: Command, _: int, xml: str | bytes) -> None:
    _refuse_modify(command, "a DNS host")
    host, dns = parse(DnsHost, xml), _dns(network)
    found = [each for each in dns.hosts if host.ip is not None and each.ip == host.ip]
    located("host", host.check if command.adds else host.sound)
    if not command.adds:
        found = [each for each in dns.hosts if each in found or set(each.names) & set(host.names)]
    _edit(dns.hosts, command, host, found)


def _dns_txt(network: Network, command: Command, _: int, xml: str | bytes) -> None:
    _refuse_modify(command, "a TXT record")
    txt, dns = parse(Txt, xml), _dns(network)
    located("txt", txt.check if command.adds else txt.sound)
    _edit(dns.txts, command, txt, [each for each in dns.txts if each.name == txt.name][:1])


_RECORD = ("domain", "service", "protocol", "target", "port", "priority", "weight")


def _dns_srv(network: Network, command: Command, _: int, xml: str | bytes) -> None:
    _refuse_modify(command, "an SRV record")
    srv, dns = parse(Srv, xml), _dns(network)
    located("srv", srv.check if command.adds else srv.sound)
    told = [name for name in _RECORD if getattr(srv, name) is not None]
    _edit(dns.srvs, command, srv, [each for each in dns.srvs if all(getattr(each, n) == getattr(srv, n) for n in told)])


def _dns(network: Network) -> Dns:
    network.dns = network.dns or Dns()
    return network.dns


def _refuse_modify(command: Command, what: str) -> None:
    if command is Command.MODIFY:
        raise OperationUnsupported(f"{what} cannot be modified", hint="delete it and add another")


def _edit(entries: list[E], command: Command, given: E, found: Sequence[E]) -> None:
    """Do ``command`` with ``given`` where ``found`` is what is there of it."""
    tag = given.__xml__.tag
    if command.adds:
        if found:
            raise InvalidState(f"there is such a <{tag}> already", hint="delete it first")
        entries.insert(0 if command is Command.ADD_FIRST else len(entries), given)
        return
    if not found:
        raise InvalidState(f"there is no such <{tag}>", hint="look at the network's document")
    if len(found) > 1:
        raise InvalidState(f"several <{tag}> are like this", hint="tell more of the one that is meant")
    place = next(number for number, each in enumerate(entries) if each is found[0])
    entries[place : place + 1] = [given] if command is Command.MODIFY else []


_CHANGES: dict[int, Callable[[Network, Command, int, str | bytes], None]] = {
    Section.IP_DHCP_HOST: _dhcp_host,
    Section.IP_DHCP_RANGE: _dhcp_range,
    Section.FORWARD_INTERFACE: _interface,
    Section.PORTGROUP: _portgroup,
    Section.DNS_HOST: _dns_host,
    Section.DNS_TXT: _dns_txt,
    Section.DNS_SRV: _dns_srv,
}
