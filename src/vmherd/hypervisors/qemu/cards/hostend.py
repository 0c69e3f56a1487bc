"""From a card to the descriptors that QEMU gets, with whatever keeps its packets in their place.

What does not end with QEMU is noted before it is made (``notes``).  Source: qemuInterfaceBridgeConnect,
qemuInterfaceDirectConnect and qemuBuildInterfaceConnect of libvirt
"""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.net import Interface, InterfaceType
from vmherd.errors import HostError
from vmherd.hypervisors.qemu.cards import notes
from vmherd.hypervisors.qemu.cards.checks import check
from vmherd.hypervisors.qemu.cards.notes import Card, Place
from vmherd.hypervisors.qemu.command.device import alias
from vmherd.hypervisors.qemu.host import bridging, functions, macvtap, names, openvswitch, taps
from vmherd.hypervisors.qemu.tuning import bandwidth
from vmherd.util.xmlmodel import parse, render

#: How many names of macvtap devices that others have taken are passed over.
_TRIES = 1000


class HostEnds:
    """Those of the cards of one guest.

    ``folder`` is the guest's, ``numbers`` where names of devices are counted, ``uri`` leads to networks and filters.
    """

    def __init__(self, domain: Domain, folder: Path, numbers: Path, uri: str) -> None:
        self._domain = domain
        self._folder = folder
        self._numbers = numbers
        self._uri = uri

    def _note(self, interface: Interface, **known: object) -> None:
        def edit(card: Card) -> None:
            for name, value in known.items():
                setattr(card, name, value)

        notes.change(self._folder, self._uri, alias(interface), edit)

    async def plug(self, interface: Interface) -> None:
        """Give a card of a network its place there: it says then what it is.

        Raises what ``ports.plug`` does, and Unsupported for what there is not, where it is.
        """
        if interface.type is InterfaceType.NETWORK:
            from vmherd.hypervisors.qemu.cards import ports  # documents that guests without networks do without

            place = await ports.find(interface, self._uri)
            self._note(interface, told=render(interface), network=place.network, port=place.port)
            await ports.plug(self._domain, interface, place, self._uri)
        check(interface)

    async def move_port(self, old: Interface, new: Interface, undo: AsyncExitStack) -> Place | None:
        """Let a card that runs and shall be ``new`` say what that is in its network; the port that it leaves, if any.

        The rest of a change may fail: then ``undo`` gives a new port back.
        """
        noted = notes.read(self._folder).find(alias(old)) or Card(alias="")
        left = Place(noted.network, noted.port) if noted.port else None
        if noted.told and is_same_place(parse(Interface, noted.told), old, new):
            for name in (*_OF_PLACE, "bandwidth"):
                if name != "bandwidth" or new.bandwidth == parse(Interface, noted.told).bandwidth:
                    setattr(new, name, getattr(old, name))
            return None
        if new.type is not InterfaceType.NETWORK:
            if left:
                self._note(new, told="", network="", port="")
                undo.callback(self._note, old, told=noted.told, network=left.network, port=left.port)
            return left
        from vmherd.hypervisors.qemu.cards import ports

        place = await ports.find(new, self._uri)
        text = render(new)
        await ports.plug(self._domain, new, place, self._uri)
        undo.push_async_callback(self.leave, place)
        self._note(new, told=text, network=place.network, port=place.port)
        undo.callback(self._note, old, told=noted.told, network=noted.network, port=noted.port)
        return left

    async def leave(self, place: Place) -> None:
        """Give a port back."""
        from vmherd.hypervisors.qemu.cards import release

        await release.leave(place.network, place.port, self._uri)

    async def move(self, old: Interface, new: Interface) -> None:
        """Plug the device of a card in where it shall be now.  Raises HostError."""
        if not bridging.is_switched(new):
            await taps.move(new)
        elif (old.source, old.virtualport) == (new.source, new.virtualport):
            await openvswitch.retag(new.target.dev or "" if new.target else "", new.vlan)
        else:
            await openvswitch.add(self._domain, new)

    async def limit(self, old: Interface, new: Interface) -> None:
        """Give a card that runs other limits, and its port in a network those as well.

        Raises OperationUnsupported for a card without a network device of ours, HostError; all is as it was then.
        """
        noted = notes.read(self._folder).find(alias(old))
        if noted and noted.port:
            from vmherd.hypervisors.qemu.cards import ports

            await ports.set_limits(Place(noted.network, noted.port), new, self._uri)
        if bandwidth.is_possible(new) and new.target:
            self._note(new, device=new.target.dev, limited=True)
        try:
            await bandwidth.change(old, new)
        except BaseException:
            if noted and noted.port:
                await ports.set_limits(Place(noted.network, noted.port), old, self._uri)
            raise
        if noted and noted.told:
            self._note(new, told=render(parse(Interface, noted.told).replace(bandwidth=new.bandwidth)))

    async def guard(self, old: Interface, new: Interface) -> None:
        """Let another filter guard the card.  Raises whatever speaks against it; the old one does then."""
        from vmherd.hypervisors.qemu.cards import filters

        assert old.target is not None  # it runs
        device = old.target.dev or ""
        self._note(new, device=device, filtered=True)
        if old.filterref:
            await filters.unbind(device, self._uri)
        try:
            if new.filterref:
                await filters.bind(self._domain, new, self._uri)
        except BaseException:
            if old.filterref:
                await filters.bind(self._domain, old, self._uri)
            raise

    async def hand_over(self, interface: Interface) -> None:
        """Set up the virtual function that a card is.  Raises HostError, Unsupported."""
        function, new = functions.find(interface), functions.wanted(interface)
        before = await functions.settings(function)
        known = {"lower": function.card, "function": function.number}
        self._note(interface, lower_mac=before.mac, vlan=before.vlan, **known)
        await functions.give(function, new)

    async def connect(self, interface: Interface) -> list[int]:
        """Make the device at the host's end, guarded and limited before packets pass; a descriptor for each queue.

        Raises HostError, and whatever speaks against the card's filter.
        """
        if interface.type is InterfaceType.DIRECT:
            fds = await self._connect_direct(interface)
        else:
            fds = await taps.connect(interface, self._numbers, up=interface.filterref is None)
        try:
            await self._place(interface)
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
        return fds

    async def _place(self, interface: Interface) -> None:
        assert interface.target is not None  # it has its device
        device = interface.target.dev
        if bridging.is_switched(interface):
            self._note(interface, device=device, switch=True)
            await openvswitch.add(self._domain, interface)
        if interface.bandwidth:
            self._note(interface, device=device, limited=True)
            await bandwidth.apply(interface)
        if interface.filterref:
            from vmherd.hypervisors.qemu.cards import filters

            self._note(interface, device=device, filtered=True)
            await filters.bind(self._domain, interface, self._uri)
            await (macvtap if interface.type is InterfaceType.DIRECT else taps).switch_on(interface)

    async def _connect_direct(self, interface: Interface) -> list[int]:
        await self._make_macvtap(interface)
        return await macvtap.open_queues(interface, up=interface.filterref is None)

    async def _make_macvtap(self, interface: Interface) -> None:
        assert interface.mac is not None  # completion gives one to each
        mac = interface.mac.address.lower()
        if theirs := await macvtap.lower_address(interface):
            self._note(interface, macvtap=True, lower=macvtap.lower(interface), lower_mac=theirs)
            await macvtap.set_address(macvtap.lower(interface), mac)
        chosen = names.wanted(interface)
        for _ in range(_TRIES):
            name = chosen or names.following(self._numbers, macvtap.PREFIX)
            self._note(interface, device=name, mac=mac, macvtap=True)
            try:
                await macvtap.make(interface, name)
            except FileExistsError:
                self._note(interface, device="")
                if chosen:
                    hint = "choose another <target dev=''/>"
                    raise HostError(f"there is a network device {name!r} already", hint=hint) from None
            else:
                return
        raise HostError(f"{_TRIES} names in a row are taken", hint="choose one: <target dev=''/>")


