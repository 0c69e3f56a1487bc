"""One guest with every common device, through the API, in each mode and as each kind of user; and hosts that refuse.

The guest's operating system is one boot sector: it greets on the serial line, then sends back what it hears.  Run
as a program, this file is the scenario itself: ``URI FOLDER``.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from parts import echoes, make_disk, make_echo_disk, processes, until

from vmherd.api.aio import Domain, Host, connect
from vmherd.driver.types import PausedReason, ShutoffReason, State
from vmherd.errors import AlreadyExists, HostError, HypervisorError, NotResponding, VmherdError
from vmherd.hypervisors.qemu.monitor import connected

pytestmark = pytest.mark.qemu

GUEST = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='user'><model type='virtio'/></interface>
    <serial type='pty'/>
    <graphics type='vnc' port='-1' autoport='yes'/>
    <video><model type='vga'/></video>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <memballoon model='virtio'/>
  </devices>
</domain>
"""


async def scenario(uri: str, folder: Path) -> None:
    """From definition to oblivion."""
    async with await connect(uri) as host:
        domain = await host.define(GUEST.format(name="web", disk=folder / "echo.qcow2"))
        assert await domain.state() is State.SHUTOFF
        await domain.start()
        assert [(info.name, info.state) for info in await host.domains()] == [("web", State.RUNNING)]
        await echoes(domain)
        await check_figures(domain)
        await domain.suspend()
        info = await domain.info()
        assert (info.state, info.reason) == (State.PAUSED, PausedReason.USER)
        await domain.resume()
        await echoes(domain)
        await domain.reset()
        await echoes(domain)
        await domain.poweroff()
        info = await domain.info()
        assert (info.state, info.reason) == (State.SHUTOFF, ShutoffReason.DESTROYED)
        await domain.undefine()
        assert await host.domains() == []
    print("well")


async def check_figures(domain: Domain) -> None:
    info, stats = await domain.info(), await domain.stats()
    assert (info.responding, info.memory, info.vcpus) == (True, 32 << 20, 1)
    params = stats.params
    assert (stats.responding, params["vcpu.current"], params["net.count"]) == (True, 1, 1)
    assert params["cpu.time"] > 0
    assert params["balloon.current"] == 32 << 10
    assert params["balloon.rss"]
    assert (params["block.count"], params["block.0.name"], params["block.0.capacity"]) == (1, "vda", 1 << 20)
    assert params["block.0.rd.reqs"] >= 1  # the boot sector
    assert params["block.0.rd.bytes"] >= 512
    assert params["block.0.wr.reqs"] == 0
    assert "port='59" in await domain.xml()


