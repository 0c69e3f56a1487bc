"""The capabilities of the made up host.  Source: what libvirt 9.0 answers at test:///default"""

from __future__ import annotations

from vmherd.conf import capabilities as document
from vmherd.conf.capabilities import HostCell, HostThread
from vmherd.conf.capabilities.cpu import LegacyFeatures, PageSize
from vmherd.conf.capabilities.document import HostIommu
from vmherd.conf.capabilities.topology import CellCpus, Cells, Pages
from vmherd.util.xmlmodel import render

_KIB, _HUGE = 1 << 10, (2 << 20, 1 << 30)
_CPUS = 8  # of each NUMA node, which is a socket, too


def capabilities_xml() -> str:
    """Two NUMA nodes with pages of different sizes, and guests of two kinds."""
    small = (4 * _KIB, 8 * _KIB)
    cpu = document.HostCpu(
        arch="i686",
        legacy_features=LegacyFeatures(pae=True, nonpae=True),
        page_sizes=[PageSize(size=size) for size in (*small, *_HUGE)],
    )
    cells = [_cell(number, size) for number, size in enumerate(small)]
    host = document.Host(
        cpu=cpu,
        power_management=document.PowerManagement(),
        iommu=HostIommu(support=False),
        topology=document.HostTopology(cells=Cells(num=len(cells), cells=cells)),
        secmodels=[document.SecurityModel(model="testSecurity", doi="")],
    )
    guests = [_guest(kind) for kind in ("hvm", "xen")]
    return render(document.HostCapabilities(host=host, guests=guests))


def _cell(number: int, page: int) -> HostCell:
    pages = [Pages(size=page, count=1 << 19), *(Pages(size=size, count=0) for size in _HUGE)]
    threads = [
        HostThread(id=cpu, socket_id=number, die_id=0, core_id=cpu % _CPUS, siblings=(cpu,))
        for cpu in range(number * _CPUS, (number + 1) * _CPUS)
    ]
    memory = page << 19
    return HostCell(id=number, memory=memory, pages=pages, cpus=CellCpus(num=_CPUS, cpus=threads))


def _guest(kind: str) -> document.Guest:
    arch = document.GuestArch(
        name="i686", wordsize=32, emulator="/usr/bin/test-hv", domains=[document.GuestDomain(type="test")]
    )
    return document.Guest(os_type=kind, arch=arch, features=document.GuestFeatures(pae=True, nonpae=True))