def renamed(folder: Path, old: str, new: str) -> None:
    """A card of a network turned out to be a device of the host, which has a name of another kind."""
    noted = notes.read(folder)
    if card := noted.find(old):
        notes.drop(folder, old)
        fields = {name: getattr(card, name) for name in Card.__struct_fields__ if name != "alias"}

        def edit(fresh: Card) -> None:
            for name, value in fields.items():
                setattr(fresh, name, value)

        notes.change(folder, noted.uri, new, edit)


def is_same_place(told: Interface, old: Interface, new: Interface) -> bool:
    """Whether ``new`` is where the card ``old`` is, which was told to be ``told``: said in its words, or in both's."""
    if new.source and old.source and new.source.portid == old.source.portid and new.source.portid is not None:
        return True
    if new.type is not InterfaceType.NETWORK or told.source is None or new.source is None:
        return False
    same = (told.source.network, told.source.portgroup) == (new.source.network, new.source.portgroup)
    return same and all(getattr(told, name) == getattr(new, name) for name in ("vlan", "virtualport", "port"))


def told(folder: Path, domain: Domain) -> None:
    """Let the cards of networks in a document say what they were told to be, no more what they are in this run."""
    for interface in domain.devices.interfaces:
        noted = notes.read(folder).find(interface.alias.name) if interface.alias else None
        if noted and noted.told:
            before = parse(Interface, noted.told)
            for name in (*_OF_PLACE, "bandwidth", "driver"):
                setattr(interface, name, getattr(before, name))


#: What the place in a network decides of a card.
_OF_PLACE = (*("type", "managed", "source", "vlan", "virtualport", "port", "trust_guest_rx_filters", "passthrough"),)
