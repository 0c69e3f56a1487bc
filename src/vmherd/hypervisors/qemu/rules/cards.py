"""Checks of network cards: what each kind can do, and what it must be told.

Source: virDomainNetDefParseXML, virDomainNetDefValidate, qemuDomainValidateActualNetDef and
qemuValidateDomainDeviceDefNetwork of libvirt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.memdev import MemoryAccess
from vmherd.conf.domain.net import Interface, InterfaceSource, InterfaceType, IpAddress, TeamingType
from vmherd.conf.domain.problem import numbered

_T = InterfaceType
#: Kinds that have a network device of the kernel's on the host.
_TAPS = (_T.NETWORK, _T.BRIDGE, _T.ETHERNET)
#: Kinds with each ability.
_QUEUES = (*_TAPS, _T.DIRECT, _T.VHOSTUSER, _T.VDPA)
_MTU = (*_TAPS, _T.VHOSTUSER)
_COALESCE = (_T.NETWORK, _T.BRIDGE)
#: What <source> tells for each kind.
_NEEDED = {
    _T.NETWORK: ("network",),
    _T.BRIDGE: ("bridge",),
    _T.DIRECT: ("dev",),
    _T.INTERNAL: ("name",),
    _T.VDPA: ("dev",),
    _T.VHOSTUSER: ("path", "mode"),
    _T.SERVER: ("port",),
    _T.CLIENT: ("address", "port"),
    _T.MCAST: ("address", "port"),
    _T.UDP: ("address", "port"),
}


def problems(domain: Domain) -> Iterator[Problem]:
    """Every network card that QEMU cannot make as it is described."""
    for number, interface in numbered(domain.devices.interfaces):
        for rule in _OF_CARD:
            yield from rule(interface, f"domain/devices/interface[{number}]")


def unstartable(domain: Domain) -> Iterator[Problem]:
    """What a document may ask for, but no start can do; libvirt, too, looks at it no sooner."""
    for number, interface in numbered(domain.devices.interfaces):
        for rule in (_powers, _filters):
            yield from rule(interface, f"domain/devices/interface[{number}]")


#: Settings of a card that take more than QEMU and a network device.
_NOT_YET = {
    "coalesce": "coalesce",
    "script": "script",
    "downscript": "downscript",
    "trust_guest_rx_filters": "@trustGuestRxFilters",
}


def not_here_yet(domain: Domain) -> Iterator[Problem]:
    """What libvirt does for a card beside QEMU, and this driver does not do yet."""
    for number, interface in numbered(domain.devices.interfaces):
        place = f"domain/devices/interface[{number}]"
        for name, tag in _NOT_YET.items():
            if getattr(interface, name):
                yield Problem(
                    f"{place}/{tag}", f"{tag.lstrip('@')} is not enforced by the QEMU driver yet", "remove it"
                )
        if interface.bandwidth and interface.type not in (*_TAPS, _T.DIRECT):
            text = f"the bandwidth of cards of type {str(interface.type)!r} is not limited"
            yield Problem(f"{place}/bandwidth", text, "use type='network' or 'bridge', or remove it")
        if interface.type is _T.VHOSTUSER and not _shares_memory(domain):
            text = "the program that switches the packets must reach the guest's memory"
            hint = "add <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
            yield Problem(f"{place}/@type", text, hint)


def _shares_memory(domain: Domain) -> bool:
    backing = domain.memory_backing
    if backing and backing.access and backing.access.mode is MemoryAccess.SHARED:
        return True
    cells = domain.cpu.numa.cells if domain.cpu and domain.cpu.numa else []
    return bool(cells) and all(cell.mem_access is MemoryAccess.SHARED for cell in cells)


def _kind(interface: Interface, place: str) -> Iterator[Problem]:
    if interface.type in (_T.NULL, _T.VDS):
        text = f"QEMU has no network cards of type {str(interface.type)!r}"
        yield Problem(f"{place}/@type", text, "use <interface type='user'>, which needs no rights")
    source = interface.source or InterfaceSource()
    for name in _NEEDED.get(interface.type, ()):
        if getattr(source, name) in (None, ""):
            yield Problem(f"{place}/source/@{name}", f"a card of type {str(interface.type)!r} needs it", "add it")
    if interface.type is _T.UDP and (source.local is None or not source.local.address or source.local.port is None):
        yield Problem(f"{place}/source/local", "a UDP tunnel has two ends", "add <local address='' port=''/>")
    if interface.type is _T.HOSTDEV and source.host_address is None:
        yield Problem(f"{place}/source", "the address of the device is missing", "add <address type='pci' .../>")


def _words(interface: Interface, place: str) -> Iterator[Problem]:
    """Attributes with a fixed set of words, and addresses that no card has."""
    source, options, backend = interface.source, interface.driver, interface.backend
    told = {
        "driver/@name": (options.name if options else None, _DRIVERS),
        "driver/@txmode": (options.txmode if options else None, _TX_MODES),
        "backend/@type": (backend.type if backend else None, _BACKENDS),
        "source/@mode": (source.mode if source else None, _MODES.get(interface.type)),
        "source/@type": (source.type if source and interface.type is _T.VHOSTUSER else None, ("unix",)),
    }
    for where, (word, known) in told.items():
        if word is not None and known and word not in known:
            yield Problem(f"{place}/{where}", f"{word!r} is none of {', '.join(known)}", "use one of them")
    if interface.mac and int(interface.mac.address[:2], 16) & 1:
        text = f"{interface.mac.address} is the address of a group of cards"
        yield Problem(f"{place}/mac/@address", text, "make the first byte even, such as 52")


_DRIVERS = ("vhost", "qemu")
_TX_MODES = ("iothread", "timer")
_BACKENDS = ("default", "passt")
_MODES = {
    _T.DIRECT: ("vepa", "bridge", "private", "passthrough"),
    _T.VHOSTUSER: ("server", "client"),
}


def _ends(interface: Interface, place: str) -> Iterator[Problem]:
    """What only some kinds have at the host's end."""
    kind, source = str(interface.type), interface.source
    if source and (source.ips or source.routes) and interface.type is not _T.ETHERNET:
        text = f"the host has no addresses at its end of a card of type {kind!r}"
        yield Problem(f"{place}/source/ip", text, "remove it, or use type='ethernet'")
    if interface.virtualport and interface.type not in (_T.NETWORK, _T.BRIDGE, _T.DIRECT, _T.HOSTDEV):
        yield Problem(f"{place}/virtualport", f"a card of type {kind!r} is at no switch's port", "remove it")
    again = source.reconnect if source else None
    if again and again.enabled and interface.type is _T.VHOSTUSER:
        if source and source.mode == "server":
            yield Problem(f"{place}/source/reconnect", "only who connects can connect again", "use mode='client'")
        if again.timeout is None:
            yield Problem(f"{place}/source/reconnect/@timeout", "the seconds are missing", "add timeout='10'")


