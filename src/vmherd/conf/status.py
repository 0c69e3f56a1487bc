"""<domstatus>: a running domain as libvirt's QEMU driver keeps it in its run folder, to find it again.

    parse(DomainStatus, text), render(DomainStatus(...))      with vmherd.util.xmlmodel

vmherd keeps what it knows of running guests in its own store; it reads and writes this to hand guests over.
Source: virDomainObjFormat and qemuDomainObjPrivateXMLFormat of libvirt
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.cpu import Cpu
from vmherd.util.xmlmodel import CpuSet, Element, Int, UInt, YesNo, attr, child, children, flag, leaf, raw


class Taint(Element, tag="taint"):
    """Something that was done to the guest which nobody vouches for, such as ``custom-argv``."""

    flag: str = attr()


class StatusMonitor(Element, tag="monitor"):
    """QEMU's monitor: ``unix`` or ``pty``."""

    path: str = attr()
    json: UInt | None = attr()
    type: str = attr()


class Namespaces(Element, tag="namespaces"):
    """Which namespaces of its own QEMU has."""

    mount: bool = flag()
    ipc: bool = flag()
    net: bool = flag()
    pid: bool = flag()
    user: bool = flag()
    uts: bool = flag()


class VcpuThread(Element, tag="vcpu"):
    """The thread of a CPU, by the number the kernel has for it."""

    id: UInt = attr()
    pid: UInt = attr()


class CapabilityFlag(Element, tag="flag"):
    name: str = attr()


class StatusJob(Element, tag="job"):
    """A job that was running: ``type`` and ``async`` are "none" if none was."""

    type: str = attr()
    async_: str = attr("async")
    phase: str | None = attr()
    flags: str | None = attr()


class StatusDevice(Element, tag="device"):
    """A device QEMU has, by its alias."""

    alias: str = attr()


class NumadAdvice(Element, tag="numad"):
    nodeset: CpuSet | None = attr()
    cpuset: CpuSet | None = attr()


class Folder(Element, tag="libDir"):
    path: str = attr()


class Reboot(Element, tag="allowReboot"):
    """Whether a reset of the guest resets it, or ends QEMU."""

    value: YesNo = attr()


class Counter(Element, tag="nodename"):
    """The number that the next node, or set of descriptors, gets."""

    index: UInt = attr()


class DomainStatus(Element, tag="domstatus"):
    """``state`` and ``reason`` are libvirt's words; ``agent_timeout`` is in seconds, -2 waits for ever."""

    state: str = attr()
    reason: str = attr()
    pid: UInt = attr()
    taints: list[Taint] = children()
    monitor: StatusMonitor | None = child()
    dbus_daemon: bool = flag("dbusDaemon")
    namespaces: Namespaces | None = child()
    vcpus: list[VcpuThread] = children(within="vcpus")
    capabilities: list[CapabilityFlag] = children(within="qemuCaps")
    lock_state: str | None = leaf("lockstate")
    job: StatusJob | None = child()
    fake_reboot: bool = flag("fakereboot")
    devices: list[StatusDevice] = children(within="devices")
    numad: NumadAdvice | None = child()
    lib_dir: Folder | None = child()
    channel_target_dir: Folder | None = child("channelTargetDir")
    cpu: Cpu | None = child()
    chardev_stdio_logd: bool = flag("chardevStdioLogd")
    remember_owner: bool = flag("rememberOwner")
    allow_reboot: Reboot | None = child()
    node_name: Counter | None = child()
    fd_set: Counter | None = child("fdset")
    blockjobs: str | None = raw("blockjobs")
    agent_timeout: Int | None = leaf("agentTimeout")
    domain: Domain = child()
