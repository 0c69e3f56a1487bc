"""The addresses that dnsmasq has given away, out of the file where it keeps them.

A line is: expiry, MAC address (IPv6: IAID), address, name, client id (IPv6: DUID); "*" where there is none.  The lines
after "duid ..." are those of IPv6.  Source: lease_update_file of dnsmasq (src/lease.c); networkGetDHCPLeases of libvirt
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from vmherd.conf.network import Network
from vmherd.driver.network import Lease
from vmherd.util import addresses

_FIELDS = 5
#: An IAID of a temporary address begins with this letter.
_TEMPORARY = "T"
#: DUIDs that end with the card's address: by link-layer address, with (1) or without (3) a time.  RFC 8415, section 11
_BY_ADDRESS = {"00:01:00:01": 8, "00:03:00:01": 4}


def read(path: Path, network: Network, mac: str = "") -> list[Lease]:
    """What has not expired, of one card if ``mac`` names it."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    now = int(time.time())
    found = _leases(lines, network)
    return [each for each in found if each.expiry in (0, max(each.expiry, now)) and mac.lower() in ("", each.mac)]


def _leases(lines: list[str], network: Network) -> Iterator[Lease]:
    ipv6 = False
    for line in lines:
        ipv6 = ipv6 or line.startswith("duid ")
        fields = line.split()
        if len(fields) >= _FIELDS and fields[0].isdigit():
            yield _lease(fields, network, ipv6=ipv6)


def _lease(fields: list[str], network: Network, *, ipv6: bool) -> Lease:
    expiry, who, address, name, client = (field if field != "*" else "" for field in fields[:_FIELDS])
    bridge = (network.bridge.name or "") if network.bridge else ""
    return Lease(
        interface=bridge,
        expiry=int(expiry),
        mac=_mac(client) if ipv6 else who.split("-")[-1],
        address=address,
        prefix=_prefix(network, address),
        ipv6=ipv6,
        hostname=name,
        client_id=client,
        iaid=who.removeprefix(_TEMPORARY) if ipv6 else "",
    )


def _mac(duid: str) -> str:
    """The address in a DUID that is made of one; "" for others: DHCP for IPv6 does not tell it."""
    start = _BY_ADDRESS.get(duid[:11])
    return ":".join(duid.split(":")[start:]) if start else ""


def _prefix(network: Network, address: str) -> int:
    """The length of the prefix of the range that an address is in.  Source: networkGetDHCPLeases"""
    given = addresses.parse(address)
    for ip in network.ips:
        here = addresses.network(addresses.parse(ip.address), ip.bits)
        if given.version == here.version and given in here:
            return ip.bits
    return given.max_prefixlen
