"""Where disk contents come from: servers, credentials and encryption, shared by disks, firmware and SCSI passthrough.

Source: https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import HostPciAddress
from vmherd.conf.domain.chardev import Reconnect
from vmherd.conf.domain.seclabel import DeviceSeclabel
from vmherd.util.xmlmodel import Element, UInt, Uuid, YesNo, attr, child, children, text


class StorageType(StrEnum):
    FILE = "file"
    BLOCK = "block"
    DIR = "dir"
    NETWORK = "network"
    VOLUME = "volume"
    NVME = "nvme"
    VHOSTUSER = "vhostuser"


class StorageFormat(StrEnum):
    RAW = "raw"
    DIR = "dir"
    BOCHS = "bochs"
    CLOOP = "cloop"
    DMG = "dmg"
    ISO = "iso"
    VPC = "vpc"
    VDI = "vdi"
    FAT = "fat"
    VHD = "vhd"
    PLOOP = "ploop"
    COW = "cow"
    QCOW = "qcow"
    QCOW2 = "qcow2"
    QED = "qed"
    VMDK = "vmdk"
    AIO = "aio"  # what old Xen documents call raw


class NetProtocol(StrEnum):
    NBD = "nbd"
    RBD = "rbd"
    SHEEPDOG = "sheepdog"
    GLUSTER = "gluster"
    ISCSI = "iscsi"
    HTTP = "http"
    HTTPS = "https"
    FTP = "ftp"
    FTPS = "ftps"
    TFTP = "tftp"
    SSH = "ssh"
    VXHS = "vxhs"
    NFS = "nfs"


#: Where servers listen unless told.  RBD clients find the monitors' ports themselves, NFS asks the portmapper.
DEFAULT_PORTS = {
    NetProtocol.HTTP: "80",
    NetProtocol.HTTPS: "443",
    NetProtocol.FTP: "21",
    NetProtocol.FTPS: "990",
    NetProtocol.TFTP: "69",
    NetProtocol.SHEEPDOG: "7000",
    NetProtocol.SSH: "22",
    NetProtocol.NBD: "10809",
    NetProtocol.GLUSTER: "24007",
    NetProtocol.ISCSI: "3260",
    NetProtocol.VXHS: "9999",
}


class Transport(StrEnum):
    TCP = "tcp"
    UNIX = "unix"
    RDMA = "rdma"


class StartupPolicy(StrEnum):
    """What to do when the source is missing at start."""

    MANDATORY = "mandatory"
    REQUISITE = "requisite"
    OPTIONAL = "optional"


class Secret(Element, tag="secret"):
    """A secret, by UUID or by its usage string."""

    type: str | None = attr()
    usage: str | None = attr()
    uuid: Uuid | None = attr()


class Auth(Element, tag="auth"):
    """Who to log in as at the storage server."""

    username: str = attr()
    secret: Secret | None = child()


class Cipher(Element, tag="cipher"):
    name: str = attr()
    size: UInt = attr()
    mode: str | None = attr()
    hash: str | None = attr()


class InitVector(Element, tag="ivgen"):
    name: str = attr()
    hash: str | None = attr()


class EncryptionFormat(StrEnum):
    DEFAULT = "default"
    QCOW = "qcow"
    LUKS = "luks"
    LUKS2 = "luks2"
    LUKS_ANY = "luks-any"


class EncryptionEngine(StrEnum):
    QEMU = "qemu"
    LIBRBD = "librbd"


class Encryption(Element, tag="encryption"):
    format: EncryptionFormat = attr()
    engine: EncryptionEngine | None = attr()
    secrets: list[Secret] = children()
    cipher: Cipher | None = child()
    ivgen: InitVector | None = child()


class StorageHost(Element, tag="host"):
    """One server of a network disk."""

    name: str | None = attr()
    port: str | None = attr()
    transport: Transport | None = attr()
    socket: str | None = attr()


class Named(Element, tag="snapshot"):
    """The RBD snapshot to read."""

    name: str = attr()


class ConfigFile(Element, tag="config"):
    """The configuration file of the RBD client."""

    file: str = attr()


class Iqn(Element, tag="iqn"):
    name: str = attr()


class Initiator(Element, tag="initiator"):
    """The iSCSI name this host introduces itself with."""

    iqn: Iqn | None = child()


class Ssl(Element, tag="ssl"):
    verify: YesNo = attr()


class Cookie(Element, tag="cookie"):
    name: str = attr()
    value: str = text()


class Readahead(Element, tag="readahead"):
    size: UInt = attr()


class Timeout(Element, tag="timeout"):
    seconds: UInt = attr()


class NfsIdentity(Element, tag="identity"):
    """User and group on the NFS server: a name, a number, or ``+number``."""

    user: str | None = attr()
    group: str | None = attr()


class Slice(Element, tag="slice"):
    """The part of the file that is the image, in bytes."""

    type: str = attr()
    offset: UInt = attr()
    size: UInt = attr()


class ReservationSource(Element, tag="source"):
    """The socket of the helper that manages persistent reservations."""

    type: str = attr()
    path: str | None = attr()
    mode: str | None = attr()  # "client": QEMU connects to the helper


class Reservations(Element, tag="reservations"):
    """SCSI persistent reservations; managed means libvirt starts the helper."""

    managed: YesNo | None = attr()
    source: ReservationSource | None = child()


class VolumeMode(StrEnum):
    """How a volume of an iSCSI pool reaches the guest."""

    HOST = "host"
    DIRECT = "direct"


class DiskSource(Element, tag="source"):
    """The image itself.  Which attributes count depends on the storage type; see ``FIELDS_OF_TYPE``."""

    type: str | None = attr()  # "unix" for vhost-user, "pci" for NVMe
    file: str | None = attr()
    fdgroup: str | None = attr()
    dev: str | None = attr()
    dir: str | None = attr()
    protocol: NetProtocol | None = attr()
    name: str | None = attr()
    query: str | None = attr()
    tls: YesNo | None = attr()
    tls_hostname: str | None = attr("tlsHostname")
    pool: str | None = attr()
    volume: str | None = attr()
    mode: VolumeMode | None = attr()
    managed: YesNo | None = attr()
    namespace: UInt | None = attr()
    path: str | None = attr()
    startup_policy: StartupPolicy | None = attr("startupPolicy")
    index: UInt | None = attr()  # counts the images of one guest, while it runs
    hosts: list[StorageHost] = children()
    snapshot: Named | None = child()
    config: ConfigFile | None = child()
    initiator: Initiator | None = child()
    ssl: Ssl | None = child()
    cookies: list[Cookie] = children(within="cookies")
    readahead: Readahead | None = child()
    timeout: Timeout | None = child()
    identity: NfsIdentity | None = child()
    address: HostPciAddress | None = child()
    reconnect: Reconnect | None = child()
    slices: list[Slice] = children(within="slices")
    seclabels: list[DeviceSeclabel] = children()
    auth: Auth | None = child()
    encryption: Encryption | None = child()
    reservations: Reservations | None = child()


_EVERYWHERE = ("startup_policy", "index", "slices", "seclabels", "encryption", "reservations")

FIELDS_OF_TYPE: dict[StorageType, tuple[str, ...]] = {
    StorageType.FILE: ("file", "fdgroup", *_EVERYWHERE),
    StorageType.BLOCK: ("dev", *_EVERYWHERE),
    StorageType.DIR: ("dir", *_EVERYWHERE),
    StorageType.NETWORK: (
        "protocol", "name", "query", "tls", "tls_hostname", "hosts", "snapshot", "config", "initiator",
        "ssl", "cookies", "readahead", "timeout", "identity", "auth", *_EVERYWHERE,
    ),
    StorageType.VOLUME: ("pool", "volume", "mode", "auth", *_EVERYWHERE),
    StorageType.NVME: ("type", "managed", "namespace", "address", *_EVERYWHERE),
    StorageType.VHOSTUSER: ("type", "path", "reconnect", "index"),
}  # fmt: skip

_CURL = (NetProtocol.HTTP, NetProtocol.HTTPS, NetProtocol.FTP, NetProtocol.FTPS)

#: What means something to some protocols only.
PROTOCOLS_OF_FIELD: dict[str, tuple[NetProtocol, ...]] = {
    "query": (NetProtocol.HTTP, NetProtocol.HTTPS),
    "cookies": (NetProtocol.HTTP, NetProtocol.HTTPS),
    "ssl": (NetProtocol.HTTPS, NetProtocol.FTPS),
    "readahead": _CURL,
    "timeout": _CURL,
    "identity": (NetProtocol.NFS,),
}
