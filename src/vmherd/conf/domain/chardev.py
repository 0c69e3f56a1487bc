"""Character devices: serial and parallel ports, consoles, channels, and the host ends they all share.

The host end (``type``, ``source``, ``protocol``, ``log``) is the same for every family that carries a byte stream;
smart card readers, USB redirection, random number generators and TPMs use it too.

Source: https://libvirt.org/formatdomain.html#consoles-serial-parallel-channel-devices
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device
from vmherd.conf.domain.seclabel import DeviceSeclabel
from vmherd.util.xmlmodel import Element, Switch, UInt, YesNo, attr, child, children


class ChardevType(StrEnum):
    NULL = "null"
    VC = "vc"
    PTY = "pty"
    DEV = "dev"
    FILE = "file"
    PIPE = "pipe"
    STDIO = "stdio"
    UDP = "udp"
    TCP = "tcp"
    UNIX = "unix"
    SPICEVMC = "spicevmc"
    SPICEPORT = "spiceport"
    NMDM = "nmdm"
    QEMU_VDAGENT = "qemu-vdagent"
    DBUS = "dbus"


class SocketMode(StrEnum):
    CONNECT = "connect"  # the hypervisor is the client
    BIND = "bind"  # the hypervisor listens


class Reconnect(Element, tag="reconnect"):
    """Whether a lost connection is made again, every ``timeout`` seconds."""

    enabled: YesNo = attr()
    timeout: UInt | None = attr()


class VdagentClipboard(Element, tag="clipboard"):
    copypaste: YesNo = attr()


class MouseMode(StrEnum):
    SERVER = "server"
    CLIENT = "client"


class VdagentMouse(Element, tag="mouse"):
    mode: MouseMode = attr()


class ChardevSource(Element, tag="source"):
    """The host end.  Which attributes count depends on the device's ``type``; see ``FIELDS_OF_SOURCE``."""

    type: str | None = attr()  # only where a device has no type of its own (vhost-user disks and cards)
    mode: SocketMode | None = attr()
    host: str | None = attr()
    service: str | None = attr()
    tls: YesNo | None = attr()
    path: str | None = attr()
    append: Switch | None = attr()
    channel: str | None = attr()
    master: str | None = attr()
    slave: str | None = attr()
    reconnect: Reconnect | None = child()
    clipboard: VdagentClipboard | None = child()
    mouse: VdagentMouse | None = child()
    seclabels: list[DeviceSeclabel] = children()


FIELDS_OF_SOURCE: dict[ChardevType, tuple[str, ...]] = {
    ChardevType.NULL: (),
    ChardevType.VC: (),
    ChardevType.PTY: ("path", "seclabels"),
    ChardevType.DEV: ("path", "seclabels"),
    ChardevType.FILE: ("path", "append", "seclabels"),
    ChardevType.PIPE: ("path", "seclabels"),
    ChardevType.STDIO: (),
    ChardevType.UDP: ("mode", "host", "service"),
    ChardevType.TCP: ("mode", "host", "service", "tls", "reconnect"),
    ChardevType.UNIX: ("mode", "path", "reconnect", "seclabels"),
    ChardevType.SPICEVMC: (),
    ChardevType.SPICEPORT: ("channel",),
    ChardevType.NMDM: ("master", "slave"),
    ChardevType.QEMU_VDAGENT: ("clipboard", "mouse"),
    ChardevType.DBUS: ("channel",),
}


class ProtocolType(StrEnum):
    RAW = "raw"
    TELNET = "telnet"
    TELNETS = "telnets"
    TLS = "tls"


class Protocol(Element, tag="protocol"):
    """What is spoken on a TCP source."""

    type: ProtocolType = attr()


class ChardevLog(Element, tag="log"):
    """A file that receives a copy of everything the guest writes."""

    file: str = attr()
    append: Switch | None = attr()


class SerialTargetType(StrEnum):
    ISA = "isa-serial"
    USB = "usb-serial"
    PCI = "pci-serial"
    SPAPR_VIO = "spapr-vio-serial"
    SYSTEM = "system-serial"
    SCLP = "sclp-serial"
    ISA_DEBUG = "isa-debug"


class TargetModel(Element, tag="model"):
    """The device behind a serial target, such as ``isa-serial`` or ``pl011``."""

    name: str = attr()


class SerialTarget(Element, tag="target"):
    type: SerialTargetType | None = attr()
    port: UInt | None = attr()
    model: TargetModel | None = child()


class Serial(Device, tag="serial"):
    type: ChardevType = attr()
    sources: list[ChardevSource] = children()  # only UDP has two, one per direction
    protocol: Protocol | None = child()
    log: ChardevLog | None = child()
    target: SerialTarget | None = child()


class ParallelTarget(Element, tag="target"):
    port: UInt | None = attr()


class Parallel(Device, tag="parallel"):
    type: ChardevType = attr()
    sources: list[ChardevSource] = children()
    protocol: Protocol | None = child()
    log: ChardevLog | None = child()
    target: ParallelTarget | None = child()


class ConsoleTargetType(StrEnum):
    SERIAL = "serial"
    XEN = "xen"
    UML = "uml"
    VIRTIO = "virtio"
    LXC = "lxc"
    OPENVZ = "openvz"
    SCLP = "sclp"
    SCLPLM = "sclplm"


class ConsoleTarget(Element, tag="target"):
    type: ConsoleTargetType | None = attr()
    port: UInt | None = attr()


class Console(Device, tag="console"):
    type: ChardevType = attr()
    tty: str | None = attr()  # the pty of a running guest, repeated here for old clients
    sources: list[ChardevSource] = children()
    protocol: Protocol | None = child()
    log: ChardevLog | None = child()
    target: ConsoleTarget | None = child()


class ChannelTargetType(StrEnum):
    GUESTFWD = "guestfwd"
    VIRTIO = "virtio"
    XEN = "xen"


class ChannelState(StrEnum):
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


class ChannelTarget(Element, tag="target"):
    type: ChannelTargetType = attr()
    address: str | None = attr()  # guestfwd: the address the guest connects to
    port: str | None = attr()
    name: str | None = attr()  # virtio and xen: the port's name inside the guest
    state: ChannelState | None = attr()  # whether the guest has it open, while it runs


class Channel(Device, tag="channel"):
    type: ChardevType = attr()
    sources: list[ChardevSource] = children()
    protocol: Protocol | None = child()
    log: ChardevLog | None = child()
    target: ChannelTarget = child()
