"""The host capabilities document of the QEMU driver."""

from __future__ import annotations

import platform
from pathlib import Path
from uuid import UUID

from vmherd.conf import capabilities as document
from vmherd.hypervisors.qemu import accel
from vmherd.hypervisors.qemu.capabilities import Capabilities, Machine
from vmherd.util.xmlmodel import render


def capabilities_xml(caps: Capabilities) -> str:
    """What this host is and can run, best way first; KVM only where it is known to work."""
    domains = [document.GuestDomain(type="qemu")]
    if accel.kvm_usable().usable:
        domains.insert(0, document.GuestDomain(type="kvm"))
    arch = document.GuestArch(
        name=caps.arch,
        wordsize=64 if "64" in caps.arch or caps.arch == "s390x" else 32,
        emulator=caps.binary,
        machines=[machine for each in caps.machines for machine in _machines(each)],
        domains=domains,
    )
    host = document.Host(uuid=_host_uuid(), cpu=document.HostCpu(arch=platform.machine()))
    return render(document.HostCapabilities(host=host, guests=[document.Guest(os_type="hvm", arch=arch)]))


def _machines(machine: Machine) -> list[document.Machine]:
    """An alias is listed as a machine of its own."""
    deprecated = True if machine.deprecated else None
    found = [document.Machine(name=machine.name, max_cpus=machine.max_cpus, deprecated=deprecated)]
    if machine.alias:
        found.append(document.Machine(name=machine.alias, canonical=machine.name, max_cpus=machine.max_cpus))
    return found


def _host_uuid() -> str | None:
    """The machine's own id (machine-id(5)), which is a UUID without dashes."""
    try:
        return str(UUID(Path("/etc/machine-id").read_text().strip()))
    except (OSError, ValueError):
        return None
