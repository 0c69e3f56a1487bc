"""<dns>: names that guests can ask for.

Source: virNetworkDNSDefParseXML of libvirt and what it calls
"""

from __future__ import annotations

from typing import Annotated

from vmherd.conf.network.forward import PortNumber
from vmherd.conf.network.shared import Address
from vmherd.util.xmlmodel import Element, YesNo, attr, children, leaf, whole


class Forwarder(Element, tag="forwarder"):
    """Another server to ask, of everything or of one domain; without address a domain stays here."""

    domain: str | None = attr()
    addr: Address | None = attr()

    def check(self) -> None:
        """Raises ValueError for one that says nothing."""
        if self.domain is None and self.addr is None:
            raise ValueError("a forwarder must have at least one of addr and domain")


class Txt(Element, tag="txt"):
    """A TXT record; one that is to be found needs no value."""

    name: str = attr()
    value: str | None = attr()

    def sound(self) -> None:
        """Raises ValueError for a name that cannot be."""
        if " " in self.name:
            raise ValueError(f"the name {self.name!r} of a TXT record cannot have a blank")

    def check(self) -> None:
        """Raises ValueError unless it is complete."""
        self.sound()
        if self.value is None:
            raise ValueError(f"the TXT record {self.name!r} has no value")


ServicePort = Annotated[int, whole(1, 65535)]
_SERVICE_SIZE = 482  # bytes: DNS_RECORD_LENGTH_SRV of libvirt


class Srv(Element, tag="srv"):
    """An SRV record; one that is to be found needs nothing."""

    service: str | None = attr()
    protocol: str | None = attr()
    domain: str | None = attr()
    target: str | None = attr()
    port: ServicePort | None = attr()
    priority: PortNumber | None = attr()
    weight: PortNumber | None = attr()

    def __post_init__(self) -> None:
        self.priority, self.weight = self.priority or None, self.weight or None

    def sound(self) -> None:
        """Raises ValueError for parts that do not go together."""
        if len((self.service or "").encode()) > _SERVICE_SIZE:
            raise ValueError(f"the service of an SRV record has at most {_SERVICE_SIZE} bytes")
        for name in ("port", "priority", "weight"):
            if getattr(self, name) is not None and self.target is None:
                raise ValueError(f"{name} is not permitted without target")

    def check(self) -> None:
        """Raises ValueError unless it is complete."""
        self.sound()
        if self.service is None or self.protocol is None:
            raise ValueError("an SRV record must have service and protocol")


class DnsHost(Element, tag="host"):
    """Names of an address; one that is to be found has either."""

    ip: Address | None = attr()
    names: list[str] = leaf("hostname")

    def __post_init__(self) -> None:
        self.names = [name for name in self.names if name]

    def sound(self) -> None:
        """Raises ValueError for one that says nothing."""
        if self.ip is None and not self.names:
            raise ValueError("a DNS host must have ip and hostname")

    def check(self) -> None:
        """Raises ValueError unless it is complete."""
        if self.ip is None or not self.names:
            raise ValueError("a DNS host must have ip and hostname")


class Dns(Element, tag="dns"):
    """Names served to guests, unless ``enable`` is no."""

    enable: YesNo | None = attr()
    forward_plain_names: YesNo | None = attr("forwardPlainNames")
    forwarders: list[Forwarder] = children()
    txts: list[Txt] = children()
    srvs: list[Srv] = children()
    hosts: list[DnsHost] = children()

    @property
    def wanted(self) -> bool:
        return self.enable is not False
