"""Features, and the times the boot menu waits."""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain.domain import Domain, DomainType
from vmherd.conf.domain.features import Hyperv, Kvm
from vmherd.conf.domain.problem import Problem

#: How often a guest tries before it tells the hypervisor.  Source: Hyper-V TLFS, HvNotifyLongSpinWait
_RETRIES = 0xFFF
_VENDOR = 12
#: Source: KVM_CAP_DIRTY_LOG_RING in the kernel's api.rst, and libvirt
_RINGS = tuple(1 << power for power in range(10, 17))
_MILLISECONDS = 0xFFFF


def hyperv(domain: Domain) -> Iterator[Problem]:
    """Values that Windows would not take."""
    told = domain.features.hyperv if domain.features else None
    if told is None:
        return
    place = "domain/features/hyperv"
    retries = told.spinlocks.retries if told.spinlocks and told.spinlocks.state else None
    if retries is not None and retries < _RETRIES:
        yield Problem(f"{place}/spinlocks/@retries", f"{retries} is less than {_RETRIES}", "8191 is usual")
    yield from _vendor(told, place)


def _vendor(told: Hyperv, place: str) -> Iterator[Problem]:
    value = told.vendor_id.value if told.vendor_id and told.vendor_id.state else None
    if value is not None and (len(value) > _VENDOR or "," in value):
        text = f"{value!r} is no vendor: that is {_VENDOR} characters at most, without commas"
        yield Problem(f"{place}/vendor_id/@value", text)


def kvm(domain: Domain) -> Iterator[Problem]:
    """The ring of changed pages is KVM's, and of certain sizes."""
    told: Kvm | None = domain.features.kvm if domain.features else None
    if told and told.dirty_ring and told.dirty_ring.state and told.dirty_ring.size not in _RINGS:
        text = f"it must be a power of two from {_RINGS[0]} to {_RINGS[-1]}"
        yield Problem("domain/features/kvm/dirty-ring/@size", text, "4096 is usual")


def tcg(domain: Domain) -> Iterator[Problem]:
    """Only emulation translates code."""
    if domain.features and domain.features.tcg and domain.type is not DomainType.QEMU:
        text = f"guests of type {str(domain.type)!r} translate no code"
        yield Problem("domain/features/tcg", text, "remove it, or use type='qemu'")


def boot_times(domain: Domain) -> Iterator[Problem]:
    """The firmware counts milliseconds in 16 bits."""
    menu, bios = domain.os.bootmenu, domain.os.bios
    if menu and menu.timeout is not None and menu.timeout > _MILLISECONDS:
        yield Problem("domain/os/bootmenu/@timeout", f"it is more than {_MILLISECONDS} milliseconds")
    wait = bios.reboot_timeout if bios else None
    if wait is not None and not -1 <= wait <= _MILLISECONDS:
        text = f"it is not between 0 and {_MILLISECONDS} milliseconds"
        yield Problem("domain/os/bios/@rebootTimeout", text, "write -1 to never reboot")


RULES = (hyperv, kvm, tcg, boot_times)
