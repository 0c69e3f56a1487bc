"""<domain>: one guest, from its name to its last device.

Source: https://libvirt.org/formatdomain.html
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import cache

from vmherd.conf.domain.address import Device
from vmherd.conf.domain.audio import Audio
from vmherd.conf.domain.chardev import Channel, Console, Parallel, Serial
from vmherd.conf.domain.clock import Clock
from vmherd.conf.domain.controller import Controller
from vmherd.conf.domain.cpu import Cpu
from vmherd.conf.domain.crypto import Crypto
from vmherd.conf.domain.disk import Disk
from vmherd.conf.domain.features import Features
from vmherd.conf.domain.filesystem import Filesystem
from vmherd.conf.domain.graphics import Graphics
from vmherd.conf.domain.hostdev import Hostdev
from vmherd.conf.domain.input import Input
from vmherd.conf.domain.iommu import Iommu
from vmherd.conf.domain.launch import Keywrap, S390Pv, Sev
from vmherd.conf.domain.lease import Lease
from vmherd.conf.domain.memballoon import Memballoon
from vmherd.conf.domain.memdev import MemoryDevice
from vmherd.conf.domain.memory import BlkioTune, MaxMemory, Memory, MemoryBacking, MemTune
from vmherd.conf.domain.namespaces import (
    BhyveCommandline,
    DatacenterPath,
    LxcNamespace,
    QemuCapabilities,
    QemuCommandline,
    QemuDeprecation,
    QemuOverride,
    XenCommandline,
)
from vmherd.conf.domain.net import Interface
from vmherd.conf.domain.nvram import NvramDevice
from vmherd.conf.domain.os import Os
from vmherd.conf.domain.panic import Panic
from vmherd.conf.domain.power import CrashAction, LifecycleAction, LockFailureAction, PerfEvent, Pm
from vmherd.conf.domain.redirdev import Hub, Redirdev, Redirfilter
from vmherd.conf.domain.rng import Rng
from vmherd.conf.domain.scalars import GenId, ThreadCount
from vmherd.conf.domain.seclabel import Seclabel
from vmherd.conf.domain.shmem import Shmem
from vmherd.conf.domain.smartcard import Smartcard
from vmherd.conf.domain.sound import Sound
from vmherd.conf.domain.sysinfo import Sysinfo
from vmherd.conf.domain.tpm import Tpm
from vmherd.conf.domain.vcpu import CpuTune, DefaultIoThread, IoThread, NumaTune, Vcpu, VcpuState
from vmherd.conf.domain.video import Video
from vmherd.conf.domain.vsock import Vsock
from vmherd.conf.domain.watchdog import Watchdog
from vmherd.util.xmlmodel import Element, Int, Size, UInt, Uuid, attr, child, children, declared, leaf, raw


class DomainType(StrEnum):
    """Which hypervisor, and for QEMU which accelerator."""

    QEMU = "qemu"
    KQEMU = "kqemu"
    KVM = "kvm"
    HVF = "hvf"
    XEN = "xen"
    LXC = "lxc"
    UML = "uml"
    OPENVZ = "openvz"
    TEST = "test"
    VMWARE = "vmware"
    HYPERV = "hyperv"
    VBOX = "vbox"
    PHYP = "phyp"
    PARALLELS = "parallels"
    BHYVE = "bhyve"
    VZ = "vz"


class FibreChannel(Element, tag="fibrechannel"):
    """Names the guest to the storage network."""

    appid: str = attr()


class Resource(Element, tag="resource"):
    """The cgroup the guest is put below."""

    partition: str | None = leaf()
    fibrechannel: FibreChannel | None = child()


class IdRange(Element, tag="uid"):
    """``count`` ids from ``start`` in the container are those from ``target`` on the host."""

    start: UInt = attr()
    target: UInt = attr()
    count: UInt = attr()


class IdMap(Element, tag="idmap"):
    """User and group ids of a container."""

    uids: list[IdRange] = children()
    gids: list[IdRange] = children("gid")


class Devices(Element, tag="devices"):
    emulator: str | None = leaf()
    disks: list[Disk] = children()
    controllers: list[Controller] = children()
    leases: list[Lease] = children()
    filesystems: list[Filesystem] = children()
    interfaces: list[Interface] = children()
    smartcards: list[Smartcard] = children()
    serials: list[Serial] = children()
    parallels: list[Parallel] = children()
    consoles: list[Console] = children()
    channels: list[Channel] = children()
    inputs: list[Input] = children()
    tpms: list[Tpm] = children()
    graphics: list[Graphics] = children()
    sounds: list[Sound] = children()
    audios: list[Audio] = children()
    videos: list[Video] = children()
    hostdevs: list[Hostdev] = children()
    redirdevs: list[Redirdev] = children()
    redirfilter: Redirfilter | None = child(alone=True)
    hubs: list[Hub] = children()
    watchdog: Watchdog | None = child(alone=True)
    memballoon: Memballoon | None = child(alone=True)
    rngs: list[Rng] = children()
    nvram: NvramDevice | None = child(alone=True)
    panics: list[Panic] = children()
    shmems: list[Shmem] = children()
    memories: list[MemoryDevice] = children()
    cryptos: list[Crypto] = children()
    iommu: Iommu | None = child(alone=True)
    vsock: Vsock | None = child(alone=True)


def devices_of(devices: Devices) -> Iterator[Device]:
    """Every device that has an alias and an address, in document order."""
    for name in _families():
        family = getattr(devices, name)
        if isinstance(family, list):
            yield from family
        elif family is not None:
            yield family


def placed_devices(devices: Devices) -> Iterator[tuple[str, Device]]:
    """Every device with its place, such as ``domain/devices/disk[2]``."""
    for name in _families():
        family = getattr(devices, name)
        if isinstance(family, list):
            for number, each in enumerate(family, start=1):
                yield f"domain/devices/{each.__xml__.tag}[{number}]", each
        elif family is not None:
            yield f"domain/devices/{family.__xml__.tag}", family


@cache
def _families() -> tuple[str, ...]:
    """The fields of <devices> that hold devices."""
    return tuple(each.name for each in declared(Devices) if each.classes and issubclass(each.classes[0], Device))


class Domain(Element, tag="domain"):
    type: DomainType = attr()
    id: Int | None = attr()  # while it runs
    name: str = leaf()
    uuid: Uuid | None = leaf()
    genid: GenId | None = leaf()
    title: str | None = leaf()
    description: str | None = leaf()
    metadata: str | None = raw()
    max_memory: MaxMemory | None = child()
    memory: Memory = child(default=Memory, always=True)
    current_memory: Size | None = leaf("currentMemory")
    blkiotune: BlkioTune | None = child()
    memtune: MemTune | None = child()
    memory_backing: MemoryBacking | None = child()
    vcpu: Vcpu = child(default=Vcpu, always=True)
    vcpus: list[VcpuState] = children(within="vcpus")
    iothreads: ThreadCount | None = leaf()
    iothreadids: list[IoThread] = children(within="iothreadids")
    defaultiothread: DefaultIoThread | None = child()
    cputune: CpuTune | None = child()
    numatune: NumaTune | None = child()
    resource: Resource | None = child()
    sysinfos: list[Sysinfo] = children()
    bootloader: str | None = leaf()
    bootloader_args: str | None = leaf()
    os: Os = child()
    idmap: IdMap | None = child()
    features: Features | None = child()
    cpu: Cpu | None = child()
    clock: Clock = child(default=Clock, always=True)
    on_poweroff: LifecycleAction = leaf(default=LifecycleAction.DESTROY, always=True)
    on_reboot: LifecycleAction = leaf(default=LifecycleAction.RESTART, always=True)
    on_crash: CrashAction = leaf(default=CrashAction.DESTROY, always=True)
    on_lockfailure: LockFailureAction | None = leaf()
    pm: Pm | None = child()
    perf_events: list[PerfEvent] = children(within="perf")
    devices: Devices = child(default=Devices, always=True)
    keywrap: Keywrap | None = child()
    launch_security: Sev | S390Pv | None = child()
    seclabels: list[Seclabel] = children()
    qemu_commandline: QemuCommandline | None = child()
    qemu_capabilities: QemuCapabilities | None = child()
    qemu_override: QemuOverride | None = child()
    qemu_deprecation: QemuDeprecation | None = child()
    xen_commandline: XenCommandline | None = child()
    bhyve_commandline: BhyveCommandline | None = child()
    lxc_namespace: LxcNamespace | None = child()
    datacenterpath: DatacenterPath | None = child()
