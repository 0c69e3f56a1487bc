"""What QEMU and the processor give guests on this host."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence

from vmherd.driver.host import version_number
from vmherd.driver.types import CpuComparison
from vmherd.errors import InvalidArgument, Unsupported
from vmherd.hypervisors.qemu.connection import QemuConnection

_KVM_CHECK_EXTENSION, _KVM_CAP_NR_VCPUS, _KVM_CAP_MAX_VCPUS = 0xAE03, 9, 66

#: Of a guest that QEMU emulates: what libvirt tells; how many the machine types allow is in the domain capabilities.
_EMULATED_VCPUS = 16


class QemuHost(QemuConnection):
    """Versions, limits, CPU models."""

    async def hypervisor_version(self) -> int:
        return version_number(await self._workshop.version())

    async def max_vcpus(self, domain_type: str = "") -> int:
        match domain_type.lower():
            case "" | "qemu":
                return _EMULATED_VCPUS
            case "kqemu":
                return 1
            case "kvm":
                return _kvm_vcpus()
        raise InvalidArgument(f"unknown type {domain_type!r}", hint="use qemu or kvm")

    async def host_cpu_model_names(self, arch: str) -> list[str]:
        from vmherd.cpu.architecture import model_names

        return model_names(arch)

    async def host_compare_cpu(self, xml: str) -> CpuComparison:
        from vmherd.hypervisors.qemu import cpus

        return cpus.compare_with_processor(xml)

    async def host_baseline_cpu(
        self, documents: Sequence[str], *, expand: bool = False, migratable: bool = False
    ) -> str:
        from vmherd.cpu import hosts

        return hosts.baseline(documents, expand=expand, migratable=migratable)


def _kvm_vcpus() -> int:
    """Source: KVM_CHECK_EXTENSION in Documentation/virt/kvm/api.rst of Linux."""
    try:
        kvm = os.open("/dev/kvm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as problem:
        raise Unsupported(f"cannot open /dev/kvm: {problem.strerror}", hint="'vmherd doctor' tells more") from None
    try:
        most = fcntl.ioctl(kvm, _KVM_CHECK_EXTENSION, _KVM_CAP_MAX_VCPUS)
        return most or fcntl.ioctl(kvm, _KVM_CHECK_EXTENSION, _KVM_CAP_NR_VCPUS)
    finally:
        os.close(kvm)
