"""What dnsmasq is told to serve a network: its configuration and the files of hosts beside it.

Everything here only makes text.  Source: networkDnsmasqConfContents of src/network/bridge_driver.c and
src/util/virdnsmasq.c of libvirt 9.0; dnsmasq(8)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network
from pathlib import Path
from xml.sax.saxutils import escape

from vmherd.conf.network.dns import Dns, Srv
from vmherd.conf.network.forward import ForwardMode
from vmherd.conf.network.ip import DhcpHost, DhcpRange, Ip, Lease
from vmherd.conf.network.network import Network
from vmherd.errors import Unsupported
from vmherd.util import addresses

_BANNER = """\
##WARNING:  THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
##OVERWRITTEN AND LOST.  Changes to this configuration should be made using:
##    virsh net-edit {name}
## or other application using the libvirt API.
##
## dnsmasq conf file created by libvirt
"""


def configuration(network: Network, folder: Path, *, pid_file: Path | None = None, loopback: str = "lo") -> str:
    """The text of the configuration file; the files of hosts are in ``folder``.

    Raises Unsupported for DHCP on two addresses of a family, and for what has no reverse domain.
    """
    lines = [
        "strict-order",
        *_names(network),
        *([f"pid-file={pid_file}"] if pid_file else []),
        f"except-interface={loopback}",
        "bind-dynamic",
        f"interface={network.bridge.name if network.bridge else None}",
        *_isolation(network),
        *(_records(network.dns) if network.dns and network.dns.wanted else []),
        *_tftp(network),
        *_dhcp(network),
        *_files(network, folder),
        *([f"dhcp-option=option:mtu,{network.mtu.size}"] if network.mtu else []),
        *_advertising(network),
        *(option.value for option in (network.dnsmasq.options if network.dnsmasq else [])),
    ]
    return _BANNER.format(name=network.name) + _text(lines)


def _text(lines: Iterable[str]) -> str:
    """A file of these lines.  Raises Unsupported for a value that would be several, and so another setting."""
    found = list(lines)
    for line in found:
        if len(line.splitlines()) > 1 or "\0" in line:
            raise Unsupported(
                f"{line!r} has a line break in it", place="network", hint="dnsmasq has one setting a line"
            )
    return "".join(f"{line}\n" for line in found)


def hosts_file(network: Network) -> str:
    """The text of the file of guests with a fixed address, empty if there is none."""
    return _text(_host(host, ip) for ip in _serving(network) if ip.dhcp for host in ip.dhcp.hosts)


def additional_hosts_file(network: Network) -> str:
    """The text of the file of DNS names, empty if there is none."""
    hosts = network.dns.hosts if network.dns else []
    return _text("\t".join([host.ip or "", *host.names, ""]) for host in hosts)


def file_of(network: Network, folder: Path, kind: str) -> Path:
    """A file beside the configuration.  Its name is escaped as in XML, as libvirt does."""
    name = escape(network.name or "", {"'": "&apos;", '"': "&quot;"})
    return folder / f"{name}.{kind}"


def _names(network: Network) -> Iterator[str]:
    """Whom to ask for names, and what is answered here alone."""
    dns = network.dns or Dns()
    if not dns.wanted:
        yield "port=0"
    for each in dns.forwarders:
        yield "server=" + ("" if each.domain is None else f"/{each.domain}/") + (each.addr or "#")
    if any(each.addr and each.domain is None for each in dns.forwarders):
        yield "no-resolv"
    if network.domain:
        if network.domain.local_only:
            yield f"local=/{network.domain.name}/"
        yield from (f"domain={network.domain.name}", "expand-hosts")
    if dns.wanted:
        yield from (f"local=/{_reverse_domain(ip)}/" for ip in network.ips if ip.local_ptr)
        if dns.forward_plain_names is False:
            yield from ("domain-needed", "local=//")


def _reverse_domain(ip: Ip) -> str:
    """Source: virSocketAddrPTRDomain"""
    address = addresses.parse(ip.address)
    step = 8 if address.version == 4 else 4
    bits = _bits(ip)
    if not 0 < bits < address.max_prefixlen or bits % step:
        hint = f"take a prefix that is a multiple of {step}"
        raise Unsupported(f"{address}/{bits} has no PTR domain", place="network/ip/@localPtr", hint=hint)
    labels = address.reverse_pointer.split(".")
    return ".".join(labels[(address.max_prefixlen - bits) // step :])


def _bits(ip: Ip) -> int:
    try:
        return ip.bits
    except ValueError as problem:
        raise Unsupported(str(problem), place="network/ip") from None


def _isolation(network: Network) -> Iterator[str]:
    """No way out: no default route, no questions to the host's servers, no router."""
    if network.mode is ForwardMode.NONE:
        yield from ("dhcp-option=3", "no-resolv", "ra-param=*,0,0")


