"""Checks that hold for every hypervisor; all complaints come at once.

Source: src/conf/domain_validate.c of libvirt
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vmherd.conf.domain import coherence, resctrl, rooms, rules, timing
from vmherd.conf.domain.address import DriveAddress
from vmherd.conf.domain.chardev import ChardevSource, ChardevType, SocketMode
from vmherd.conf.domain.domain import Domain
from vmherd.conf.domain.graphics import Graphics, GraphicsType, ListenType
from vmherd.conf.domain.problem import Problem, duplicates, numbered, refuse
from vmherd.conf.domain.rules.streams import lacking
from vmherd.conf.domain.storage import StorageType
from vmherd.conf.domain.streams import Stream, streams_of


def check(domain: Domain) -> None:
    """Raise one DocumentError that lists all problems of ``domain``; return if there is none."""
    refuse(problems(domain), "domain")


def problems(domain: Domain) -> list[Problem]:
    """Everything in ``domain`` that no hypervisor could run, in document order of the checks."""
    return [problem for rule in RULES for problem in rule(domain)]


def _name(domain: Domain) -> Iterator[Problem]:
    place = "domain/name"
    if not domain.name:
        yield Problem(place, "the name is empty", "give the guest a name")
    if "/" in domain.name:
        yield Problem(place, f"{domain.name!r} has a '/'", "names become file names; use '-' or '.'")
    if domain.name in (".", ".."):
        yield Problem(place, f"{domain.name!r} is no name", "names become file names; choose a word")
    if "\n" in domain.name:
        yield Problem(place, "the name has a line break", "keep it on one line")
    if domain.title is not None and "\n" in domain.title:
        yield Problem("domain/title", "the title has a line break", "put longer text in <description>")


def _memory(domain: Domain) -> Iterator[Problem]:
    size = domain.memory.size
    if size == 0:
        yield Problem("domain/memory", "the guest has no memory", "say how much: <memory unit='GiB'>1</memory>")
    if domain.current_memory is not None and domain.current_memory > size:
        yield Problem("domain/currentMemory", "it is more than <memory>", "raise <memory> or lower <currentMemory>")
    if domain.max_memory is not None and domain.max_memory.size < size:
        yield Problem("domain/maxMemory", "it is less than <memory>", "raise <maxMemory>")
    if domain.max_memory is not None and not domain.max_memory.slots:
        yield Problem("domain/maxMemory/@slots", "without slots nothing can be added", "raise slots")


def _vcpus(domain: Domain) -> Iterator[Problem]:
    vcpu = domain.vcpu
    if vcpu.count == 0:
        yield Problem("domain/vcpu", "the guest has no CPU", "give it at least 1")
    if vcpu.current == 0:
        yield Problem("domain/vcpu/@current", "no CPU is online", "leave one on, or leave the attribute out")
    if vcpu.current is not None and vcpu.current > vcpu.count:
        yield Problem("domain/vcpu/@current", f"{vcpu.current} is more than the {vcpu.count} there are")
    topology = domain.cpu.topology if domain.cpu else None
    if topology is not None:
        product = topology.sockets * topology.dies * topology.cores * topology.threads
        if product != vcpu.count:
            text = f"sockets, dies, cores and threads make {product} CPUs, <vcpu> says {vcpu.count}"
            yield Problem("domain/cpu/topology", text, "make both the same")


def _numa(domain: Domain) -> Iterator[Problem]:
    cells = domain.cpu.numa.cells if domain.cpu and domain.cpu.numa else []
    yield from duplicates(
        [(f"domain/cpu/numa/cell[{place}]/@cpus", cpu) for place, cell in numbered(cells) for cpu in cell.cpus or ()],
        "CPU {} is in another cell too",
    )


def _disks(domain: Domain) -> Iterator[Problem]:
    disks = domain.devices.disks
    targets = [(f"domain/devices/disk[{place}]/target/@dev", disk.target.dev) for place, disk in numbered(disks)]
    yield from duplicates(targets, "{} is the target of another disk", "give each disk its own")
    for place, disk in numbered(disks):
        where = f"domain/devices/disk[{place}]"
        if disk.target.bus is None:
            text = f"no bus is told, and {disk.target.dev!r} does not suggest one"
            yield Problem(f"{where}/target", text, "add bus='virtio', 'sata', 'scsi', ...")
        if disk.type is StorageType.NETWORK and disk.source is None:
            yield Problem(f"{where}/source", "a network disk needs a protocol", "add protocol='nbd', 'rbd', ...")


def _addresses(domain: Domain) -> Iterator[Problem]:
    drives = [
        (f"{place}/address", (disk.target.bus, address.controller, address.bus, address.target, address.unit))
        for place, disk in ((f"domain/devices/disk[{n}]", disk) for n, disk in numbered(domain.devices.disks))
        if isinstance(address := disk.address, DriveAddress)
    ]
    yield from duplicates(drives, "this drive address is taken by another disk")
    controllers = [
        (f"domain/devices/controller[{n}]/@index", (each.type.value, each.index))
        for n, each in numbered(domain.devices.controllers)
        if each.index is not None and each.master is None and not (each.model or "").startswith("ich9-uhci")
    ]
    yield from duplicates(controllers, "there is another controller {}", show=lambda key: f"{key[0]} {key[1]}")


def _streams(domain: Domain) -> Iterator[Problem]:
    for stream in streams_of(domain.devices):
        place = f"domain/devices/{type(stream).__xml__.tag}"
        yield from _sources(stream, place)


def _sources(stream: Stream, place: str) -> Iterator[Problem]:
    kind = stream.type
    many = len(stream.sources)
    if many > 1 and not (kind is ChardevType.UDP and many == 2):
        yield Problem(f"{place}/source", f"{many} sources are too many for type {kind}")
    if kind is ChardevType.TCP and not stream.sources:
        yield Problem(f"{place}/source", "a TCP device needs a host and a port", "add <source host='' service=''/>")
    for source in stream.sources:
        yield from _source(source, kind, f"{place}/source")
    yield from lacking(stream, place)


def _source(source: ChardevSource, kind: ChardevType | None, place: str) -> Iterator[Problem]:
    if kind in (ChardevType.TCP, ChardevType.UDP) and source.mode is not SocketMode.BIND and not source.service:
        yield Problem(place, "the port to connect to is missing", "add service='PORT'")
    if kind is ChardevType.TCP and (not source.host or not source.service):
        yield Problem(place, "a TCP device needs a host and a port", "add host='' and service=''")
    if source.reconnect is not None and source.reconnect.enabled:
        if source.mode is not SocketMode.CONNECT:
            yield Problem(f"{place}/reconnect", "only a connecting device can reconnect", "use mode='connect'")
        if source.reconnect.timeout is None:
            yield Problem(f"{place}/reconnect", "the timeout is missing", "add timeout='SECONDS'")


def _graphics(domain: Domain) -> Iterator[Problem]:
    for number, graphics in numbered(domain.devices.graphics):
        yield from _listens(graphics, f"domain/devices/graphics[{number}]")


def _listens(graphics: Graphics, place: str) -> Iterator[Problem]:
    """Source of the attributes of each type: virDomainGraphicsListenDefParseXML"""
    for number, listen in numbered(graphics.listens):
        if listen.network and listen.type is not ListenType.NETWORK:
            yield Problem(f"{place}/listen[{number}]/@network", f"type {listen.type!s} has no network", "remove it")
        if listen.socket and listen.type is not ListenType.SOCKET:
            yield Problem(f"{place}/listen[{number}]/@socket", f"type {listen.type!s} has no socket", "remove it")
    for number, listen in numbered(graphics.listens):
        where = f"{place}/listen[{number}]"
        if listen.type is ListenType.NETWORK and not listen.network:
            yield Problem(where, "the network is missing", "add network='NAME'")
        if listen.type is ListenType.SOCKET and graphics.type not in (GraphicsType.VNC, GraphicsType.SPICE):
            yield Problem(where, f"{graphics.type} cannot listen on a socket", "use type='address'")
        if graphics.socket and listen.socket and listen.socket != graphics.socket:
            yield Problem(where, f"{listen.socket!r} is not the socket of <graphics>", "name one socket")
        if listen.type is ListenType.ADDRESS and graphics.listen and listen.address not in (None, graphics.listen):
            yield Problem(where, f"{listen.address!r} is not the address of <graphics>", "name one address")
        return


RULES: tuple[Callable[[Domain], Iterator[Problem]], ...] = (
    _name,
    _memory,
    _vcpus,
    _numa,
    resctrl.rules,
    _disks,
    _streams,
    _graphics,
    _addresses,
    *coherence.RULES,
    *rules.RULES,
    *rooms.RULES,
    *timing.RULES,
)
