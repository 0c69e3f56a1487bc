"""What this QEMU cannot run, beyond what no hypervisor could; all complaints come at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain import problems as generic_problems
from vmherd.conf.domain.cpu import CpuMode
from vmherd.conf.domain.domain import DomainType
from vmherd.conf.domain.launch import Sev
from vmherd.conf.domain.os import SmbiosMode
from vmherd.conf.domain.power import LifecycleAction
from vmherd.conf.domain.problem import numbered, refuse
from vmherd.cpu.x86.map import x86_map
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu import rules
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.host.accel import Verdict, kvm_usable
from vmherd.hypervisors.qemu.machine import is_pseries, is_q35, is_x86
from vmherd.hypervisors.qemu.rules import cards, disks, filesystems, hostdevs
from vmherd.hypervisors.qemu.tuning import enforce


def check(domain: Domain, caps: Capabilities, *, kvm: Verdict | None = None) -> None:
    """Raise one Unsupported that lists every problem of a completed document; return if there is none.

    ``kvm`` says whether KVM works, None to find it out.
    """
    refuse([*generic_problems(domain), *problems(domain, caps, kvm or kvm_usable())], "domain", Unsupported)


def check_added(before: Domain, after: Domain, caps: Capabilities) -> None:
    """Raise Unsupported for what is wrong with a running guest once a device has been added, and was not before."""
    kvm = kvm_usable()
    old, new = ([*generic_problems(each), *problems(each, caps, kvm)] for each in (before, after))
    _refuse_new(old, new)


def check_added_here(before: Domain, after: Domain) -> None:
    """The same for what cannot be done here or yet."""

    def found(domain: Domain) -> list[Problem]:
        startable = (*disks.images(domain), *cards.unstartable(domain), *_not_yet(domain))
        return [*startable, *_not_enforced(domain, frozenset())]

    _refuse_new(found(before), found(after))


def _refuse_new(old: Sequence[Problem], new: Sequence[Problem]) -> None:
    known = {each.text for each in old}
    refuse([each for each in new if each.text not in known], "domain", Unsupported)


def check_startable(domain: Domain) -> None:
    """Raise one Unsupported that lists what such a guest cannot be started with yet.

    A document may be kept before this driver can run it, as one may be kept whose disks are not there yet.
    """
    refuse([*disks.images(domain), *cards.unstartable(domain), *_not_yet(domain)], "domain", Unsupported)


def check_enforced(domain: Domain, controllers: frozenset[str] = frozenset()) -> None:
    """Raise one Unsupported that lists the promises of a document that nothing on this host would keep.

    They do not show on QEMU's command line: they are for control groups, packet filters and overlays.
    ``controllers`` are those of the control groups that guests can have.
    """
    refuse([*_not_enforced(domain, controllers)], "domain", Unsupported)


def problems(domain: Domain, caps: Capabilities, kvm: Verdict) -> Iterator[Problem]:
    """What is special to QEMU, to this binary and to this host."""
    yield from _type(domain, kvm)
    yield from _machine(domain, caps)
    yield from _cpu(domain, caps)
    yield from _secure_boot(domain)
    yield from _shared_memory(domain, caps)
    yield from _ends(domain)
    for rule in rules.RULES:
        yield from rule(domain)
    for rule_of_binary in rules.OF_BINARY:
        yield from rule_of_binary(domain, caps)


def _type(domain: Domain, kvm: Verdict) -> Iterator[Problem]:
    if domain.type not in (DomainType.QEMU, DomainType.KVM):
        text = f"QEMU does not run domains of type {str(domain.type)!r}"
        yield Problem("domain/@type", text, "use type='qemu', or type='kvm' where KVM works")
    elif domain.type is DomainType.KVM and not kvm.usable:
        yield Problem("domain/@type", f"KVM cannot be used: {kvm.reason}", f"use type='qemu'; or {kvm.hint}")


_ARCH = "leave <emulator> out, or name one for that architecture"


def _machine(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    kind = domain.os.type
    if kind.name != "hvm":
        yield Problem("domain/os/type", f"QEMU runs 'hvm', not {kind.name!r}", "write <type>hvm</type>")
    if kind.arch != caps.arch and not (kind.arch == "i686" and caps.arch == "x86_64"):
        yield Problem("domain/os/type/@arch", f"{caps.binary} emulates {caps.arch}, not {kind.arch}", _ARCH)
    machine = caps.machine(kind.machine)
    if not caps.machines:
        return
    if machine is None:
        known = sorted(each.alias for each in caps.machines if each.alias)
        text = f"{caps.binary} has no machine {kind.machine!r}"
        yield Problem("domain/os/type/@machine", text, f"known: {', '.join(known)}, ...")
    elif machine.max_cpus and domain.vcpu.count > machine.max_cpus:
        text = f"{domain.vcpu.count} CPUs are more than the {machine.max_cpus} of {machine.name}"
        yield Problem("domain/vcpu", text, "lower <vcpu>, or use another machine")


def _cpu(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """A model that the binary lacks may have a stand-in when the guest starts; one nobody knows has none."""
    cpu = domain.cpu
    if cpu is None:
        return
    if cpu.mode is CpuMode.HOST_PASSTHROUGH and domain.type is not DomainType.KVM:
        text = f"mode {str(cpu.mode)!r} needs KVM"
        yield Problem("domain/cpu/@mode", text, "use mode='maximum', or leave <cpu> out")
    name = cpu.model.name if cpu.mode is CpuMode.CUSTOM and cpu.model else ""
    offered = caps.cpu(domain.type).models
    if name and offered and name not in offered and not (is_x86(domain) and name in x86_map().models):
        yield Problem("domain/cpu/model", f"{caps.binary} has no CPU {name!r}", f"'{caps.binary} -cpu help'")


def _secure_boot(domain: Domain) -> Iterator[Problem]:
    """Flash that only system management mode may write.  Source: qemuValidateDomainDefBoot of libvirt"""
    loader, features = domain.os.loader, domain.features
    if loader is None or not loader.secure:
        return
    place = "domain/os/loader/@secure"
    if not is_q35(domain) or domain.os.type.arch != "x86_64":
        yield Problem(place, "of all machines only Q35 with x86_64 has secure boot", "use machine='q35'")
    if domain.os.firmware is None and not (features and features.smm and features.smm.state):
        yield Problem(place, "secure boot needs system management mode", "add <smm state='on'/> to <features>")


def _shared_memory(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """Source: qemuValidateDomainDeviceDefShmem of libvirt; QEMU 6.0 dropped the model that was both in one."""
    for number, each in numbered(domain.devices.shmems):
        if each.model and caps.flags and each.model.type not in caps:
            text = f"{caps.binary} has no {each.model.type}"
            hint = "use ivshmem-plain, or with a server ivshmem-doorbell"
            yield Problem(f"domain/devices/shmem[{number}]/model/@type", text, hint)
    if domain.devices.nvram and not is_pseries(domain):
        place = "domain/devices/nvram"
        yield Problem(place, "only pSeries machines have it", "remove it; UEFI's variables are <nvram> in <os>")


def _ends(domain: Domain) -> Iterator[Problem]:
    """Source: qemuValidateLifecycleAction of libvirt; firmware may reset the machine once more as it boots."""
    for name in ("on_poweroff", "on_reboot", "on_crash"):
        if getattr(domain, name) == "rename-restart":
            yield Problem(f"domain/{name}", "QEMU guests keep their name: no 'rename-restart'", "use 'restart'")
    if domain.on_poweroff is LifecycleAction.RESTART and domain.on_reboot is LifecycleAction.DESTROY:
        text = "'restart' cannot be told from a reboot, which shall 'destroy'"
        yield Problem("domain/on_poweroff", text, "use 'restart' for on_reboot, too")


def _not_yet(domain: Domain) -> Iterator[Problem]:
    if domain.devices.leases:
        yield Problem("domain/devices/lease", "there is no lock manager that would hold it", "remove it")
    if domain.os.smbios and domain.os.smbios.mode is SmbiosMode.HOST:
        yield Problem("domain/os/smbios/@mode", "the host's tables are not handed on yet", "use mode='sysinfo'")
    sev = domain.launch_security
    if isinstance(sev, Sev) and (sev.cbitpos is None or sev.reduced_phys_bits is None):
        text = "the host's numbers for it are not found out yet"
        yield Problem("domain/launchSecurity", text, "add <cbitpos> and <reducedPhysBits>, as query-sev tells them")


def _unlimited(domain: Domain, controllers: frozenset[str]) -> Iterator[Problem]:
    """Limits that no control group on this host sets, or nobody at all."""
    for tag, controller in enforce.lacking(domain, controllers):
        text = f"<{tag}> takes the control group {controller!r}, which cannot be had"
        yield Problem(f"domain/{tag}", text, "remove it, or be root on a host that has it mounted (qemu:///system)")
    for name in ("cachetunes", "memorytunes"):
        if domain.cputune and getattr(domain.cputune, name):
            text = f"<{name.removesuffix('s')}> is not enforced by the QEMU driver yet"
            yield Problem(f"domain/cputune/{name.removesuffix('s')}", text, "remove it")
    if any(event.enabled for event in domain.perf_events):
        yield Problem("domain/perf", "events are not counted by the QEMU driver yet", "remove <perf>")


def _not_enforced(domain: Domain, controllers: frozenset[str]) -> Iterator[Problem]:
    yield from _unlimited(domain, controllers)
    yield from disks.not_here_yet(domain)
    yield from filesystems.not_here_yet(domain)
    yield from cards.not_here_yet(domain)
    yield from hostdevs.not_here_yet(domain)
