"""What networks share with the cards of domains, held to libvirt's rules: vlan, virtualport, bandwidth, addresses.

Source: src/conf/netdev_vlan_conf.c, netdev_vport_profile_conf.c and netdev_bandwidth_conf.c of libvirt
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from vmherd.conf.domain.net import Bandwidth, PortParameters, Rate, VirtualPort, Vlan, VlanTag
from vmherd.errors import InvalidArgument
from vmherd.util import addresses
from vmherd.util.xmlmodel import Codec, Element, Mac, UInt, ULong, YesNo, attr, child, children, hexadecimal, whole


def _address(text: str) -> str:
    try:
        return addresses.shown(addresses.parse(text.strip()))
    except InvalidArgument as problem:
        raise ValueError(str(problem)) from None


#: A numeric address of either family, in its canonical form.
Address = Annotated[str, Codec(_address)]
#: Yes only for that word, in any case; everything else is no.
LooseYes = Annotated[bool, Codec(lambda text: text.lower() == "yes", lambda value: "yes" if value else "no")]
#: Numbers of 8 and 24 bits written in decimal, read like C's strtoul with base 0.
Number8 = Annotated[int, Codec(hexadecimal(1, 0xFF).parse)]
Number24 = Annotated[int, Codec(hexadecimal(1, 0xFFFFFF).parse)]
VlanId = Annotated[int, whole(0, 4095)]


class MacTableManager(StrEnum):
    """Who keeps the bridge's table of MAC addresses."""

    KERNEL = "kernel"
    LIBVIRT = "libvirt"


class NativeMode(StrEnum):
    """Whether frames of the native VLAN leave with a tag."""

    TAGGED = "tagged"
    UNTAGGED = "untagged"


class DriverName(StrEnum):
    """What hands a host device to a guest."""

    KVM = "kvm"
    VFIO = "vfio"


class NetworkVlanTag(VlanTag):
    id: VlanId = attr()
    native_mode: NativeMode | None = attr("nativeMode")


def _trunk(text: str) -> bool:
    if text.lower() not in ("yes", "no"):
        raise ValueError(f"{text!r} is neither 'yes' nor 'no'")
    return text.lower() == "yes"


Trunk = Annotated[bool, Codec(_trunk, lambda value: "yes" if value else "no")]


class NetworkVlan(Vlan):
    trunk: Trunk | None = attr()
    tags: list[NetworkVlanTag] = children()  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.trunk = True if self.trunk is None and len(self.tags) > 1 else self.trunk

    def check(self) -> None:
        """Raises ValueError for tags that do not go together; a no beside a single tag is dropped."""
        if not self.tags:
            raise ValueError("a <vlan> must have at least one <tag id='n'/>")
        native = [each for each in self.tags if each.native_mode]
        if len(native) > 1:
            raise ValueError("there can be only one native VLAN")
        if self.trunk is False and len(self.tags) > 1:
            raise ValueError("trunk='yes' is required for more than one VLAN tag")
        if self.trunk is False and native:
            raise ValueError("trunk='no' is not allowed with a native VLAN")
        self.trunk = self.trunk or None


class NetworkPortParameters(PortParameters):
    managerid: Number8 | None = attr()
    typeid: Number24 | None = attr()
    typeidversion: Number8 | None = attr()

    def check(self) -> None:
        """Raises ValueError for a profile whose name is too long."""
        if len((self.profileid or "").encode()) >= _PROFILE_SIZE:
            raise ValueError(f"profileid is too long: it has at most {_PROFILE_SIZE - 1} bytes")


_PROFILE_SIZE = 40  # LIBVIRT_IFLA_VF_PORT_PROFILE_MAX, with its NUL


class PortType(StrEnum):
    QBG = "802.1Qbg"
    QBH = "802.1Qbh"
    OPENVSWITCH = "openvswitch"
    MIDONET = "midonet"


#: The parameters that a type of port cannot have.  Source: virNetDevVPortProfileCheckNoExtras
_EXTRA = {
    PortType.QBG: ("profileid", "interfaceid"),
    PortType.QBH: ("managerid", "typeid", "typeidversion", "instanceid", "interfaceid"),
    PortType.OPENVSWITCH: ("managerid", "typeid", "typeidversion", "instanceid"),
    PortType.MIDONET: ("managerid", "typeid", "typeidversion", "instanceid"),
}


class NetworkVirtualPort(VirtualPort):
    type: PortType | None = attr()
    parameters: NetworkPortParameters | None = child()

    def __post_init__(self) -> None:
        given = self.parameters
        if given and not given.profileid:
            given.profileid = None
        if given == NetworkPortParameters():
            self.parameters = None
        elif given and self.type is PortType.MIDONET:
            given.profileid = None

    def check(self) -> None:
        """Raises ValueError for parameters that the type does not have."""
        given = self.parameters
        for name in _EXTRA.get(self.type, ()) if self.type and given else ():
            if getattr(given, name) is not None:
                raise ValueError(f"a virtualport of type {self.type} has no {name}")


class NetworkRate(Rate):
    """As a card's, in numbers of 64 bits; a zero is as good as none."""

    average: ULong | None = attr()
    peak: ULong | None = attr()
    floor: ULong | None = attr()
    burst: ULong | None = attr()

    def check(self) -> None:
        """Raises ValueError for a rate that does not say how much."""
        if self.average is None and self.floor is None and self.burst is None and self.peak is None:
            raise ValueError("a rate needs average or floor")
        if self.average is None and (self.floor is None or self.peak is not None or self.burst is not None):
            raise ValueError("peak and burst require average")


class NetworkBandwidth(Bandwidth):
    """Of all that goes through the network; nothing has a guaranteed floor here."""

    inbound: NetworkRate | None = child(alone=True)
    outbound: NetworkRate | None = child("outbound", alone=True)

    def check(self) -> None:
        """Raises ValueError for a floor where there is none."""
        if self.outbound and self.outbound.floor is not None:
            raise ValueError("the attribute floor is allowed only in <inbound>")
        self._refuse_floor()

    def tidy(self) -> None:
        """Drop zeros, which are as good as nothing."""
        self.inbound, self.outbound = _told(self.inbound), _told(self.outbound)

    def _refuse_floor(self) -> None:
        if self.inbound and self.inbound.floor is not None:
            raise ValueError("the attribute floor is not supported for networks and port groups")


class PortBandwidth(NetworkBandwidth):
    """Of one port; ``class_id`` is that of its traffic in the kernel."""

    class_id: UInt | None = attr("classID")

    def _refuse_floor(self) -> None:
        """A port may have a floor."""


def _told(rate: NetworkRate | None) -> NetworkRate | None:
    """``rate`` without its zeros, or None."""
    if rate is None:
        return None
    for name in ("average", "peak", "floor", "burst"):
        setattr(rate, name, getattr(rate, name) or None)
    return rate if rate.average or rate.floor else None


class Isolation(Element, tag="port"):
    """Isolated ports reach only ports that are not."""

    isolated: YesNo | None = attr()


class NetworkMac(Element, tag="mac"):
    """The address of the bridge, which is one of a single interface."""

    address: Mac | None = attr()

    def check(self) -> None:
        """Raises ValueError for an address of many."""
        if self.address and int(self.address[:2], 16) & 1:
            raise ValueError(f"{self.address} is a multicast MAC address")