def _records(dns: Dns) -> Iterator[str]:
    yield from (f"txt-record={each.name},{each.value}" for each in dns.txts)
    yield from map(_service, dns.srvs)


def _service(record: Srv) -> str:
    """Port, priority and weight are told by position; without target the service is not available (RFC 2782)."""
    text = f"srv-host=_{record.service}._{record.protocol}" + (f".{record.domain}" if record.domain is not None else "")
    if record.target in (None, "."):
        return text
    numbers = [record.port or 0, record.priority or 0, record.weight or 0]
    while numbers and not numbers[-1]:
        numbers.pop()
    if numbers:
        numbers[0] = numbers[0] or 1
    return ",".join([text, record.target or "", *map(str, numbers)])


def _tftp(network: Network) -> Iterator[str]:
    """The folders of files that guests start from."""
    roots = [f"tftp-root={ip.tftp.root}" for ip in network.ips if ip.tftp]
    yield from ["enable-tftp", *roots] if roots else []


def _serving(network: Network) -> list[Ip]:
    """The addresses that serve DHCP: that of IPv4, then that of IPv6."""
    found = []
    for version in (4, 6):
        serving = [ip for ip in network.ips if ip.version == version and ip.serves_dhcp]
        if len(serving) > 1:
            raise Unsupported(f"for IPv{version}, only one address can serve DHCP", place="network/ip/dhcp")
        found += serving
    return found


def _dhcp(network: Network) -> Iterator[str]:
    leases = 0
    for ip in _serving(network):
        assert ip.dhcp
        for each in ip.dhcp.ranges:
            yield _range(each, ip)
            leases += addresses.range_size(addresses.parse(each.start), addresses.parse(each.end))
        if not ip.dhcp.ranges:
            yield f"dhcp-range={ip.address},static" + (f",{_bits(ip)}" if ip.version == 6 else "")
        if ip.version == 4:
            yield from ("dhcp-no-override", "dhcp-authoritative")
        if ip.dhcp.bootp:
            yield f"dhcp-boot={ip.dhcp.bootp.file}" + (f",,{ip.dhcp.bootp.server}" if ip.dhcp.bootp.server else "")
    if leases:
        yield f"dhcp-lease-max={leases}"


def _range(given: DhcpRange, ip: Ip) -> str:
    bits = _bits(ip)
    size = str(bits) if ip.version == 6 else str(IPv4Network((0, bits)).netmask)
    return f"dhcp-range={given.start},{given.end},{size}" + _lease(given.lease)


def _lease(lease: Lease | None) -> str:
    if lease is None:
        return ""
    return f",{lease.expiry}{(lease.unit or '')[:1]}" if lease.expiry else ",infinite"


def _host(host: DhcpHost, ip: Ip) -> str:
    """A line of the hosts file.  Source: hostsfileAdd"""
    if ip.version == 6:
        who = [f"id:{host.id}"] if host.id is not None else []
        parts = [*who, *([host.name] if host.name is not None else []), f"[{host.ip}]"]
    elif host.name is not None and host.mac is not None:
        parts = [host.mac, host.ip or "", host.name]
    else:
        parts = [host.name if host.name is not None else host.mac or "", host.ip or ""]
    return ",".join(parts) + _lease(host.lease)


def _files(network: Network, folder: Path) -> Iterator[str]:
    """They are named even when empty: hosts may come while the network runs."""
    if _serving(network):
        yield f"dhcp-hostsfile={file_of(network, folder, 'hostsfile')}"
    if (network.dns or Dns()).wanted:
        yield f"addn-hosts={file_of(network, folder, 'addnhosts')}"


def _advertising(network: Network) -> Iterator[str]:
    """Routers are advertised with DHCP for IPv6, or else for guests that choose their own addresses."""
    if any(ip.version == 6 for ip in _serving(network)):
        yield "enable-ra"
    else:
        yield from (f"dhcp-range={ip.address},ra-only" for ip in network.ips if ip.version == 6)
