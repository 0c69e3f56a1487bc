"""Domain documents as text: reading, writing, and what belongs in the stored definition."""

from __future__ import annotations

from vmherd.conf.domain.chardev import ChardevType, Console, Parallel, Serial
from vmherd.conf.domain.disk import BackingStore
from vmherd.conf.domain.domain import Domain, devices_of
from vmherd.conf.domain.graphics import Graphics, GraphicsType
from vmherd.conf.domain.vcpu import CacheTune, MemoryTune
from vmherd.util import xmlmodel


def parse_domain(text: str | bytes) -> Domain:
    """The domain ``text`` describes, nothing added.

    Raises XMLSyntaxError when it is not well formed, DocumentError with place and line when it is no domain.
    """
    return xmlmodel.parse(Domain, text)


def render(domain: Domain, *, secure: bool = False) -> str:
    """``domain`` as libvirt writes it; passwords of screens only with ``secure``.

    Source: VIR_DOMAIN_XML_SECURE of virDomainGetXMLDesc.
    """
    return xmlmodel.render(domain if secure else without_passwords(domain))


def without_passwords(domain: Domain) -> Domain:
    """``domain`` as it is shown to everyone; itself where it has no password."""
    if not any(each.passwd for each in domain.devices.graphics):
        return domain
    graphics = [_without_password(each) for each in domain.devices.graphics]
    return domain.replace(devices=domain.devices.replace(graphics=graphics))


def _without_password(graphics: Graphics) -> Graphics:
    return graphics.replace(passwd=None, passwd_valid_to=None, connected=None)


def stored(domain: Domain) -> Domain:
    """A copy without what only a running guest has: its id, generated aliases and names, chosen ports and ptys.

    Source: VIR_DOMAIN_XML_INACTIVE of virDomainGetXMLDesc.
    """
    copy = domain.copy()
    copy.id = None
    for device in devices_of(copy.devices):
        if device.alias is not None and not device.alias.is_users:
            device.alias = None
    streams: list[Serial | Parallel | Console] = [
        *copy.devices.serials,
        *copy.devices.parallels,
        *copy.devices.consoles,
    ]
    for stream in streams:
        _forget_pty(stream)
    for channel in copy.devices.channels:
        channel.target.state = None
    for seclabel in copy.seclabels:
        seclabel.imagelabel = None
    for disk in copy.devices.disks:
        disk.mirror = None
        if disk.source is not None:
            disk.source.index = None
            disk.source.seclabels = [label for label in disk.source.seclabels if not label.labelskip]
        _forget_indexes(disk.backing_store)
    for graphics in copy.devices.graphics:
        _forget_ports(graphics)
    if copy.cputune is not None:
        groups: list[CacheTune | MemoryTune] = [*copy.cputune.cachetunes, *copy.cputune.memorytunes]
        for group in groups:
            group.id = None
    return copy


def _forget_indexes(store: BackingStore | None) -> None:
    while store is not None:
        store.index = None
        store = store.backing_store


def _forget_pty(stream: Serial | Parallel | Console) -> None:
    if stream.type is ChardevType.PTY:
        stream.sources = []
    if isinstance(stream, Console):
        stream.tty = None


def _forget_ports(graphics: Graphics) -> None:
    if graphics.autoport and graphics.type is GraphicsType.SPICE:
        graphics.port = graphics.tls_port = None
    elif graphics.autoport:
        graphics.port = -1
    if graphics.websocket_generated:
        graphics.websocket, graphics.websocket_generated = -1, None
