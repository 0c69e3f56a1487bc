"""Checks of sources: servers, credentials, cookies and parts of images.

Source: virDomainDiskSourceNetworkParse, virStorageSourceNetCookiesValidate, virStoragePRDefParseXML of libvirt
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vmherd.conf.domain.domain import Domain
from vmherd.conf.domain.os import NvramNetwork
from vmherd.conf.domain.problem import Problem, duplicates, numbered
from vmherd.conf.domain.storage import (
    Auth,
    DiskSource,
    NetProtocol,
    Reservations,
    StorageHost,
    StorageType,
    Transport,
)

#: Usages of secrets, as libvirt knows them.
_USAGES = ("volume", "ceph", "iscsi", "tls", "vtpm")
_LOGINS = {NetProtocol.ISCSI: "iscsi", NetProtocol.RBD: "ceph"}
_IN_TWO = (NetProtocol.GLUSTER, NetProtocol.RBD)


def source_problems(type_: StorageType, source: DiskSource, auth: Auth | None, place: str) -> Iterator[Problem]:
    """What is wrong with one source; ``auth`` is what the disk tells beside it."""
    match type_:
        case StorageType.NETWORK:
            yield from _network(source, place)
            yield from _login(source, source.auth or auth, place)
            yield from _cookies(source, place)
        case StorageType.VOLUME if bool(source.pool) != bool(source.volume):
            yield Problem(place, "a volume is named with its pool", "add pool='POOL' and volume='VOLUME'")
        case StorageType.NVME:
            yield from _nvme(source, place)
        case StorageType.VHOSTUSER if source.type != "unix" or not source.path:
            yield Problem(place, "a vhost-user disk has a UNIX socket", "add type='unix' and path='/...'")
    yield from _parts(source, place)
    if source.reservations is not None:
        yield from _reservations(source.reservations, f"{place}/reservations")


def nvram(domain: Domain) -> Iterator[Problem]:
    """UEFI variables on a server are reached as the image of a disk is."""
    kept = domain.os.nvram
    if isinstance(kept, NvramNetwork):
        yield from source_problems(StorageType.NETWORK, kept.source, None, "domain/os/nvram/source")


def _network(source: DiskSource, place: str) -> Iterator[Problem]:
    name = source.name or ""
    if source.protocol is None:
        yield Problem(place, "a network source needs a protocol", "add protocol='nbd', 'rbd', ...")
    elif not name and source.protocol is not NetProtocol.NBD:
        yield Problem(f"{place}/@name", f"a source of protocol {source.protocol} has a name", "add name='...'")
    elif source.protocol in _IN_TWO and name.find("/") < 1:
        yield Problem(f"{place}/@name", f"{name!r} names no image in a pool", "write name='POOL/IMAGE'")
    for number, host in numbered(source.hosts):
        yield from _host(host, f"{place}/host[{number}]")


def _host(host: StorageHost, place: str) -> Iterator[Problem]:
    if host.transport is Transport.UNIX:
        if not host.socket:
            yield Problem(place, "the socket is missing", "add socket='/...'")
        return
    if host.socket:
        yield Problem(f"{place}/@socket", "only the transport 'unix' has a socket", "add transport='unix'")
    elif not host.name:
        yield Problem(place, "the host has no name", "add name='HOST'")
    if host.port is not None and not (host.port.isdecimal() and int(host.port) < 1 << 16):
        yield Problem(f"{place}/@port", f"{host.port!r} is no port", "write a number up to 65535")


def _login(source: DiskSource, auth: Auth | None, place: str) -> Iterator[Problem]:
    """A secret is found by UUID or usage, and is of the kind that the protocol takes."""
    if auth is None:
        return
    secret, where = auth.secret, f"{place}/auth/secret"
    if secret is None:
        yield Problem(where, "the password is missing", "add <secret type='...' uuid='...'/>")
        return
    if (secret.uuid is None) == (secret.usage is None):
        yield Problem(where, "a secret is found by its uuid or its usage", "tell one of the two")
    wanted = _LOGINS.get(source.protocol) if source.protocol else None
    if secret.type not in _USAGES or (wanted and secret.type != wanted):
        text = f"{secret.type!r} is no secret for {source.protocol}" if secret.type else "the type is missing"
        yield Problem(f"{where}/@type", text, f"use type='{wanted or 'iscsi'}'")


_COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_COOKIE_VALUE = re.compile(r'[!#-+\--:<-\[\]-~]*|"[!#-+\--:<-\[\]-~]*"')


def _cookies(source: DiskSource, place: str) -> Iterator[Problem]:
    """Source: RFC 6265, section 4.1.1"""
    for number, cookie in numbered(source.cookies):
        where = f"{place}/cookies/cookie[{number}]"
        if not _COOKIE_NAME.fullmatch(cookie.name):
            yield Problem(f"{where}/@name", f"{cookie.name!r} is no name of a cookie", "use letters and digits")
        if not _COOKIE_VALUE.fullmatch(cookie.value):
            yield Problem(where, "a cookie has no blanks, quotes, commas, semicolons or backslashes", "encode them")
    names = [(f"{place}/cookies/cookie[{number}]", each.name) for number, each in numbered(source.cookies)]
    yield from duplicates(names, "there is another cookie {}")


def _nvme(source: DiskSource, place: str) -> Iterator[Problem]:
    if not source.namespace:
        yield Problem(f"{place}/@namespace", "namespaces count from 1", "add namespace='1'")
    if source.address is None:
        yield Problem(f"{place}/address", "the controller is missing", "add its <address> on PCI")


def _parts(source: DiskSource, place: str) -> Iterator[Problem]:
    for number, part in numbered(source.slices):
        if part.type != "storage":
            yield Problem(f"{place}/slices/slice[{number}]/@type", f"{part.type!r} is unknown", "use type='storage'")
    if len(source.slices) > 1:
        yield Problem(f"{place}/slices", "an image is one part of its storage", "keep one <slice>")


def _reservations(wanted: Reservations, place: str) -> Iterator[Problem]:
    """Either we start the helper, or its socket is told."""
    if wanted.managed is None:
        yield Problem(f"{place}/@managed", "who starts the helper is not told", "add managed='yes'")
    if wanted.managed is not False:
        return
    source = wanted.source
    if source is None or source.type != "unix" or not source.path or source.mode != "client":
        text = "the socket of the helper is missing"
        yield Problem(f"{place}/source", text, "add <source type='unix' path='/...' mode='client'/>")


RULES = (nvram,)
