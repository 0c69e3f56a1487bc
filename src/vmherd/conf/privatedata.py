"""<privateData>: what the QEMU driver must remember of a running guest's images and jobs.

It stands in the daemon's own files only.  Source: qemuStorageSourcePrivateDataFormat, src/qemu/qemu_domain.c, and
virDomainBackupDefFormatPrivate, src/conf/backup_conf.c, of libvirt
"""

from __future__ import annotations

from vmherd.util.xmlmodel import Element, attr, child, children


class NodeName(Element, tag="nodename"):
    """The name QEMU knows one layer of an image by: ``storage``, ``format`` or ``slice-storage``."""

    type: str = attr()
    name: str = attr()


class PrivateReservations(Element, tag="reservations"):
    """The helper for persistent reservations."""

    mgralias: str = attr()


class PrivateSecret(Element, tag="secret"):
    """A secret QEMU was handed, by what it is for: ``auth``, ``encryption``, ``httpcookie`` or ``tlskey``."""

    type: str = attr()
    alias: str = attr()


class TlsCredentials(Element, tag="TLSx509"):
    alias: str = attr()


class PrivateObjects(Element, tag="objects"):
    """What else was made in QEMU for an image or a job, and goes with it."""

    secrets: list[PrivateSecret] = children()
    tls: TlsCredentials | None = child()


class SourceData(Element, tag="privateData"):
    """Of one image."""

    nodenames: list[NodeName] = children(within="nodenames")
    reservations: PrivateReservations | None = child()
    objects: PrivateObjects | None = child()


class JobData(Element, tag="privateData"):
    """Of a backup."""

    objects: PrivateObjects | None = child()
