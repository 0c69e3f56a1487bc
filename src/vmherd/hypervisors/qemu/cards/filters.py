"""The network filter that guards a guest's card: it is bound to the device at the host's end before packets pass.

Source: virDomainConfNWFilterInstantiate and virNWFilterBindingDefForNet of libvirt
"""

from __future__ import annotations

from contextlib import suppress

from vmherd.conf.domain import Domain
from vmherd.conf.domain.net import Interface, InterfaceType
from vmherd.conf.nwfilter import binding
from vmherd.conf.nwfilter.reference import FilterRef
from vmherd.driver.nwfilter import FilterDriver
from vmherd.driver.registry import lent
from vmherd.driver.uri import parse_uri
from vmherd.errors import BindingNotFound, HostError, NotSupported
from vmherd.util.xmlmodel import parse, render


async def bind(domain: Domain, interface: Interface, uri: str) -> None:
    """Apply the filter of a card.  Raises whatever speaks against it: such a card must not start unguarded."""
    text = render(described(domain, interface))
    try:
        async with lent(FilterDriver, parse_uri(uri)) as driver:
            await driver.binding_create(text)
    except NotSupported as problem:
        hint = "remove <filterref>, or install what applies network filters"
        raise HostError(f"the packets of a card cannot be filtered: {problem}", hint=hint) from None


def described(domain: Domain, interface: Interface) -> binding.Binding:
    """The binding that a card asks for."""
    assert domain.uuid is not None
    assert interface.mac is not None
    assert interface.target is not None  # the card has its device
    assert interface.filterref is not None
    source = interface.source
    lower = source.dev if source and interface.type is InterfaceType.DIRECT else None
    return binding.Binding(
        owner=binding.Owner(name=domain.name, uuid=domain.uuid),
        port=binding.PortDevice(name=interface.target.dev or ""),
        link=binding.LinkDevice(name=lower) if lower else None,
        mac=binding.BoundMac(address=interface.mac.address),
        filterref=parse(FilterRef, render(interface.filterref)),
    )


async def unbind(device: str, uri: str) -> None:
    """Remove the rules of a device; none is no error."""
    async with lent(FilterDriver, parse_uri(uri)) as driver:
        with suppress(BindingNotFound):
            await driver.binding_delete(device)
