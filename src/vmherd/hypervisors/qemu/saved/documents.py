"""The document of a saved guest: what goes into an image, what comes out, and what may replace it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from vmherd.conf.domain import Domain, parse_domain, render, stored
from vmherd.conf.domain.abi import check_same_hardware
from vmherd.conf.domain.graphics import ListenType
from vmherd.conf.saved import SaveCookie
from vmherd.errors import DocumentError, InvalidState
from vmherd.hypervisors.qemu.cards import hostend
from vmherd.hypervisors.qemu.host import names
from vmherd.hypervisors.qemu.saved.image import Compression, Image
from vmherd.util import xmlmodel

#: Completes a document and checks it.
Accept = Callable[[Domain], Awaitable[None]]


async def content(live_xml: str, folder: Path, xml: str, accept: Accept, compression: str, *, running: bool) -> Image:
    """The head of an image of a guest that runs as ``live_xml``; ``xml`` may replace its document.

    Sockets in ``folder``, the guest's own, are not kept: the next run makes up others.
    Raises InvalidState for a guest that could not be restored, Unsupported for a document of other hardware.
    """
    live = parse_domain(live_xml)
    hostend.told(folder, live)
    names.forget_generated(live)
    domain = stored(live)
    _forget_sockets(domain, folder)
    if any(disk.transient for disk in domain.devices.disks):
        raise InvalidState("a guest with <transient/> disks cannot be saved", hint="their changes go with its process")
    if xml:
        domain = await replacement(domain, xml, accept)
    cookie = xmlmodel.render(SaveCookie(cpu=domain.cpu)) if domain.cpu else ""
    return Image(
        xml=render(domain, secure=True), cookie=cookie, running=running, compression=Compression[compression.upper()]
    )


def _forget_sockets(domain: Domain, folder: Path) -> None:
    for channel in domain.devices.channels:
        for source in channel.sources:
            source.path = None if source.path and Path(source.path).parent == folder else source.path
    for graphics in domain.devices.graphics:
        for listen in graphics.listens:
            listen.socket = None if listen.socket and Path(listen.socket).parent == folder else listen.socket
            graphics.socket = listen.socket if listen.type is ListenType.SOCKET else graphics.socket


async def replacement(domain: Domain, xml: str, accept: Accept) -> Domain:
    """The document ``xml`` in place of ``domain``; raises Unsupported if the guest could tell them apart."""
    new = parse_domain(xml)
    new.uuid = new.uuid or domain.uuid
    await accept(new)
    check_same_hardware(domain, new)
    return stored(new)


async def restored(image: Image, xml: str, accept: Accept) -> Domain:
    """What a guest is restored as: the image's document, or ``xml`` if the guest cannot tell them apart."""
    domain = await described(image, accept)
    if xml:
        domain = await replacement(domain, xml, accept)
    if image.cookie and (cpu := _cookie(image).cpu):
        domain.cpu = cpu  # as the guest saw it, which may be more than its document asked for
    return domain


async def described(image: Image, accept: Accept) -> Domain:
    """The image's own document, completed."""
    domain = parse_domain(image.xml)
    if domain.uuid is None:
        raise DocumentError("the document of a saved guest has no UUID", place="domain/uuid")
    await accept(domain)
    return domain


def _cookie(image: Image) -> SaveCookie:
    return xmlmodel.parse(SaveCookie, image.cookie)
