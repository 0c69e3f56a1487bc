"""The host of the ``test`` driver: what libvirt's test driver makes up, whatever this program runs on.

Source: what libvirt 9.0 answers at test:///default
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vmherd.driver.host import (
    HostCpuMap,
    HostCpuTimes,
    HostInfo,
    HostMemory,
    SecurityModel,
    SuspendTarget,
)
from vmherd.errors import InvalidArgument
from vmherd.state.driver import LocalDriver

_INFO = HostInfo(model="i686", memory=3 << 30, cpus=16, mhz=1400, nodes=2, sockets=2, cores=2, threads=2)
_TIMES = HostCpuTimes(user=9.7974, system=34678.7234, idle=87.2649, iowait=0.7636)
_CELLS_FREE = [2 << 20, 4 << 20]
_SYSINFO = """\
<sysinfo type='smbios'>
  <bios>
    <entry name='vendor'>LENOVO</entry>
    <entry name='version'>G4ETA1WW (2.61 )</entry>
    <entry name='date'>05/07/2014</entry>
    <entry name='release'>2.61</entry>
  </bios>
</sysinfo>
"""


class TestHost(LocalDriver):
    """A host of two NUMA nodes, of whose eight CPUs three are online."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    async def capabilities(self) -> str:
        from vmherd.hypervisors.test.caps import capabilities_xml

        return capabilities_xml()

    async def hypervisor_version(self) -> int:
        return 2

    async def max_vcpus(self, domain_type: str = "") -> int:
        return 32

    async def host_info(self) -> HostInfo:
        return _INFO

    async def host_cpu_times(self, cpu: int | None = None) -> HostCpuTimes:
        return _TIMES

    async def host_cpu_map(self) -> HostCpuMap:
        return HostCpuMap(present=8, online=(0, 2, 4))

    async def host_free_memory(self) -> int:
        return sum(_CELLS_FREE) // len(_CELLS_FREE)

    async def host_cells_free_memory(self, first: int = 0, count: int | None = None) -> list[int]:
        if not 0 <= first < len(_CELLS_FREE):
            raise InvalidArgument("Range exceeds available cells")
        return _CELLS_FREE[first:][:count]

    async def host_sysinfo(self) -> str:
        return _SYSINFO

    async def host_security_model(self) -> SecurityModel:
        return SecurityModel(model="testSecurity", doi="")

    async def host_cpu_model_names(self, arch: str) -> list[str]:
        from vmherd.cpu.architecture import model_names

        return model_names(arch)

    async def host_baseline_cpu(
        self, documents: Sequence[str], *, expand: bool = False, migratable: bool = False
    ) -> str:
        from vmherd.cpu import hosts

        return hosts.baseline(documents, expand=expand, migratable=migratable)

    # A made up host has no kernel to ask.

    async def host_memory(self, cell: int | None = None) -> HostMemory:
        self._unsupported("host_memory")

    async def host_free_pages(self, sizes: Sequence[int], *, first: int = 0, count: int = 1) -> list[list[int]]:
        self._unsupported("host_free_pages")

    async def host_allocate_pages(
        self, pages: Mapping[int, int], *, first: int | None = None, count: int | None = None, add: bool = False
    ) -> int:
        self._unsupported("host_allocate_pages")

    async def host_memory_parameters(self) -> dict[str, int]:
        self._unsupported("host_memory_parameters")

    async def host_set_memory_parameters(self, parameters: Mapping[str, int]) -> None:
        self._unsupported("host_set_memory_parameters")

    async def host_suspend(self, target: SuspendTarget, duration: float) -> None:
        self._unsupported("host_suspend")
