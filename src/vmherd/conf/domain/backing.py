"""Backing file strings of disk images, as sources of a document.

An image names the one below it in one of three ways: a path, a URI (``nbd://host/export``) or the older
``protocol:...``, or ``json:`` with QEMU's own block options.  Source: virStorageSourceNewFromBackingAbsolute of
libvirt; BlockdevOptions in QEMU's qapi/block-core.json.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from vmherd.conf.domain.address import HostPciAddress
from vmherd.conf.domain.storage import (
    DEFAULT_PORTS,
    ConfigFile,
    Cookie,
    DiskSource,
    Named,
    NetProtocol,
    NfsIdentity,
    Readahead,
    Ssl,
    StorageFormat,
    StorageHost,
    Timeout,
    Transport,
)
from vmherd.errors import InvalidArgument

_CURL = ("http", "https", "ftp", "ftps", "tftp")
_PCI = re.compile(r"([0-9a-f]{4}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])")

#: How deep formats may be nested in ``json:``; QEMU images need two or three.
_DEPTH = 16

Options = dict[str, Any]


def parse_backing(text: str) -> DiskSource:
    """The source that a backing file string stands for; credentials in it are left out.

    Raises InvalidArgument for a string that names nothing vmherd knows.
    """
    if text.startswith("json:"):
        return _from_json(text.removeprefix("json:"))
    colon, slash = text.find(":"), text.find("/")
    if colon < 0 or 0 <= slash < colon:
        return DiskSource(file=text)
    return _from_uri(text) if "://" in text else _from_words(text)


def _bad(text: str, why: str) -> InvalidArgument:
    return InvalidArgument(f"bad backing file {text!r}: {why}", hint="'qemu-img rebase -u' corrects it in the image")


# URIs


def _from_uri(text: str) -> DiskSource:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as problem:
        raise _bad(text, str(problem)) from None
    scheme, _, transport = parts.scheme.partition("+")
    protocol = _protocol(scheme, text)
    source = DiskSource(protocol=protocol, name=unquote(parts.path)[1:] or None)
    if protocol in _CURL:
        source.query = parts.query or None
    if transport == "unix":
        socket = dict(parse_qsl(parts.query)).get("socket")
        if not socket:
            raise _bad(text, "the socket is missing")
        source.hosts = [StorageHost(transport=Transport.UNIX, socket=socket)]
    elif parts.hostname:
        source.hosts = [_host(protocol, parts.hostname, str(port) if port else None)]
    else:
        raise _bad(text, "the host is missing")
    if transport == "rdma":
        source.hosts[0].transport = Transport.RDMA
    return source


def _protocol(name: str, text: str) -> NetProtocol:
    try:
        return NetProtocol(name)
    except ValueError:
        raise _bad(text, f"there is no protocol {name!r}") from None


def _host(protocol: NetProtocol, name: str, port: str | None) -> StorageHost:
    return StorageHost(name=name, port=port or DEFAULT_PORTS.get(protocol))


# The older form, with colons


def _from_words(text: str) -> DiskSource:
    scheme, _, rest = text.partition(":")
    match scheme:
        case "nbd":
            return _nbd_words(text, rest)
        case "rbd":
            return _rbd_words(rest)
    raise _bad(text, f"there is no protocol {scheme!r}")


def _nbd_words(text: str, rest: str) -> DiskSource:
    place, named, export = rest.partition(":exportname=")
    source = DiskSource(protocol=NetProtocol.NBD, name=(export or None) if named else None)
    if place.startswith("unix:"):
        source.hosts = [StorageHost(transport=Transport.UNIX, socket=place.removeprefix("unix:"))]
        return source
    found = re.fullmatch(r"\[([^\]]+)\]:(\d+)|([^:]+):(\d+)", place)
    if found is None:
        raise _bad(text, "write it like nbd:HOST:PORT")
    source.hosts = [StorageHost(name=found[1] or found[3], port=found[2] or found[4])]
    return source


def _rbd_words(rest: str) -> DiskSource:
    """``pool/image@snapshot:option=value:...``; a backslash makes the next character an ordinary one."""
    words = [re.sub(r"\\(.)", r"\1", word) for word in re.split(r"(?<!\\):", rest)]
    name, _, snapshot = words[0].partition("@")
    options = dict(word.partition("=")[::2] for word in words[1:])
    return DiskSource(
        protocol=NetProtocol.RBD,
        name=name,
        hosts=[_rbd_host(each) for each in re.split(r"[;,]", options.get("mon_host", "")) if each],
        snapshot=Named(name=snapshot) if snapshot else None,
        config=ConfigFile(file=options["conf"]) if "conf" in options else None,
    )


def _rbd_host(text: str) -> StorageHost:
    found = re.fullmatch(r"(\[[^\]]+\]|[^:]+)(?::(\d+))?", text)
    return StorageHost(name=found[1].strip("[]"), port=found[2]) if found else StorageHost(name=text)


# JSON


def _from_json(text: str) -> DiskSource:
    try:
        told = msgspec.json.decode(text)
    except msgspec.DecodeError as problem:
        raise _bad(text, str(problem)) from None
    if not isinstance(told, dict):
        raise _bad(text, "it is no object")
    return _Json(text).source(_unflattened(told), 0)


def _unflattened(told: Options) -> Options:
    """``{"file.server.0.host": 1}`` as ``{"file": {"server": {"0": {"host": 1}}}}``."""
    found: Options = {}
    for key, value in told.items():
        *way, last = key.split(".")
        inner = found
        for step in way:
            inner = inner.setdefault(step, {})
            if not isinstance(inner, dict):
                raise InvalidArgument(f"bad backing file: {key!r} contradicts another option")
        inner[last] = _unflattened(value) if isinstance(value, dict) else value
    return found


class _Json:
    """One ``json:`` string; ``text`` is for its error messages."""

    def __init__(self, text: str) -> None:
        self._text = text

    def source(self, options: Options, depth: int) -> DiskSource:
        driver = options.get("driver")
        inner = options.get("file")
        if driver is not None and not isinstance(driver, str):
            raise _bad(self._text, "the driver is a name")
        is_format = driver is None or driver in set(StorageFormat)
        if isinstance(inner, dict) and is_format and depth < _DEPTH:
            return self.source(_unflattened(inner), depth + 1)
        if driver is None:
            raise _bad(self._text, "the driver is missing")
        return self._of(driver, options)

    def _of(self, driver: str, options: Options) -> DiskSource:
        if driver in _CURL:
            return self._curl(driver, options)
        match driver:
            case "file":
                return DiskSource(file=self._need(options, "filename"))
            case "host_device" | "host_cdrom":
                return DiskSource(dev=self._need(options, "filename"))
            case "iscsi":
                return self._iscsi(options)
            case "nvme":
                return self._nvme(options)
            case "rbd" if "filename" in options:
                return parse_backing(self._need(options, "filename"))
        return self._served(driver, options)

    def _need(self, options: Options, name: str) -> str:
        value = options.get(name)
        if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
            raise _bad(self._text, f"{name!r} is missing")
        return str(value)

    def _number(self, options: Options, name: str) -> int:
        value = self._need(options, name)
        if not value.isascii() or not value.isdigit():
            raise _bad(self._text, f"{name!r} is a number")
        return int(value)

    def _served(self, driver: str, options: Options) -> DiskSource:
        """Storage on servers: which of the options is the name differs."""
        protocol = _protocol(driver, self._text)
        source = DiskSource(protocol=protocol, hosts=self._hosts(protocol, options))
        match protocol:
            case NetProtocol.GLUSTER:
                source.name = f"{self._need(options, 'volume')}/{self._need(options, 'path')}"
            case NetProtocol.NBD:
                source.name = self._need(options, "export") if "export" in options else None
            case NetProtocol.SSH:
                source.name = self._need(options, "path")
            case NetProtocol.SHEEPDOG:
                source.name = self._need(options, "vdi")
            case NetProtocol.VXHS:
                source.name = self._need(options, "vdisk-id")
            case NetProtocol.RBD:
                source.name = f"{self._need(options, 'pool')}/{self._need(options, 'image')}"
                source.config = ConfigFile(file=self._need(options, "conf")) if "conf" in options else None
                source.snapshot = Named(name=self._need(options, "snapshot")) if "snapshot" in options else None
            case NetProtocol.NFS:
                source.name = self._need(options, "path")
                who = [_numeric(options.get(name)) for name in ("user", "group")]
                source.identity = NfsIdentity(user=who[0], group=who[1]) if any(who) else None
            case _:
                raise _bad(self._text, f"{driver!r} has no form in JSON")
        return source

    def _hosts(self, protocol: NetProtocol, options: Options) -> list[StorageHost]:
        told = options.get("server")
        if told is None and protocol is not NetProtocol.RBD:
            told = {name: options[name] for name in ("host", "port", "path") if name in options}
            if protocol is not NetProtocol.NBD:
                told.pop("path", None)
        if isinstance(told, dict) and "0" in told:
            told = [told[key] for key in sorted(told, key=lambda key: int(key) if key.isdigit() else 0)]
        servers = told if isinstance(told, list) else [told] if told else []
        return [self._server(protocol, each) for each in servers]

    def _server(self, protocol: NetProtocol, told: object) -> StorageHost:
        if not isinstance(told, dict):
            raise _bad(self._text, "a server is an object")
        if socket := told.get("socket") or told.get("path"):
            return StorageHost(transport=Transport.UNIX, socket=str(socket))
        if told.get("type") not in (None, "tcp", "inet"):
            raise _bad(self._text, f"there is no transport {told['type']!r}")
        port = told.get("port")
        return _host(protocol, self._need(told, "host"), None if port is None else str(port))

    def _curl(self, driver: str, options: Options) -> DiskSource:
        source = _from_uri(self._need(options, "url"))
        if source.protocol != driver:
            raise _bad(self._text, f"the URL is not of {driver!r}")
        verify = options.get("sslverify")
        if verify is not None:
            source.ssl = Ssl(verify=verify in (True, "on"))
        if isinstance(cookies := options.get("cookie"), str):
            pairs = (pair.strip().partition("=") for pair in cookies.split(";"))
            source.cookies = [Cookie(name=name, value=value) for name, _, value in pairs]
        source.readahead = Readahead(size=self._number(options, "readahead")) if "readahead" in options else None
        source.timeout = Timeout(seconds=self._number(options, "timeout")) if "timeout" in options else None
        return source

    def _iscsi(self, options: Options) -> DiskSource:
        if options.get("transport") != "tcp":
            raise _bad(self._text, "iSCSI goes over TCP only")
        host, colon, port = self._need(options, "portal").rpartition(":")
        if not colon or not port.isdigit():
            host, port = self._need(options, "portal"), ""
        name = f"{self._need(options, 'target')}/{options.get('lun', 0)}"
        return DiskSource(protocol=NetProtocol.ISCSI, name=name, hosts=[_host(NetProtocol.ISCSI, host, port or None)])

    def _nvme(self, options: Options) -> DiskSource:
        found = _PCI.fullmatch(self._need(options, "device").lower())
        if found is None:
            raise _bad(self._text, "'device' is a PCI address such as 0000:01:00.0")
        domain, bus, slot, function = (int(part, 16) for part in found.groups())
        place = HostPciAddress(domain=domain, bus=bus, slot=slot, function=function)
        return DiskSource(type="pci", namespace=self._number(options, "namespace"), address=place)


def _numeric(who: object) -> str | None:
    """A user or group by number has a plus sign, lest it be taken for a name."""
    return None if who is None else f"+{who}" if isinstance(who, int) else str(who)
