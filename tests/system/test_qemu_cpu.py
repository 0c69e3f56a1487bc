"""CPUs on a real QEMU: what the host has, and guests that take it from there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vmherd.api.aio import Host
from vmherd.conf.domain import parse_domain
from vmherd.conf.domain.cpu import Cpu, CpuMode
from vmherd.errors import DocumentError, Unsupported
from vmherd.hypervisors.qemu.monitor import connected
from vmherd.util.xmlmodel import parse

pytestmark = pytest.mark.qemu

GUEST = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  {cpu}
</domain>
"""


def vmherd(root: Path, *words: str, stdin: str = "", code: int = 0) -> str:
    environment = os.environ | {"VMHERD_DEFAULT_URI": f"qemu:///embed?root={root}"}
    done = subprocess.run(
        [sys.executable, "-m", "vmherd", *words], env=environment, input=stdin, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


async def test_a_guest_with_the_hosts_model_gets_it_and_keeps_it_in_its_document(host: Host, tmp_path: Path) -> None:
    domain = await host.define(GUEST.format(name="a", cpu="<cpu mode='host-model'/>"))
    await domain.start(paused=True)
    offered = (await host.cpu()).guest
    assert offered is not None
    live, kept = parse_domain(await domain.xml()).cpu, parse_domain(await domain.xml(inactive=True)).cpu
    assert live is not None
    assert live.model is not None
    assert (live.mode, live.model.name) == (CpuMode.CUSTOM, offered.model)
    assert {each.name: str(each.policy) for each in live.features} == offered.features
    assert kept is not None
    assert kept.mode is CpuMode.HOST_MODEL
    async with connected(tmp_path / "run" / "guests" / domain.uuid / "monitor.sock") as monitor:
        (cpu,) = await monitor.execute("query-cpus-fast")
        shown = {
            name: await monitor.execute("qom-get", {"path": cpu["qom-path"], "property": name})
            for name in ("fpu", "vme", "erms")
        }
    assert shown == {"fpu": True, "vme": False, "erms": True}


async def test_what_cannot_be_had_is_refused_at_the_start_and_not_before(host: Host) -> None:
    cpu = "<cpu check='partial'><model>Penryn</model><feature name='amx-tile' policy='require'/></cpu>"
    domain = await host.define(GUEST.format(name="a", cpu=cpu))
    with pytest.raises(Unsupported, match="lacks amx-tile"):
        await domain.start()
    assert [info.active for info in await host.domains()] == [False]


async def test_the_host_compares_and_combines_cpus(host: Host) -> None:
    penryn = "<cpu><model>Penryn</model></cpu>"
    assert (await host.compare_cpu(penryn)).result == "superset"
    lacking = await host.compare_cpu("<cpu><model>kvm64</model><feature name='rtm' policy='require'/></cpu>")
    assert (lacking.result, lacking.lacks) == ("incompatible", ["rtm"])
    found = parse(Cpu, await host.baseline_cpu([penryn, GUEST.format(name="a", cpu="<cpu><model>kvm64</model></cpu>")]))
    assert found.model is not None
    assert (found.model.name, found.features) == ("kvm64", [])
    with pytest.raises(DocumentError, match="no CPU model 'Penrin'"):
        await host.compare_cpu(penryn.replace("Penryn", "Penrin"))
    with pytest.raises(DocumentError, match="no <cpu>"):
        await host.compare_cpu("<domain type='qemu'><name>a</name></domain>")


def test_the_commands_show_the_same_to_people_and_programs(tmp_path: Path) -> None:
    rows = [line.split() for line in vmherd(tmp_path, "cpu", "models").splitlines()]
    assert ["kvm64", "yes"] in rows
    models = {each["name"]: each for each in json.loads(vmherd(tmp_path, "cpu", "models", "--json"))}
    assert models["Haswell"]["lacks"][:2] == ["pcid", "x2apic"]
    assert vmherd(tmp_path, "cpu", "features", "486") == "fpu\nvme\npse\n"
    assert "guests get" in vmherd(tmp_path, "cpu", "host")
    told = vmherd(tmp_path, "cpu", "compare", "-", stdin="<cpu><model>Haswell</model></cpu>", code=1)
    assert told.startswith("This host cannot run guests with that CPU.\nit lacks: pcid")
    baseline = vmherd(tmp_path, "cpu", "baseline", "-", "--expand", stdin="<cpu><model>486</model></cpu>")
    assert "<feature policy='require' name='vme'/>" in baseline
    assert "no CPU model 'i486'" in vmherd(tmp_path, "cpu", "features", "i486", code=1)
