"""What virsh shows of a host: the same of a vmherd and of a libvirtd."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import RunningDaemon, virsh

from support.libvirtd import Libvirtd

#: Nothing in these differs but what changes while one looks.
QEMU = """\
nodeinfo
nodecpumap --pretty
nodecpustats
nodecpustats --cpu 0
nodememstats
nodememstats 0
freecell
freecell 3
freepages 0 7
allocpages 2M 0
allocpages 4 10
node-memory-tune
node-memory-tune --shm-pages-to-scan 100
maxvcpus
maxvcpus qemu
hostname
version --daemon
cpu-models x86_64
cpu-models ppc64
cpu-models s390x
cpu-compare {folder}/westmere.xml
cpu-baseline {folder}/westmere.xml
cpu-baseline {folder}/westmere.xml --features
hypervisor-cpu-compare {folder}/westmere.xml
hypervisor-cpu-compare {folder}/milan.xml
hypervisor-cpu-baseline {folder}/westmere.xml
"""
TEST = """\
nodeinfo
nodecpumap --pretty
nodecpustats
freecell
freecell --all
freecell 3
sysinfo
maxvcpus
version --daemon
cpu-models x86_64
cpu-baseline {folder}/westmere.xml
list --all
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, model in (("westmere", "Westmere"), ("milan", "EPYC-Milan")):
        (tmp_path / f"{name}.xml").write_text(f"<cpu><arch>x86_64</arch><model>{model}</model></cpu>")
    return tmp_path


@pytest.fixture
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningDaemon]:
    with RunningDaemon(tmp_path, uri=request.param.format(tmp_path)) as running:
        yield running


def steady(text: str) -> str:
    """Counters that go on while one looks are left out; of errors there is left what kind they are."""
    text = re.sub(r"(?m)^((?:user|system|idle|iowait|free|buffers|cached) *:|Total:|\s+\d+:) +\d{5,}", r"\1 ...", text)
    return re.sub(r"(?m)^(error: [^:]*:) .*$", r"\1", text)


@pytest.mark.qemu
@pytest.mark.parametrize("daemon", ["qemu:///embed?root={}"], indirect=True)
def test_the_host_of_qemu_guests_looks_alike(daemon: RunningDaemon, libvirtd: Libvirtd, folder: Path) -> None:
    uri = f"qemu+unix:///system?socket={daemon.run}/libvirt-sock&name=qemu%3A///embed%3Froot%3D{folder}"
    for line in QEMU.format(folder=folder).splitlines():
        assert steady(virsh(uri, *line.split())) == steady(virsh(libvirtd.uri(), *line.split())), line


@pytest.mark.parametrize("daemon", ["test:///default"], indirect=True)
def test_the_host_of_the_test_driver_looks_alike(daemon: RunningDaemon, libvirtd: Libvirtd, folder: Path) -> None:
    uri = f"test+unix:///default?socket={daemon.run}/libvirt-sock"
    for line in TEST.format(folder=folder).splitlines():
        ours, theirs = (steady(virsh(each, *line.split())) for each in (uri, libvirtd.uri("test:///default")))
        assert ours == theirs, line
