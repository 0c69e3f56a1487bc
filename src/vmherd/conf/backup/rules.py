"""What no backup can be.

Source: virDomainBackupDefParseXML, and schemas/domainbackup.rng, which libvirt holds every request against.  Unlike the
schema, and like the page on the format, the type of a file may be left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address

from vmherd.conf.backup.document import ROOT, Backup, BackupDisk, BackupImage, BackupMode, BackupServer, Extent
from vmherd.conf.domain import Problem
from vmherd.conf.domain.problem import numbered, refuse
from vmherd.conf.domain.storage import (
    Encryption,
    EncryptionEngine,
    EncryptionFormat,
    StorageFormat,
    StorageType,
    Transport,
)
from vmherd.conf.moments import Origin, is_target, mislabelled

_HOST = re.compile(r"[a-zA-Z0-9_.+-]+")


def check(backup: Backup, origin: Origin = Origin.REQUEST) -> None:
    """Raise one DocumentError that lists all problems of ``backup``; return if there is none."""
    refuse(problems(backup, origin), ROOT)


def problems(backup: Backup, origin: Origin = Origin.REQUEST) -> list[Problem]:
    """Everything that is wrong with ``backup``."""
    return [
        *_server(backup, origin),
        *(problem for number, disk in numbered(backup.disks) for problem in _disk(disk, backup.mode, number)),
        *(_private(backup) if origin is not Origin.FILE else _stateless(backup)),
    ]


def _server(backup: Backup, origin: Origin) -> Iterator[Problem]:
    server, place = backup.server, f"{ROOT}/server"
    pull = backup.mode is BackupMode.PULL
    if server is None:
        if pull and origin is not Origin.FILE:
            hint = "add <server name='localhost' port='10809'/> or <server transport='unix' socket='/...'/>"
            yield Problem(place, "the server that a client pulls from is missing", hint)
        return
    if not pull:
        yield Problem(place, "only a pulled backup has a server", "use mode='pull', or remove <server>")
    if server.transport is Transport.RDMA:
        yield Problem(f"{place}/@transport", "the server cannot use rdma", "use 'tcp' or 'unix'")
    elif server.transport is Transport.UNIX:
        yield from _unix_server(server, place)
    else:
        yield from _tcp_server(server, place)


def _unix_server(server: BackupServer, place: str) -> Iterator[Problem]:
    if not server.socket:
        yield Problem(f"{place}/@socket", "the path of the socket is missing", "add socket='/...'")
    elif not server.socket.startswith("/"):
        yield Problem(f"{place}/@socket", f"{server.socket!r} is no absolute path", "begin it with '/'")
    if server.name is not None or server.port is not None:
        yield Problem(place, "a socket has neither name nor port", "leave them out, or use transport='tcp'")


def _tcp_server(server: BackupServer, place: str) -> Iterator[Problem]:
    if server.socket is not None:
        yield Problem(f"{place}/@socket", "a TCP server has no socket", "use transport='unix', or leave socket out")
    if not server.name:
        yield Problem(f"{place}/@name", "the address to listen on is missing", "add name='localhost'")
    elif not _is_host(server.name):
        yield Problem(f"{place}/@name", f"{server.name!r} is neither a host name nor an address", "name='localhost'")
    if server.port is not None and server.port > 0xFFFF:
        yield Problem(f"{place}/@port", f"{server.port} is no port", "ports end at 65535")


def _is_host(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return _HOST.fullmatch(name) is not None
    return True


def _disk(disk: BackupDisk, mode: BackupMode, number: int) -> Iterator[Problem]:
    place = f"{ROOT}/disks/disk[{number}]"
    if not is_target(disk.name):
        text = f"{disk.name!r} is no target of a disk"
        yield Problem(f"{place}/@name", text, "name it like <target dev='vda'/> of the guest")
    if disk.backupmode is Extent.FULL and disk.incremental is not None:
        text = "a full copy does not begin at a checkpoint"
        yield Problem(f"{place}/@incremental", text, "leave it out, or use backupmode='incremental'")
    yield from _sides(disk, mode, place)
    if disk.type not in (None, StorageType.FILE, StorageType.BLOCK):
        yield Problem(f"{place}/@type", f"a copy cannot be written to a {disk.type}", "use 'file' or 'block'")
    if not disk.backup and (disk.type or disk.driver or disk.image):
        yield Problem(place, "a disk that is left out has no destination", "use backup='yes', or leave only its name")
    if disk.image is not None:
        tag = "target" if disk.target else "scratch"
        yield from _image(disk.image, disk.type or StorageType.FILE, f"{place}/{tag}")


def _sides(disk: BackupDisk, mode: BackupMode, place: str) -> Iterator[Problem]:
    """What belongs to the other mode."""
    if mode is BackupMode.PUSH:
        if disk.scratch is not None:
            yield Problem(f"{place}/scratch", "only a pulled backup needs scratch space", "use <target>")
        if disk.exportname is not None or disk.exportbitmap is not None:
            yield Problem(place, "only a pulled backup exports disks", "leave exportname and exportbitmap out")
        return
    if disk.target is not None:
        yield Problem(f"{place}/target", "a pulled backup has no target", "use <scratch>")
    if disk.driver is not None and disk.driver.type is not StorageFormat.QCOW2:
        yield Problem(f"{place}/driver/@type", "scratch space must be qcow2", "use type='qcow2'")


def _image(image: BackupImage, type_: StorageType, place: str) -> Iterator[Problem]:
    wanted, other = ("dev", "file") if type_ is StorageType.BLOCK else ("file", "dev")
    path = getattr(image, wanted)
    if not path:
        yield Problem(f"{place}/@{wanted}", f"the path is missing for type='{type_}'", f"add {wanted}='/...'")
    elif not path.startswith("/"):
        yield Problem(f"{place}/@{wanted}", f"{path!r} is no absolute path", "begin it with '/'")
    if getattr(image, other) is not None:
        yield Problem(f"{place}/@{other}", f"type='{type_}' has no {other}", f"use {wanted}='/...' alone")
    yield from mislabelled(image.seclabels, place)
    if image.encryption is not None:
        yield from _encryption(image.encryption, f"{place}/encryption")


def _encryption(encryption: Encryption, place: str) -> Iterator[Problem]:
    """QEMU makes the image, and encrypts new ones with LUKS."""
    if encryption.format is not EncryptionFormat.LUKS:
        yield Problem(f"{place}/@format", f"{encryption.format} images cannot be made here", "use format='luks'")
    if encryption.engine not in (None, EncryptionEngine.QEMU):
        yield Problem(f"{place}/@engine", f"{encryption.engine} cannot encrypt this", "use engine='qemu'")
    if not encryption.secrets:
        yield Problem(f"{place}/secret", "the passphrase is missing", "add <secret type='passphrase' uuid='...'/>")


def _private(backup: Backup) -> Iterator[Problem]:
    """What only the daemon knows of a job."""
    hint = "leave it out"
    if backup.private_data is not None:
        yield Problem(f"{ROOT}/privateData", "it is the daemon's own", hint)
    for number, disk in numbered(backup.disks):
        place = f"{ROOT}/disks/disk[{number}]"
        if disk.state is not None:
            yield Problem(f"{place}/@state", "it is told, not asked", hint)
        if disk.image is not None and disk.image.index is not None:
            yield Problem(f"{place}/{'target' if disk.target else 'scratch'}/@index", "it is told, not asked", hint)
        if disk.image is not None and disk.image.private_data is not None:
            tag = "target" if disk.target else "scratch"
            yield Problem(f"{place}/{tag}/privateData", "it is the daemon's own", hint)


def _stateless(backup: Backup) -> Iterator[Problem]:
    for number, disk in numbered(backup.disks):
        if disk.backup and disk.state is None:
            yield Problem(f"{ROOT}/disks/disk[{number}]/@state", "a job that was kept tells it", "add state='running'")
