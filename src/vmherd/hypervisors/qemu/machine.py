"""Questions about the machine type of a domain."""

from __future__ import annotations

from vmherd.conf.domain import Domain


def name(domain: Domain) -> str:
    return domain.os.type.machine or ""


def is_x86(domain: Domain) -> bool:
    return domain.os.type.arch in ("x86_64", "i686")


def is_q35(domain: Domain) -> bool:
    """Intel's Q35: PCI Express."""
    return is_x86(domain) and (name(domain) == "q35" or name(domain).startswith("pc-q35-"))


def is_i440fx(domain: Domain) -> bool:
    """Intel's 440FX: conventional PCI.  The names without "i440fx" are those of QEMU before 1.7."""
    this = name(domain)
    return is_x86(domain) and (this == "pc" or this.startswith(("pc-i440", "pc-0.", "pc-1.")))


def is_virt(domain: Domain) -> bool:
    """The paravirtual machine of ARM and RISC-V."""
    return not is_x86(domain) and (name(domain) == "virt" or name(domain).startswith("virt-"))


def is_ppc64(domain: Domain) -> bool:
    return domain.os.type.arch in ("ppc64", "ppc64le")


def is_pseries(domain: Domain) -> bool:
    """IBM's POWER, as PAPR describes it."""
    return is_ppc64(domain) and name(domain).startswith("pseries")


def is_s390(domain: Domain) -> bool:
    """IBM Z, whose devices sit on channels."""
    return domain.os.type.arch == "s390x"


def is_microvm(domain: Domain) -> bool:
    """A PC without what makes a PC: its devices are memory-mapped virtio."""
    return is_x86(domain) and name(domain) == "microvm"


def pci_root(domain: Domain) -> str | None:
    """The model of the root PCI controller; None where the machine has no PCI."""
    if is_i440fx(domain) or is_pseries(domain):
        return "pci-root"
    if is_q35(domain) or is_virt(domain):
        return "pcie-root"
    return None