def _abilities(interface: Interface, place: str) -> Iterator[Problem]:
    kind = str(interface.type)
    if interface.mtu and interface.type not in _MTU:
        yield Problem(f"{place}/mtu", f"the MTU of a card of type {kind!r} cannot be set", "remove it")
    if interface.coalesce and interface.type not in _COALESCE:
        yield Problem(f"{place}/coalesce", f"a card of type {kind!r} cannot coalesce packets", "remove it")
    if interface.target and interface.target.managed is not None and interface.type is not _T.ETHERNET:
        yield Problem(f"{place}/target/@managed", "only cards of type 'ethernet' can leave their device to you")
    elif interface.target and interface.target.managed is False and not interface.target.dev:
        yield Problem(f"{place}/target/@dev", "which network device it is, is missing", "add dev='NAME'")


def _powers(interface: Interface, place: str) -> Iterator[Problem]:
    kind = str(interface.type)
    options = interface.driver
    if options and options.queues and interface.type not in _QUEUES:
        yield Problem(f"{place}/driver/@queues", f"a card of type {kind!r} has one queue", "remove it")
    if interface.backend and interface.backend.tap and interface.type not in _TAPS:
        yield Problem(f"{place}/backend/@tap", f"a card of type {kind!r} has no tap device", "remove it")
    if interface.bandwidth and interface.type is _T.HOSTDEV:
        yield Problem(f"{place}/bandwidth", "a device of the host takes what it gets", "remove it")


def _filters(interface: Interface, place: str) -> Iterator[Problem]:
    """Packets are filtered where they cross a plain tap device."""
    port = interface.virtualport
    if interface.filterref and interface.type not in _TAPS:
        text = f"packets of a card of type {str(interface.type)!r} cannot be filtered"
        yield Problem(f"{place}/filterref", text, "remove it")
    elif interface.filterref and port and port.type:
        yield Problem(f"{place}/filterref", f"packets at a port of {port.type} cannot be filtered", "remove it")
    if interface.vlan and not _takes_tags(interface):
        text = "only bridges, passed-through devices and macvtap in mode 'passthrough' set VLAN tags"
        yield Problem(f"{place}/vlan", text, "remove it, and tag at the switch")


