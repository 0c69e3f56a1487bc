"""<forward>: how a network reaches the outside.

Source: virNetworkForwardDefParseXML and virNetworkForwardNatDefParseXML of libvirt
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from vmherd.conf.network.shared import Address, DriverName, LooseYes
from vmherd.errors import InvalidArgument
from vmherd.util import addresses
from vmherd.util.xmlmodel import Element, UInt, YesNo, attr, child, children, hexadecimal, whole

PortNumber = Annotated[int, whole(0, 65535)]
PciDomain = Annotated[int, hexadecimal(4, 0xFFFF)]
PciBus = Annotated[int, hexadecimal(2, 0xFF)]
PciSlot = Annotated[int, hexadecimal(2, 0x1F)]
PciFunction = Annotated[int, hexadecimal(1, 7)]


class ForwardMode(StrEnum):
    NONE = "none"
    NAT = "nat"
    ROUTE = "route"
    OPEN = "open"
    BRIDGE = "bridge"
    PRIVATE = "private"
    VEPA = "vepa"
    PASSTHROUGH = "passthrough"
    HOSTDEV = "hostdev"


class ForwardDriver(Element, tag="driver"):
    name: DriverName | None = attr()


class NatAddresses(Element, tag="address"):
    """The addresses that guests appear with outside."""

    start: Address = attr()
    end: Address = attr()

    def check(self) -> None:
        """Raises ValueError unless they are a range of IPv4."""
        try:
            addresses.range_size(addresses.parse(self.start, "inet"), addresses.parse(self.end, "inet"))
        except InvalidArgument as problem:
            raise ValueError(str(problem)) from None


class NatPorts(Element, tag="port"):
    start: PortNumber = attr()
    end: PortNumber = attr()

    def check(self) -> None:
        """Raises ValueError for a range that falls."""
        if self.start > self.end:
            raise ValueError(f"{self.start}-{self.end} is not a range of ports")


class Nat(Element, tag="nat"):
    """What outgoing connections are made to look like; ``ipv6`` translates those of IPv6 too."""

    ipv6: YesNo | None = attr()
    address: NatAddresses | None = child(alone=True)
    port: NatPorts | None = child(alone=True)

    def __post_init__(self) -> None:
        if self.port and self.port.end == 0:
            self.port = None


class PhysicalFunction(Element, tag="pf"):
    """The card whose virtual functions the guests get."""

    dev: str = attr()


class ForwardInterface(Element, tag="interface", json={"kind": "interface"}):
    """A card of the host; ``connections`` counts the guests on it while the network runs."""

    dev: str = attr()
    connections: UInt = attr(default=0)


class AddressType(StrEnum):
    PCI = "pci"


class ForwardAddress(Element, tag="address", json={"kind": "address"}):
    """A virtual function to hand to a guest."""

    type: AddressType = attr()
    domain: PciDomain = attr(default=0, always=True)
    bus: PciBus = attr(default=0, always=True)
    slot: PciSlot = attr(default=0, always=True)
    function: PciFunction = attr(default=0, always=True)


class Forward(Element, tag="forward"):
    dev: str | None = attr()
    mode: ForwardMode = attr(default=ForwardMode.NAT, always=True)
    managed: LooseYes | None = attr()
    driver: ForwardDriver | None = child()
    nat: Nat | None = child(alone=True)
    pf: PhysicalFunction | None = child(alone=True)
    interfaces: list[ForwardInterface | ForwardAddress] = children()

    def __post_init__(self) -> None:
        if self.driver and self.driver.name is None:
            self.driver = None
        self.managed = bool(self.managed) if self.mode is ForwardMode.HOSTDEV else None

    def check(self) -> None:
        """Raises ValueError for parts that exclude each other; an empty <nat> is dropped."""
        if self.nat and self.mode is not ForwardMode.NAT:
            raise ValueError("<nat> can only be used when mode is 'nat'")
        if self.nat == Nat():
            self.nat = None
        if self.dev and not self.cards and (self.addresses or self.pf):
            raise ValueError("'dev' cannot be used beside <address> or <pf>")

    @property
    def cards(self) -> list[ForwardInterface]:
        return [each for each in self.interfaces if isinstance(each, ForwardInterface)]

    @property
    def addresses(self) -> list[ForwardAddress]:
        return [each for each in self.interfaces if isinstance(each, ForwardAddress)]
