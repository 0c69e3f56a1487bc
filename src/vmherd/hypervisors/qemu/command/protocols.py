"""Images on storage servers, as QEMU's block drivers reach them.

Source: BlockdevOptionsNbd, -Rbd, -Iscsi, ... in QEMU's qapi/block-core.json; qemu_block.c of libvirt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import quote

from vmherd.conf.domain.storage import DiskSource, NetProtocol, StorageHost, Transport
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.command.device import Properties
from vmherd.hypervisors.qemu.command.launch import Launch

#: How much the GlusterFS client tells in QEMU's log (libvirt's default).
_GLUSTER_DEBUG = 4
_SERVER = "domain/devices/disk/source/host"


@dataclass(frozen=True, kw_only=True)
class Objects:
    """The objects that a source refers to, by their ids; empty if it needs none.

    ``keys`` open an encrypted RBD image.
    """

    user: str = ""
    password: str = ""
    cookies: str = ""
    tls: str = ""
    keys: tuple[str, ...] = ()


def properties(source: DiskSource, objects: Objects, launch: Launch) -> Properties:
    """The driver and its options.  Raises Unsupported for what QEMU cannot reach."""
    assert source.protocol is not None  # validation asks for one
    make = _PROTOCOLS.get(source.protocol)
    if make is None:
        raise Unsupported(
            f"QEMU has no driver for {source.protocol!s} any more",
            place="domain/devices/disk/source/@protocol",
            hint="export the image with another protocol, such as nbd",
        )
    return {"driver": str(source.protocol), **make(source, objects, launch)}


def _nbd(source: DiskSource, objects: Objects, _: Launch) -> Properties:
    return {
        "server": _socket(_only_host(source), "inet"),
        "export": source.name,
        "tls-creds": objects.tls or None,
        "tls-hostname": source.tls_hostname,
    }


def _gluster(source: DiskSource, _: Objects, __: Launch) -> Properties:
    volume, path = _split(source)
    servers = [_socket(host, "inet") for host in source.hosts]
    return {"volume": volume, "path": path, "server": servers, "debug": _GLUSTER_DEBUG}


def _rbd(source: DiskSource, objects: Objects, _: Launch) -> Properties:
    pool, image = _split(source)
    login: Properties = {}
    if objects.user:
        login = {"user": objects.user, "auth-client-required": ["cephx", "none"], "key-secret": objects.password}
    return {
        "pool": pool,
        "image": image,
        "snapshot": source.snapshot.name if source.snapshot else None,
        "conf": source.config.file if source.config else None,
        "server": [{"host": _name(host), "port": host.port or "0"} for host in source.hosts] or None,
        "encrypt": _rbd_encryption(source, objects.keys),
        **login,
    }


def _rbd_encryption(source: DiskSource, keys: tuple[str, ...]) -> Properties | None:
    """Keys of nested layers: that of the image itself comes first."""
    if not keys or source.encryption is None:
        return None
    own: Properties = {"format": str(source.encryption.format), "key-secret": keys[0]}
    parent = _rbd_encryption(source, keys[1:])
    return {**own, "parent": parent} if parent else own


def _iscsi(source: DiskSource, objects: Objects, _: Launch) -> Properties:
    """The name is the target's, and after a slash the number of the unit."""
    target, unit = _split(source)
    if unit and not unit.isdecimal():
        raise Unsupported(
            f"{unit!r} is no number of a unit", place="domain/devices/disk/source/@name", hint="write name='TARGET/LUN'"
        )
    host = _only_host(source)
    return {
        "portal": f"{_bracketed(_name(host))}:{host.port}",
        "target": target,
        "lun": int(unit or 0),
        "transport": "tcp",
        "user": objects.user or None,
        "password-secret": objects.password or None,
        "initiator-name": source.initiator.iqn.name if source.initiator and source.initiator.iqn else None,
    }


def _curl(source: DiskSource, objects: Objects, _: Launch) -> Properties:
    return {
        "url": _url(source),
        "username": objects.user or None,
        "password-secret": objects.password or None,
        "sslverify": source.ssl.verify if source.ssl else None,
        "cookie-secret": objects.cookies or None,
        "timeout": source.timeout.seconds if source.timeout else None,
        "readahead": source.readahead.size if source.readahead else None,
    }


def _url(source: DiskSource) -> str:
    """Characters that may not stand in a path are escaped as libxml2 does it (xmlSaveUri)."""
    host = _only_host(source)
    path = quote(source.name or "", safe="/;@&=+$,:!*'()~")
    slash = "" if path.startswith("/") else "/"
    query = f"?{source.query}" if source.query else ""
    return f"{source.protocol}://{_bracketed(_name(host))}:{host.port}{slash}{path}{query}"


def _ssh(source: DiskSource, objects: Objects, _: Launch) -> Properties:
    host = _only_host(source)
    return {"path": source.name, "server": {"host": _name(host), "port": host.port}, "user": objects.user or None}


def _nfs(source: DiskSource, _: Objects, launch: Launch) -> Properties:
    identity = source.identity
    return {
        "server": {"host": _name(_only_host(source)), "type": "inet"},
        "path": source.name,
        "user": launch.user_id(identity.user) if identity and identity.user else None,
        "group": launch.group_id(identity.group) if identity and identity.group else None,
    }


#: What is not here was removed from QEMU: sheepdog, tftp and vxhs.
_PROTOCOLS: dict[NetProtocol, Callable[[DiskSource, Objects, Launch], Properties]] = {
    NetProtocol.NBD: _nbd,
    NetProtocol.GLUSTER: _gluster,
    NetProtocol.RBD: _rbd,
    NetProtocol.ISCSI: _iscsi,
    NetProtocol.HTTP: _curl,
    NetProtocol.HTTPS: _curl,
    NetProtocol.FTP: _curl,
    NetProtocol.FTPS: _curl,
    NetProtocol.SSH: _ssh,
    NetProtocol.NFS: _nfs,
}

PROTOCOLS = frozenset(_PROTOCOLS)


def _split(source: DiskSource) -> tuple[str, str]:
    """Volume or pool, and the path in it."""
    first, _, rest = (source.name or "").partition("/")
    return first, rest


def _only_host(source: DiskSource) -> StorageHost:
    if len(source.hosts) == 1:
        return source.hosts[0]
    raise Unsupported(
        f"a source of protocol {str(source.protocol)!r} has one host, not {len(source.hosts)}",
        place=_SERVER,
        hint="name exactly one <host>",
    )


def _name(host: StorageHost) -> str:
    if host.transport in (None, Transport.TCP):
        return host.name or ""
    text = f"QEMU reaches such a server through TCP, not {host.transport}"
    raise Unsupported(text, place=f"{_SERVER}/@transport", hint="use transport='tcp'")


def _socket(host: StorageHost, inet: str) -> Properties:
    match host.transport:
        case Transport.UNIX:
            return {"type": "unix", "path": host.socket}
        case Transport.RDMA:
            place, hint = f"{_SERVER}/@transport", "use transport='tcp'"
            raise Unsupported("QEMU reaches storage servers through TCP and UNIX sockets", place=place, hint=hint)
    return {"type": inet, "host": host.name, "port": host.port}


def _bracketed(name: str) -> str:
    try:
        return f"[{IPv6Address(name)}]"
    except AddressValueError:
        return name
