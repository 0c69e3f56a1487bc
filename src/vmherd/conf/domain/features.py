"""<features>: what the virtual machine offers beside its devices.

Source: https://libvirt.org/formatdomain.html#hypervisor-features
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.scalars import SizeInMiB
from vmherd.util.xmlmodel import Element, Size, Switch, UInt, attr, child, flag, leaf


class State(Element, tag="state"):
    """A feature that is on or off."""

    state: Switch | None = attr()


class Apic(Element, tag="apic"):
    eoi: Switch | None = attr()


class Spinlocks(Element, tag="spinlocks"):
    state: Switch = attr()
    retries: UInt | None = attr()


class DirectTimer(Element, tag="direct"):
    state: Switch = attr()


class SyntheticTimer(Element, tag="stimer"):
    state: Switch = attr()
    direct: DirectTimer | None = child()


class HypervVendor(Element, tag="vendor_id"):
    state: Switch = attr()
    value: str | None = attr()


class HypervMode(StrEnum):
    CUSTOM = "custom"
    PASSTHROUGH = "passthrough"


class Hyperv(Element, tag="hyperv"):
    """Enlightenments: what makes Windows run better."""

    mode: HypervMode | None = attr()
    relaxed: State | None = child("relaxed")
    vapic: State | None = child("vapic")
    spinlocks: Spinlocks | None = child()
    vpindex: State | None = child("vpindex")
    runtime: State | None = child("runtime")
    synic: State | None = child("synic")
    stimer: SyntheticTimer | None = child()
    reset: State | None = child("reset")
    vendor_id: HypervVendor | None = child()
    frequencies: State | None = child("frequencies")
    reenlightenment: State | None = child("reenlightenment")
    tlbflush: State | None = child("tlbflush")
    ipi: State | None = child("ipi")
    evmcs: State | None = child("evmcs")
    avic: State | None = child("avic")


class DirtyRing(Element, tag="dirty-ring"):
    state: Switch = attr()
    size: UInt | None = attr()


class Kvm(Element, tag="kvm"):
    hidden: State | None = child("hidden")
    hint_dedicated: State | None = child("hint-dedicated")
    poll_control: State | None = child("poll-control")
    pv_ipi: State | None = child("pv-ipi")
    dirty_ring: DirtyRing | None = child()


class XenPassthrough(Element, tag="passthrough"):
    """How PCI passthrough maps memory: ``sync_pt`` or ``share_pt``."""

    state: Switch = attr()
    mode: str | None = attr()


class XenFeatures(Element, tag="xen"):
    e820_host: State | None = child("e820_host")
    passthrough: XenPassthrough | None = child()


class CapabilityPolicy(StrEnum):
    DEFAULT = "default"
    ALLOW = "allow"
    DENY = "deny"


class Capabilities(Element, tag="capabilities"):
    """Linux capabilities of a container: the policy, and what deviates from it."""

    policy: CapabilityPolicy | None = attr()
    audit_control: State | None = child("audit_control")
    audit_write: State | None = child("audit_write")
    block_suspend: State | None = child("block_suspend")
    chown: State | None = child("chown")
    dac_override: State | None = child("dac_override")
    dac_read_search: State | None = child("dac_read_search")
    fowner: State | None = child("fowner")
    fsetid: State | None = child("fsetid")
    ipc_lock: State | None = child("ipc_lock")
    ipc_owner: State | None = child("ipc_owner")
    kill: State | None = child("kill")
    lease: State | None = child("lease")
    linux_immutable: State | None = child("linux_immutable")
    mac_admin: State | None = child("mac_admin")
    mac_override: State | None = child("mac_override")
    mknod: State | None = child("mknod")
    net_admin: State | None = child("net_admin")
    net_bind_service: State | None = child("net_bind_service")
    net_broadcast: State | None = child("net_broadcast")
    net_raw: State | None = child("net_raw")
    setgid: State | None = child("setgid")
    setfcap: State | None = child("setfcap")
    setpcap: State | None = child("setpcap")
    setuid: State | None = child("setuid")
    sys_admin: State | None = child("sys_admin")
    sys_boot: State | None = child("sys_boot")
    sys_chroot: State | None = child("sys_chroot")
    sys_module: State | None = child("sys_module")
    sys_nice: State | None = child("sys_nice")
    sys_pacct: State | None = child("sys_pacct")
    sys_ptrace: State | None = child("sys_ptrace")
    sys_rawio: State | None = child("sys_rawio")
    sys_resource: State | None = child("sys_resource")
    sys_time: State | None = child("sys_time")
    sys_tty_config: State | None = child("sys_tty_config")
    syslog: State | None = child("syslog")
    wake_alarm: State | None = child("wake_alarm")


class Gic(Element, tag="gic"):
    """The interrupt controller of ARM: ``2``, ``3`` or ``host``."""

    version: str | None = attr()


class Smm(Element, tag="smm"):
    """System management mode; ``tseg`` is its memory."""

    state: Switch | None = attr()
    tseg: SizeInMiB | None = leaf()


class Ioapic(Element, tag="ioapic"):
    """Who emulates the I/O APIC: ``kvm`` or ``qemu``."""

    driver: str | None = attr()


class Hpt(Element, tag="hpt"):
    """The hash page table of pSeries."""

    resizing: str | None = attr()
    maxpagesize: Size | None = leaf()


class Msrs(Element, tag="msrs"):
    """What happens when the guest touches an unknown register: ``ignore`` or ``fault``."""

    unknown: str = attr()


class Workaround(Element, tag="cfpc"):
    """How far a pSeries guest is protected: ``broken``, ``workaround``, ``fixed``, ..."""

    value: str = attr()


class Tcg(Element, tag="tcg"):
    """QEMU's emulation: how large its cache of translated code is."""

    tb_cache: Size | None = leaf("tb-cache")


class Features(Element, tag="features"):
    acpi: bool = flag()
    apic: Apic | None = child()
    pae: bool = flag()
    hap: State | None = child("hap")
    viridian: bool = flag()
    privnet: bool = flag()
    hyperv: Hyperv | None = child()
    kvm: Kvm | None = child()
    pvspinlock: State | None = child("pvspinlock")
    capabilities: Capabilities | None = child()
    pmu: State | None = child("pmu")
    vmport: State | None = child("vmport")
    gic: Gic | None = child()
    smm: Smm | None = child()
    ioapic: Ioapic | None = child()
    hpt: Hpt | None = child()
    vmcoreinfo: State | None = child("vmcoreinfo")
    htm: State | None = child("htm")
    nested_hv: State | None = child("nested-hv")
    msrs: Msrs | None = child()
    ccf_assist: State | None = child("ccf-assist")
    xen: XenFeatures | None = child()
    cfpc: Workaround | None = child()
    sbbc: Workaround | None = child("sbbc")
    ibs: Workaround | None = child("ibs")
    tcg: Tcg | None = child()