class Home:
    """A folder of somebody's own, and how a program becomes that person."""

    def __init__(self, path: Path, prefix: list[str], python: str) -> None:
        self.path = path
        self.prefix = prefix
        self._python = python
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "VMHERD_"))}
        self._environment = kept | {
            "HOME": str(path),
            "XDG_RUNTIME_DIR": str(path / "run"),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),  # for an interpreter outside this environment
        }

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run Python as that person, who owns all that is in the folder."""
        if self.prefix:
            subprocess.run(["chown", "-R", "65534:65534", self.path], check=True)
        argv = [*self.prefix, self._python, *words]
        return subprocess.run(argv, env=self._environment, cwd=self.path, capture_output=True, text=True, timeout=120)

    def usable(self) -> bool:
        """Whether that person may read this checkout, and start Python twice: the keeper is a second one."""
        twice = "import subprocess, sys, vmherd; sys.exit(subprocess.call([sys.executable, '-c', 'import vmherd']))"
        return self.run("-c", f"open({__file__!r}); {twice}").returncode == 0


NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]


@pytest.fixture(params=["self", "nobody"])
def home(request: pytest.FixtureRequest) -> Iterator[Home]:
    path = Path(tempfile.mkdtemp(prefix="vmherd-home-"))  # pytest's own folder is closed to others
    (path / "run").mkdir()
    try:
        yield Home(path, [], sys.executable) if request.param == "self" else as_nobody(path)
    finally:
        shutil.rmtree(path)


def as_nobody(path: Path) -> Home:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    system = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    homes = (Home(path, NOBODY, python) for python in (sys.executable, system) if Path(python).exists())
    found = next((home for home in homes if home.usable()), None)
    return found or pytest.skip("others may not read this Python or this checkout")


@pytest.mark.parametrize("uri", ["qemu:///embed?root={}/own", "qemu:///session"], ids=["embed", "session"])
async def test_a_guest_with_all_common_devices_works_from_definition_to_oblivion(uri: str, home: Home) -> None:
    make_echo_disk(home.path)
    done = home.run(__file__, uri.format(home.path), home.path)
    assert done.stdout == "well\n", done.stderr
    async with asyncio.timeout(20):
        while processes(home.path):  # the keeper leaves by itself
            await asyncio.sleep(0.1)
    sockets = [path for path in home.path.rglob("*") if path.is_socket() and path.parent.name != "listeners"]
    assert sockets == []
    assert list(home.path.rglob("guests/*")) == []


DOCUMENTS = Path(__file__).parents[1] / "data" / "qemu"
#: They want a kernel, a firmware, somebody to talk to, huge pages, persistent memory, secrets, disks and other devices
#: of the host, or KVM.
ABSENT = (
    "kernel-boot",
    "uefi",
    "streams-elsewhere",
    "huge-pages-and-iommu",
    "memory-modules",
    "servers",
    "images",
    "host-devices",
    "network-kinds",
    "spice",
    "tpm-and-logs",
)


def moved(path: Path, folder: Path) -> str:
    """A document of the golden arguments, with files that are there."""
    text = path.read_text()
    text = text.replace("type='block'", "type='file'").replace("dev='/dev/vg/", "file='/images/")
    for old in ("/images", "/var/log", "/run/guest"):
        text = text.replace(f"'{old}/", f"'{folder}/")
    for name in re.findall(rf"file='{folder}/([^']+)'", text):
        if name.endswith(".qcow2"):
            make_disk(folder, name)
        else:
            (folder / name).write_bytes(bytes(1 << 20))
    for name in re.findall(rf"dir='{folder}/([^']+)'", text):
        (folder / name).mkdir()
    return text


async def test_qemu_takes_the_arguments_of_the_golden_documents(host: Host, tmp_path: Path) -> None:
    refused = {}
    documents = [path for path in sorted(DOCUMENTS.glob("*.xml")) if path.stem not in ABSENT]
    assert len(documents) > 20
    for path in documents:
        folder = tmp_path / path.stem
        folder.mkdir()
        try:
            await (await host.create(moved(path, folder), paused=True)).poweroff()
        except VmherdError as problem:
            refused[path.stem] = str(problem)
    for shared in Path("/dev/shm").glob("vmherd-golden-*"):  # it is for whoever knows the name, so it stays
        shared.unlink()
    assert refused == {}


async def test_a_guest_starts_with_the_limits_of_its_document(host: Host, tmp_path: Path) -> None:
    limits = (
        "<iotune><total_iops_sec>50</total_iops_sec><read_bytes_sec>4096</read_bytes_sec>"
        "<read_bytes_sec_max>8192</read_bytes_sec_max><group_name>slow</group_name></iotune>"
    )
    document = (
        GUEST.format(name="web", disk=make_disk(tmp_path))
        .replace("<memory unit='MiB'>32</memory>", "<memory unit='MiB'>64</memory><currentMemory>32768</currentMemory>")
        .replace("<target dev='vda' bus='virtio'/>", f"<target dev='vda' bus='virtio'/>{limits}")
        .replace("<memballoon model='virtio'/>", "<memballoon model='virtio'><stats period='7'/></memballoon>")
        .replace("<model type='virtio'/></interface>", "<link state='down'/><model type='virtio'/></interface>")
        .replace("type='vnc' port='-1'", "type='vnc' passwd='geheim' passwdValidTo='2099-12-31T23:59:59' port='-1'")
    )
    domain = await host.define(document)
    await domain.start()
    async with connected(tmp_path / "run" / "guests" / domain.uuid / "monitor.sock") as monitor:
        (disk,) = (each["inserted"] for each in await monitor.execute("query-block"))
        assert (disk["iops"], disk["bps_rd"], disk["bps_rd_max"], disk["bps_wr"]) == (50, 4096, 8192, 0)
        assert disk["group"] == "slow"
        where = {"path": "/machine/peripheral/balloon0", "property": "guest-stats-polling-interval"}
        assert await monitor.execute("qom-get", where) == 7
        assert (await monitor.execute("query-vnc"))["auth"] == "vnc"
    assert "geheim" not in await domain.xml()


async def assert_clean(domain: Domain, root: Path) -> None:
    info = await domain.info()
    assert (info.state, info.reason) == (State.SHUTOFF, ShutoffReason.FAILED)
    assert not list((root / "run" / "guests").iterdir())
    assert not [line for line in processes(root).values() if "qemu-system" in line]


async def test_an_image_in_use_is_named_together_with_the_guest_that_uses_it(host: Host, tmp_path: Path) -> None:
    disk = make_disk(tmp_path)
    await (await host.define(GUEST.format(name="first", disk=disk))).start()
    second = await host.define(GUEST.format(name="second", disk=disk))
    with pytest.raises(HypervisorError) as caught:
        await second.start()
    told = f"{caught.value.message} {caught.value.hint}"
    assert str(disk) in told
    assert "'first'" in told
    assert (await second.info()).reason == ShutoffReason.FAILED
    assert len(list((tmp_path / "run" / "guests").iterdir())) == 1


async def test_a_taken_name_or_uuid_is_refused_and_what_is_there_stays(host: Host, tmp_path: Path) -> None:
    document = GUEST.format(name="web", disk=make_disk(tmp_path))
    uuid = "<uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid><memory"
    domain = await host.define(document)
    kept = await domain.xml(secure=True)
    with pytest.raises(AlreadyExists, match="'web'"):
        await host.define(document.replace("<memory", uuid, 1))
    with pytest.raises(AlreadyExists, match=domain.uuid):
        mine = f"<uuid>{domain.uuid}</uuid><memory"
        await host.define(document.replace("<memory", mine, 1).replace(">web<", ">other<"))
    assert [info.name for info in await host.domains()] == ["web"]
    assert await domain.xml(secure=True) == kept


def wrapper(folder: Path, body: str) -> Path:
    """An emulator that answers questions as QEMU does, and starts guests as ``body`` says."""
    path = folder / "strange-qemu"
    qemu = shutil.which("qemu-system-x86_64")
    path.write_text(f'#!/bin/sh\ncase "$*" in *"-machine none"*) exec {qemu} "$@";; esac\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def with_emulator(path: Path, disk: Path) -> str:
    return GUEST.format(name="web", disk=disk).replace("<devices>", f"<devices><emulator>{path}</emulator>")


async def test_a_qemu_that_dies_at_start_is_quoted(host: Host, tmp_path: Path) -> None:
    emulator = wrapper(tmp_path, "echo the moon is in the wrong phase >&2; exit 1")
    domain = await host.define(with_emulator(emulator, make_disk(tmp_path)))
    with pytest.raises(HypervisorError, match="the moon is in the wrong phase"):
        await domain.start()
    await assert_clean(domain, tmp_path)


async def test_a_display_port_that_is_taken_is_told_with_advice(host: Host, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        document = GUEST.format(name="web", disk=make_disk(tmp_path))
        domain = await host.define(document.replace("port='-1' autoport='yes'", f"port='{port}' autoport='no'"))
        with pytest.raises(HypervisorError, match="in use") as caught:
            await domain.start()
    assert "port='-1'" in caught.value.hint
    await assert_clean(domain, tmp_path)
    await domain.start()


async def test_a_qemu_that_went_after_it_was_defined_is_named(host: Host, tmp_path: Path) -> None:
    emulator = wrapper(tmp_path, f'exec {shutil.which("qemu-system-x86_64")} "$@"')
    domain = await host.define(with_emulator(emulator, make_disk(tmp_path)))
    emulator.unlink()
    with pytest.raises(HostError, match=f"{emulator} does not exist"):
        await domain.start()
    assert await domain.state() is State.SHUTOFF
    assert not list((tmp_path / "run" / "guests").iterdir())


async def test_a_start_that_hangs_ends_with_a_cancel_and_leaves_no_process(host: Host, tmp_path: Path) -> None:
    emulator = wrapper(tmp_path, "kill -STOP $$")
    domain = await host.define(with_emulator(emulator, make_disk(tmp_path)))
    starting = asyncio.create_task(domain.start())
    async with asyncio.timeout(20):
        while not any("strange-qemu" in line and "-S" in line for line in processes(tmp_path).values()):
            await asyncio.sleep(0.02)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not any("strange-qemu" in line for line in processes(tmp_path).values())
    await assert_clean(domain, tmp_path)


async def test_a_qemu_that_answers_no_more_is_told_and_can_be_ended(host: Host, tmp_path: Path) -> None:
    domain = await host.define(GUEST.format(name="web", disk=make_disk(tmp_path)))
    await domain.start()
    pid = (await domain.info()).pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    # A signal takes its time: QEMU is found stopped, or is not heard within the deadline.
    with pytest.raises(NotResponding, match=r"is stopped|within") as caught:
        await domain.reset()
    assert "poweroff" in caught.value.hint
    await domain.poweroff()
    await until(domain, State.SHUTOFF)
    assert not list((tmp_path / "run" / "guests").iterdir())
    assert not [line for line in processes(tmp_path).values() if "qemu-system" in line]


@pytest.mark.root
def test_an_image_of_somebody_else_is_named(home: Home) -> None:
    if not home.prefix:
        pytest.skip("root may read every image")
    make_disk(home.path, "echo.qcow2").chmod(0)
    done = home.run(__file__, "qemu:///session", home.path)
    assert f"disk vda: {home.path}/echo.qcow2 cannot be read" in done.stderr
    assert not processes(home.path)
    assert list(home.path.rglob("guests/*")) == []


if __name__ == "__main__":
    asyncio.run(scenario(sys.argv[1], Path(sys.argv[2])))
