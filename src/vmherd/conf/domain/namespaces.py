"""Settings that belong to one hypervisor, under a namespace of its own at the end of the document.

Source: https://libvirt.org/drvqemu.html, drvbhyve.html, drvxen.html, drvlxc.html, drvesx.html
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.util.xmlmodel import Element, attr, child, children, text

_QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"
_XEN = "{http://libvirt.org/schemas/domain/xen/1.0}"
_BHYVE = "{http://libvirt.org/schemas/domain/bhyve/1.0}"
_LXC = "{http://libvirt.org/schemas/domain/lxc/1.0}"
_VMWARE = "{http://libvirt.org/schemas/domain/vmware/1.0}"


class QemuArg(Element, tag=_QEMU + "arg", prefix="qemu"):
    value: str = attr()


class QemuEnv(Element, tag=_QEMU + "env", prefix="qemu"):
    """A variable of QEMU's environment."""

    name: str = attr()
    value: str | None = attr()


class QemuCommandline(Element, tag=_QEMU + "commandline", prefix="qemu"):
    """Words appended to QEMU's command line."""

    args: list[QemuArg] = children()
    envs: list[QemuEnv] = children()


class AddedCapability(Element, tag=_QEMU + "add", prefix="qemu"):
    capability: str = attr()


class DeletedCapability(Element, tag=_QEMU + "del", prefix="qemu"):
    capability: str = attr()


class QemuCapabilities(Element, tag=_QEMU + "capabilities", prefix="qemu"):
    """Capabilities to assume or to ignore, whatever the binary says."""

    added: list[AddedCapability] = children()
    deleted: list[DeletedCapability] = children()


class PropertyType(StrEnum):
    STRING = "string"
    UNSIGNED = "unsigned"
    SIGNED = "signed"
    BOOL = "bool"
    REMOVE = "remove"


class DeviceProperty(Element, tag=_QEMU + "property", prefix="qemu"):
    name: str = attr()
    type: PropertyType = attr()
    value: str | None = attr()


class QemuFrontend(Element, tag=_QEMU + "frontend", prefix="qemu"):
    properties: list[DeviceProperty] = children()


class QemuDevice(Element, tag=_QEMU + "device", prefix="qemu"):
    """Properties to change on the device with this alias."""

    alias: str = attr()
    frontend: QemuFrontend = child()


class QemuOverride(Element, tag=_QEMU + "override", prefix="qemu"):
    devices: list[QemuDevice] = children()


class QemuDeprecation(Element, tag=_QEMU + "deprecation", prefix="qemu"):
    """What QEMU does when a deprecated feature is used: ``accept``, ``omit``, ``reject``, ``crash`` or ``none``."""

    behavior: str = attr()


class XenArg(Element, tag=_XEN + "arg", prefix="xen"):
    value: str = attr()


class XenCommandline(Element, tag=_XEN + "commandline", prefix="xen"):
    args: list[XenArg] = children()


class BhyveArg(Element, tag=_BHYVE + "arg", prefix="bhyve"):
    value: str = attr()


class BhyveEnv(Element, tag=_BHYVE + "env", prefix="bhyve"):
    name: str = attr()
    value: str | None = attr()


class BhyveCommandline(Element, tag=_BHYVE + "commandline", prefix="bhyve"):
    args: list[BhyveArg] = children()
    envs: list[BhyveEnv] = children()


class LxcShareSource(StrEnum):
    """Whose namespace: a container's, that of a process, or a named one of ip-netns(8)."""

    NONE = "none"
    NAME = "name"
    PID = "pid"
    NETNS = "netns"


class LxcShareNet(Element, tag=_LXC + "sharenet", prefix="lxc"):
    """Whose network the container shares: ``value`` is a container, a process id or a name, as ``type`` says."""

    type: LxcShareSource = attr()
    value: str = attr()


class LxcShareIpc(LxcShareNet, tag=_LXC + "shareipc", prefix="lxc"):
    """The same for System V IPC."""


class LxcShareUts(LxcShareNet, tag=_LXC + "shareuts", prefix="lxc"):
    """The same for the host name."""


class LxcNamespace(Element, tag=_LXC + "namespace", prefix="lxc"):
    sharenet: LxcShareNet | None = child()
    shareipc: LxcShareIpc | None = child()
    shareuts: LxcShareUts | None = child()


class DatacenterPath(Element, tag=_VMWARE + "datacenterpath", prefix="vmware"):
    """The folders and data center on the VMware server that hold the guest."""

    path: str = text()
