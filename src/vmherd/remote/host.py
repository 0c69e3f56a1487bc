"""The other host over the wire: what it is and has, its CPUs, its capabilities."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vmherd.driver.host import (
    HostCpuMap,
    HostCpuTimes,
    HostInfo,
    HostMemory,
    SecurityModel,
    SuspendTarget,
    version_text,
)
from vmherd.driver.types import ANY_GUESTS, CpuComparison, CpuInfo, CpuModelInfo, GuestKind, HostCpuInfo
from vmherd.errors import VmherdError
from vmherd.remote.connection import RemoteConnection
from vmherd.rpc.params import plain, typed
from vmherd.util.bits import from_bytes

if TYPE_CHECKING:
    from vmherd.conf.domaincaps import DomainCapabilities

_KIB = 1024
_NANOSECONDS = 1e9

_ALL = -1  # CPUs, or NUMA nodes
_SET_PAGES, _HOST = 1, -1
_NODES = 1024

_COMPARED = ("incompatible", "identical", "superset")
_FAIL_INCOMPATIBLE = 1
_EXPAND, _MIGRATABLE = 1, 2


class RemoteHost(RemoteConnection):
    """virConnect* and virNode* of libvirt."""

    async def version(self) -> dict[str, str]:
        hypervisor, library = await self.hypervisor_version(), await self.library_version()
        return {self.name: version_text(hypervisor), "libvirt": version_text(library)}

    async def hostname(self) -> str:
        return str(await self._call("connect_get_hostname"))

    async def capabilities(self) -> str:
        return str(await self._call("connect_get_capabilities"))

    async def domain_capabilities(
        self, *, emulator: str = "", arch: str = "", machine: str = "", domain_type: str = ""
    ) -> str:
        told = (emulator or None, arch or None, machine or None, domain_type or None)
        return str(await self._call("connect_get_domain_capabilities", *told, 0))

    async def library_version(self) -> int:
        return int(await self._call("connect_get_lib_version"))

    async def hypervisor_version(self) -> int:
        return int(await self._call("connect_get_version"))

    async def is_secure(self) -> bool:
        return self._way.secure and bool(await self._call("connect_is_secure"))

    async def is_encrypted(self) -> bool:
        return self._way.encrypted

    async def is_alive(self) -> bool:
        return not self._gone

    async def max_vcpus(self, domain_type: str = "") -> int:
        return int(await self._call("connect_get_max_vcpus", domain_type or None))

    # Hardware

    async def host_info(self) -> HostInfo:
        found = await self._call("node_get_info")
        return HostInfo(**found._asdict() | {"memory": found.memory * _KIB})

    async def host_cpu_times(self, cpu: int | None = None) -> HostCpuTimes:
        which = _ALL if cpu is None else cpu
        count = (await self._call("node_get_cpu_stats", which, 0, 0)).nparams
        found = await self._call("node_get_cpu_stats", which, count, 0)
        told = {name: value / _NANOSECONDS for name, value in found.params}
        return HostCpuTimes(
            user=told.get("user"),
            system=told.get("kernel"),
            idle=told.get("idle"),
            iowait=told.get("iowait"),
            interrupts=told.get("intr"),
        )

    async def host_cpu_map(self) -> HostCpuMap:
        found = await self._call("node_get_cpu_map", 1, 1, 0)
        return HostCpuMap(present=found.ret, online=tuple(sorted(from_bytes(found.cpumap))))

    async def host_memory(self, cell: int | None = None) -> HostMemory:
        which = _ALL if cell is None else cell
        count = (await self._call("node_get_memory_stats", 0, which, 0)).nparams
        found = await self._call("node_get_memory_stats", count, which, 0)
        return HostMemory(**{name: value * _KIB for name, value in found.params})

    async def host_free_memory(self) -> int:
        return int(await self._call("node_get_free_memory"))

    async def host_cells_free_memory(self, first: int = 0, count: int | None = None) -> list[int]:
        return list(await self._call("node_get_cells_free_memory", first, _NODES if count is None else count))

    async def host_free_pages(self, sizes: Sequence[int], *, first: int = 0, count: int = 1) -> list[list[int]]:
        pages = [size // _KIB for size in sizes]
        found = await self._call("node_get_free_pages", pages, first, count, 0)
        return [found[at : at + len(pages)] for at in range(0, len(found), len(pages))] if pages else []

    async def host_allocate_pages(
        self, pages: Mapping[int, int], *, first: int | None = None, count: int | None = None, add: bool = False
    ) -> int:
        self.require_writable()
        sizes, flags = [size // _KIB for size in pages], 0 if add else _SET_PAGES
        if first is None:
            first, count = _HOST, 1
        elif count is None:
            count = max((await self.host_info()).nodes - first, 1)
        return int(await self._call("node_alloc_pages", sizes, list(pages.values()), first, count, flags))

    async def host_memory_parameters(self) -> dict[str, int]:
        count = (await self._call("node_get_memory_parameters", 0, 0)).nparams
        found = await self._call("node_get_memory_parameters", count, 0)
        return {name: int(value) for name, value in plain(found.params).items()}

    async def host_set_memory_parameters(self, parameters: Mapping[str, int]) -> None:
        self.require_writable()
        await self._call("node_set_memory_parameters", typed(parameters), 0)

    async def host_suspend(self, target: SuspendTarget, duration: float) -> None:
        self.require_writable()
        await self._call("node_suspend_for_duration", target, round(duration), 0)

    async def host_sysinfo(self) -> str:
        return str(await self._call("connect_get_sysinfo", 0))

    async def host_security_model(self) -> SecurityModel:
        found = await self._call("node_get_security_model")
        return SecurityModel(model=letters(found.model), doi=letters(found.doi))

    # CPUs

    async def host_cpu_model_names(self, arch: str) -> list[str]:
        return list((await self._call("connect_get_cpu_model_names", arch, 1, 0))[0])

    async def host_compare_cpu(self, xml: str) -> CpuComparison:
        return await self._compared("connect_compare_cpu", xml)

    async def host_baseline_cpu(
        self, documents: Sequence[str], *, expand: bool = False, migratable: bool = False
    ) -> str:
        flags = _EXPAND * expand | _MIGRATABLE * migratable
        return str(await self._call("connect_baseline_cpu", list(documents), flags))

    async def cpu_compare(self, xml: str, *, guests: GuestKind = ANY_GUESTS) -> CpuComparison:
        return await self._compared("connect_compare_hypervisor_cpu", *_kind(guests), xml)

    async def _compared(self, name: str, *arguments: Any) -> CpuComparison:
        """What is lacking is told only by the error that can be asked for."""
        result = _COMPARED[await self._call(name, *arguments, 0)]
        lacks: list[str] = []
        if result == "incompatible":
            try:
                await self._call(name, *arguments, _FAIL_INCOMPATIBLE)
            except VmherdError as problem:
                lacks = _listed(problem.message)
        return CpuComparison(result=result, lacks=lacks)

    async def cpu_baseline(
        self,
        documents: Sequence[str],
        *,
        expand: bool = False,
        migratable: bool = False,
        guests: GuestKind = ANY_GUESTS,
    ) -> str:
        flags = _EXPAND * expand | _MIGRATABLE * migratable
        return str(await self._call("connect_baseline_hypervisor_cpu", *_kind(guests), list(documents), flags))

    async def cpu_models(self, arch: str = "") -> list[CpuModelInfo]:
        from vmherd.conf.domaincaps import DomainCapabilities
        from vmherd.util.xmlmodel import parse

        caps = parse(DomainCapabilities, await self.domain_capabilities(arch=arch))
        return sorted(_models(caps), key=lambda model: model.name.lower())

    async def cpu_features(self, model: str) -> list[str]:
        """Baselines list them, where asked to."""
        from xml.sax.saxutils import escape

        from vmherd.conf.domain.cpu import Cpu
        from vmherd.util.xmlmodel import parse

        arch = (await self.host_info()).model
        document = f"<cpu><arch>{arch}</arch><model>{escape(model)}</model></cpu>"
        found = parse(Cpu, await self.host_baseline_cpu([document], expand=True))
        return [each.name for each in found.features]

    async def cpu_host(self) -> HostCpuInfo:
        from vmherd.conf.capabilities import HostCapabilities
        from vmherd.conf.domaincaps import DomainCapabilities
        from vmherd.util.xmlmodel import parse

        host = parse(HostCapabilities, await self.capabilities()).host.cpu
        features = {each.name: "require" for each in host.features}
        processor = CpuInfo(model=host.model, vendor=host.vendor or "", features=features) if host.model else None
        return HostCpuInfo(
            arch=host.arch,
            processor=processor,
            guest=_guest_cpu(parse(DomainCapabilities, await self.domain_capabilities())),
        )


def _models(caps: DomainCapabilities) -> Iterator[CpuModelInfo]:
    from vmherd.conf.domaincaps import Custom, Usable

    for mode in caps.cpu.modes if caps.cpu else ():
        if isinstance(mode, Custom):
            for each in mode.models:
                usable = {Usable.YES: True, Usable.NO: False}.get(each.usable or Usable.UNKNOWN)
                yield CpuModelInfo(name=each.name, usable=usable)


def _guest_cpu(caps: DomainCapabilities) -> CpuInfo | None:
    """What guests with the host's model get."""
    from vmherd.conf.domaincaps import HostModel

    found = [mode for mode in (caps.cpu.modes if caps.cpu else ()) if isinstance(mode, HostModel) and mode.model]
    if not found or not found[0].model:
        return None
    features = {each.name: str(each.policy or "require") for each in found[0].features}
    return CpuInfo(model=found[0].model.name, vendor=found[0].vendor or "", features=features)


def _kind(guests: GuestKind) -> tuple[str | None, ...]:
    return guests.emulator or None, guests.arch or None, guests.machine or None, guests.domain_type or None


def letters(codes: Sequence[int]) -> str:
    """Text that the protocol has as an array of characters with a NUL at its end."""
    return bytes(code & 0xFF for code in codes).partition(b"\0")[0].decode(errors="replace")


def _listed(message: str) -> list[str]:
    """The features that an error ends with: "...: Host CPU does not provide required features: vme, pcid"."""
    found = re.search(r"(?:features|lacks): ([\w.,+ -]+)$", message)
    return found[1].split(", ") if found else []