def _takes_tags(interface: Interface) -> bool:
    mode = interface.source.mode if interface.source else None
    return (
        interface.type in (_T.NETWORK, _T.BRIDGE, _T.HOSTDEV)  # the network's kind is not known here
        or (interface.type is _T.DIRECT and mode == "passthrough")
    )


def _model(interface: Interface, place: str) -> Iterator[Problem]:
    model = interface.model.type if interface.model else ""
    is_virtio = model.startswith("virtio")
    if interface.type in (_T.VHOSTUSER, _T.VDPA) and not is_virtio:
        text = f"a card of type {str(interface.type)!r} is a virtio card, not {model or 'another'}"
        yield Problem(f"{place}/model/@type", text, "use <model type='virtio'/>")
    for name in ("rx_queue_size", "tx_queue_size"):
        size = getattr(interface.driver, name) if interface.driver else None
        if size and size & (size - 1):
            yield Problem(f"{place}/driver/@{name}", f"{size} is no power of two", "use 256, 512 or 1024")
    teaming = interface.teaming
    if teaming and teaming.type is TeamingType.TRANSIENT:
        if interface.type not in (_T.HOSTDEV, _T.NETWORK):
            yield Problem(f"{place}/teaming/@type", "the card that comes and goes is a device of the host")
        if not teaming.persistent:
            yield Problem(f"{place}/teaming", "the other card's alias is missing", "add persistent='ua-...'")
    elif teaming and teaming.persistent:
        yield Problem(f"{place}/teaming/@persistent", "only the transient card names the other", "remove it")
    elif teaming and not is_virtio:
        yield Problem(f"{place}/teaming", "the card that stays is a virtio card", "use <model type='virtio'/>")


def _user(interface: Interface, place: str) -> Iterator[Problem]:
    """The address that the guest gets of its own router."""
    passt = interface.backend is not None and interface.backend.type == "passt"
    if interface.type is not _T.USER:
        if interface.ips or interface.routes:
            text = "only the router of cards of type 'user' gives the guest its address"
            yield Problem(f"{place}/ip", text, "remove it, and configure the guest")
        if passt:
            yield Problem(f"{place}/backend/@type", "passt is for cards of type 'user'", "use type='user'")
    if not passt:
        yield from _passt_only(interface, place)
    if interface.type is _T.USER:
        for family in ("ipv4", "ipv6"):
            ips = [each for each in interface.ips if (each.family or "ipv4") == family]
            if len(ips) > 1:
                yield Problem(f"{place}/ip", f"a card has one {family} address", "keep one")
            for ip in ips:
                yield from _prefix(ip, f"{place}/ip", passt=passt)


def _passt_only(interface: Interface, place: str) -> Iterator[Problem]:
    hint = "add <backend type='passt'/> to an <interface type='user'>"
    if interface.port_forwards:
        yield Problem(f"{place}/portForward", "only passt forwards ports", hint)
    if interface.backend and interface.backend.log_file:
        yield Problem(f"{place}/backend/@logFile", "only passt has a log file", hint)
    if interface.type is _T.USER and interface.source and interface.source.dev:
        yield Problem(f"{place}/source/@dev", "only passt takes its addresses from a device", hint)


def _prefix(ip: IpAddress, place: str, *, passt: bool) -> Iterator[Problem]:
    if ip.peer:
        yield Problem(f"{place}/@peer", "the guest's end has no peer", "remove it")
    if ip.family == "ipv6":
        if passt and ip.prefix:
            yield Problem(f"{place}/@prefix", "passt tells no IPv6 prefix", "remove it")
        elif ip.prefix and ip.prefix > _LONGEST_IPV6:
            yield Problem(f"{place}/@prefix", f"{ip.prefix} is more than {_LONGEST_IPV6}", "use 64")
    elif ip.prefix and not _IPV4_PREFIXES[0] <= ip.prefix <= _IPV4_PREFIXES[1]:
        yield Problem(f"{place}/@prefix", f"{ip.prefix} is not between 4 and 27", "use 24")


#: QEMU's own router has addresses of its own in the network.
_IPV4_PREFIXES = (4, 27)
_LONGEST_IPV6 = 120


def _scripts(interface: Interface, place: str) -> Iterator[Problem]:
    for name in ("script", "downscript"):
        if getattr(interface, name) and interface.type not in (_T.ETHERNET, _T.BRIDGE):
            text = f"a card of type {str(interface.type)!r} runs no scripts"
            yield Problem(f"{place}/{name}", text, "remove it, or use type='ethernet'")


_OF_CARD: tuple[Callable[[Interface, str], Iterator[Problem]], ...] = (
    _kind,
    _words,
    _ends,
    _abilities,
    _model,
    _user,
    _scripts,
)


RULES = (problems,)
