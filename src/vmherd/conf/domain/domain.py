"""<domain>: one guest, from its name to its last device.

Source: https://libvirt.org/formatdomain.html
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.util.xmlmodel import Element, Int, Size, UInt, Uuid, attr, child, children, leaf, raw

from .audio import Audio
from .chardev import Channel, Console, Parallel, Serial
from .clock import Clock
from .controller import Controller
from .cpu import Cpu
from .crypto import Crypto
from .disk import Disk
from .features import Features
from .filesystem import Filesystem
from .graphics import Graphics
from .hostdev import Hostdev
from .input import Input
from .iommu import Iommu
from .launch import Keywrap, S390Pv, Sev
from .lease import Lease
from .memballoon import Memballoon
from .memdev import MemoryDevice
from .memory import BlkioTune, MaxMemory, Memory, MemoryBacking, MemTune
from .namespaces import (
    BhyveCommandline,
    DatacenterPath,
    LxcNamespace,
    QemuCapabilities,
    QemuCommandline,
    QemuDeprecation,
    QemuOverride,
    XenCommandline,
)
from .net import Interface
from .nvram import NvramDevice
from .os import Os
from .panic import Panic
from .power import CrashAction, LifecycleAction, LockFailureAction, PerfEvent, Pm
from .redirdev import Hub, Redirdev, Redirfilter
from .rng import Rng
from .scalars import GenId
from .seclabel import Seclabel
from .shmem import Shmem
from .smartcard import Smartcard
from .sound import Sound
from .sysinfo import Sysinfo
from .tpm import Tpm
from .vcpu import CpuTune, DefaultIoThread, IoThread, NumaTune, Vcpu, VcpuState
from .video import Video
from .vsock import Vsock
from .watchdog import Watchdog


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
    redirfilter: Redirfilter | None = child()
    hubs: list[Hub] = children()
    watchdog: Watchdog | None = child()
    memballoon: Memballoon | None = child()
    rngs: list[Rng] = children()
    nvram: NvramDevice | None = child()
    panics: list[Panic] = children()
    shmems: list[Shmem] = children()
    memories: list[MemoryDevice] = children()
    cryptos: list[Crypto] = children()
    iommu: Iommu | None = child()
    vsock: Vsock | None = child()


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
    memory: Memory = child()
    current_memory: Size | None = leaf("currentMemory")
    blkiotune: BlkioTune | None = child()
    memtune: MemTune | None = child()
    memory_backing: MemoryBacking | None = child()
    vcpu: Vcpu = child(default=Vcpu, always=True)
    vcpus: list[VcpuState] = children(within="vcpus")
    iothreads: UInt | None = leaf()
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
