"""Cards of which nobody told the IP address: it is learned, and until then nothing but DHCP passes.

libvirt lets any IPv4 and ARP pass while it looks at the first packets; here they are looked at, and dropped.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Set
from enum import StrEnum

from vmherd.errors import InvalidArgument, OperationFailed
from vmherd.resources.nwfilter.chains import CardRules
from vmherd.resources.nwfilter.packets import FOREVER, Given, GivenBack, Told
from vmherd.resources.nwfilter.variables import Variables

_HOW = "CTRL_IP_LEARNING"
SERVERS = "DHCPSERVER"


class Learning(StrEnum):
    """ANY: from the first packets or DHCP; DHCP: from what DHCP servers give, as long as they give it."""

    NOTHING = "none"
    ANY = "any"
    DHCP = "dhcp"


def learning_of(missing: Set[str], values: Variables) -> Learning:
    """What to learn for a filter whose variables ``missing`` have no value.

    Raises OperationFailed where they cannot be learned.  Source: virNWFilterDoInstantiate
    """
    if not missing:
        return Learning.NOTHING
    told = values.get(_HOW, (Learning.ANY.value,))[0].lower()
    if told not in list(Learning):
        raise InvalidArgument(f"{_HOW} is {told!r}", hint="write any, dhcp or none")
    if missing != {"IP"} or told == Learning.NOTHING:
        raise OperationFailed(
            "Cannot instantiate filter due to unresolvable variables or unavailable list elements: "
            + ", ".join(sorted(missing)),
            hint="give them values with <parameter> in the <filterref>",
        )
    return Learning(told)


def waiting_rules(mac: str, values: Variables) -> CardRules:
    """DHCP of the guest itself, with the servers that may serve it where they are told."""
    asks = "ether type 0x0800 ip protocol 17 th sport 68 th dport 67"
    answers = "ether type 0x0800 ip protocol 17 th sport 67 th dport 68"
    servers = ", ".join(values.get(SERVERS, ()))
    return CardRules(
        sent=(f"ether saddr {mac} {asks} accept", "drop"),
        received=(f"{answers} ip saddr {{ {servers} }} accept" if servers else f"{answers} accept", "drop"),
    )


def leases_after(
    leases: Mapping[str, float | None], told: Told, how: Learning, servers: Collection[str]
) -> dict[str, float | None]:
    """The addresses of a card after its frames told something.

    Where any way is right the first address is the one; of a DHCP server, each as long as it is given.
    """
    if how is Learning.ANY:
        return dict(leases) if leases or isinstance(told, GivenBack) else {told.address: None}
    if isinstance(told, GivenBack):
        return {address: ends for address, ends in leases.items() if address != told.address}
    if not isinstance(told, Given) or (servers and told.server not in servers):
        return dict(leases)
    ends = None if told.seconds == FOREVER else time.time() + told.seconds
    return {**leases, told.address: ends}
