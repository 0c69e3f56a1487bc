"""Guests saved to files and restored, with real QEMU processes."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from parts import Ear, make_disk, until

from support.libvirtd import Libvirtd
from vmherd.api.aio import Domain, Host, connect
from vmherd.driver.saving import DumpFormat
from vmherd.driver.types import PausedReason, RunningReason, ShutoffReason, State
from vmherd.errors import (
    Cancelled,
    DomainNotFound,
    InvalidArgument,
    InvalidState,
    OperationFailed,
    OperationUnsupported,
    Unsupported,
)
from vmherd.events import Lifecycle
from vmherd.hypervisors.qemu.monitor import connected

pytestmark = pytest.mark.qemu

GUEST = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <serial type='pty'/>
    {devices}
  </devices>
</domain>
"""


def guest(name: str = "web", devices: str = "") -> str:
    return GUEST.format(name=name, devices=devices)


async def test_a_guest_saved_to_a_file_goes_on_from_it(host: Host, tmp_path: Path) -> None:
    domain = await host.create(guest(devices="<graphics type='vnc' passwd='geheim'/>"))
    path = tmp_path / "web.img"
    async with Ear(host) as ear:
        await domain.save(path)
        with pytest.raises(DomainNotFound):
            await domain.info()
        assert "geheim" not in await host.saved_xml(path)
        assert "geheim" in await host.saved_xml(path, secure=True)
        again = await host.restore(path)
        info = await again.info()
        assert (again.uuid, info.state, info.reason) == (domain.uuid, State.RUNNING, RunningReason.RESTORED)
        await ear.hear(Lifecycle.RESUMED)
    assert ear.told() == [
        (Lifecycle.SUSPENDED, "paused"),
        (Lifecycle.STOPPED, "saved"),
        (Lifecycle.STARTED, "restored"),
        (Lifecycle.RESUMED, "from snapshot"),
    ]


async def test_a_managed_image_is_used_by_the_next_start_and_gone_then(host: Host, tmp_path: Path) -> None:
    domain = await host.define(guest())
    await domain.start()
    await domain.managed_save()
    info = await domain.info()
    assert (info.state, info.reason, info.managed_save) == (State.SHUTOFF, ShutoffReason.SAVED, True)
    await domain.start(paused=True)
    info = await domain.info()
    assert (info.state, info.reason, info.managed_save) == (State.PAUSED, PausedReason.MIGRATION, False)
    assert not list((tmp_path / "state" / "save").iterdir())
    await domain.resume()
    await domain.managed_save(xml=(await domain.xml()).replace("<memory", "<title>T</title><memory", 1))
    assert "<title>T</title>" in await domain.managed_save_xml()
    await domain.start(force_boot=True)
    assert (await domain.info()).reason == RunningReason.BOOTED


async def test_a_damaged_managed_image_is_removed_and_the_guest_boots(host: Host, tmp_path: Path) -> None:
    domain = await host.define(guest())
    await domain.start()
    await domain.managed_save()
    with pytest.raises(InvalidState, match="managed save"):
        await domain.undefine()
    image = tmp_path / "state" / "save" / "web.save"
    image.write_bytes(b"LibvirtQemudPart" + image.read_bytes()[16:])
    await domain.start()
    info = await domain.info()
    assert (info.reason, info.managed_save, image.exists()) == (RunningReason.BOOTED, False, False)
    await domain.managed_save()
    await domain.undefine(managed_save=True)
    assert not image.exists()


@pytest.mark.parametrize(
    ("format_", "bypass_cache"),
    [("raw", True), ("gzip", True), ("bzip2", False), ("xz", False), ("lzop", False), ("zstd", False)],
)
async def test_images_of_every_format_past_the_cache_or_not(
    host: Host, tmp_path: Path, format_: str, bypass_cache: bool
) -> None:
    if not shutil.which(format_) and format_ != "raw":
        pytest.skip(f"{format_} is not installed")
    (tmp_path / "qemu.toml").write_text(f"save_image_format = '{format_}'\n")
    domain = await host.create(guest(), paused=True)
    await domain.save(tmp_path / "web.img", bypass_cache=bypass_cache)
    await host.restore(tmp_path / "web.img", bypass_cache=bypass_cache, running=True)
    assert (await domain.info()).state is State.RUNNING


async def test_the_document_of_an_image_may_change_where_the_guest_cannot_tell(host: Host, tmp_path: Path) -> None:
    domain = await host.create(guest())
    image = tmp_path / "web.img"
    running = await domain.xml()
    with pytest.raises(Unsupported, match="max memory"):
        await domain.save(image, xml=running.replace(">32768<", ">65536<"))
    assert await domain.state() is State.RUNNING
    await domain.save(image, xml=running.replace("<name>", "<title>first</title><name>"))
    saved = await host.saved_xml(image)
    with pytest.raises(Unsupported, match="uuid"):
        await host.define_saved(image, re.sub("<uuid>.*</uuid>", f"<uuid>{uuid4()}</uuid>", saved))
    with pytest.raises(OperationFailed, match="too large"):
        await host.define_saved(image, saved.replace("first", "x" * (2 << 20)))
    await host.define_saved(image, saved.replace("first", "second"), running=False)
    again = await host.restore(image, xml=(await host.saved_xml(image)).replace("second", "third"))
    info = await again.info()
    assert (info.title, info.state) == ("third", State.PAUSED)


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images are compressed by a program that takes its time."""
    (tmp_path / "qemu.toml").write_text("save_image_format = 'gzip'\n")
    program = tmp_path / "bin" / "gzip"
    program.parent.mkdir()
    lines = ["import os, time", "while data := os.read(0, 8192):", "    os.write(1, data)", "    time.sleep(0.05)"]
    program.write_text("\n".join([f"#!{sys.executable}", *lines, ""]))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


async def until_writing(domain: Domain) -> None:
    async with asyncio.timeout(20):
        while not ((job := await domain.job()) and job.processed):
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("slow")
async def test_an_aborted_save_lets_the_guest_run_on(host: Host, uri: str, tmp_path: Path) -> None:
    domain = await host.define(guest())
    await domain.start()
    saving = asyncio.create_task(domain.managed_save())
    async with await connect(uri) as other:
        same = await other.domain("web")
        await until_writing(same)
        job = await same.job()
        assert job is not None
        assert (job.operation, job.total > 32 << 20) == ("save", True)
        assert (await same.info()).reason == PausedReason.SAVE
        await same.abort_job()
    with pytest.raises(Cancelled):
        await saving
    info = await domain.info()
    assert (info.state, info.reason) == (State.RUNNING, RunningReason.SAVE_CANCELED)
    assert (info.managed_save, list((tmp_path / "state" / "save").iterdir())) == (False, [])


@pytest.mark.usefixtures("slow")
async def test_a_save_whose_process_is_killed_lets_the_guest_run_on(host: Host, uri: str, tmp_path: Path) -> None:
    domain = await host.define(guest())
    await domain.start()
    code = "import sys, vmherd\nwith vmherd.connect(sys.argv[1]) as host:\n    host.domain('web').managed_save()\n"
    with subprocess.Popen([sys.executable, "-c", code, uri]) as saver:
        await until_writing(domain)
        assert await domain.state() is State.PAUSED
        saver.kill()
    await until(domain, State.RUNNING)
    info = await domain.info()
    assert (info.reason, info.managed_save) == (RunningReason.SAVE_CANCELED, False)
    assert not list((tmp_path / "state" / "save").iterdir())
    async with connected(tmp_path / "run" / "guests" / domain.uuid / "monitor.sock") as monitor:
        assert (await monitor.execute("query-status"))["status"] == "running"


@pytest.mark.usefixtures("slow")
async def test_an_image_counts_until_the_guest_goes_on_from_it(host: Host, uri: str, tmp_path: Path) -> None:
    domain = await host.define(guest())
    await domain.start(paused=True)
    await domain.managed_save()
    code = "import sys, vmherd\nwith vmherd.connect(sys.argv[1]) as host:\n    host.domain('web').start()\n"
    with subprocess.Popen([sys.executable, "-c", code, uri]) as starter:
        await until(domain, State.PAUSED)
        async with asyncio.timeout(20):
            while not (await domain.info()).pid:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)  # reading the image takes longer
        starter.kill()
    await until(domain, State.SHUTOFF)
    assert (await domain.info()).managed_save
    await domain.start()
    info = await domain.info()
    assert (info.state, info.reason, info.managed_save) == (State.PAUSED, PausedReason.MIGRATION, False)


async def test_a_save_that_was_as_good_as_done_is_done(host: Host, uri: str, tmp_path: Path) -> None:
    domain = await host.define(guest())
    await domain.start()
    code = (
        "import asyncio, os, signal, sys\nfrom pathlib import Path\nfrom vmherd.api.aio import connect\n"
        "from vmherd.hypervisors.qemu.life import Life\n"
        "async def die(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
        "Life.stop = die\n"  # the moment between the last byte and the end of the process
        "async def main():\n"
        "    async with await connect(sys.argv[1]) as host: await (await host.domain('web')).managed_save()\n"
        "asyncio.run(main())\n"
    )
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code, uri])
    await until(domain, State.SHUTOFF)
    info = await domain.info()
    assert (info.reason, info.managed_save) == (ShutoffReason.SAVED, True)
    await domain.start()
    assert (await domain.info()).reason == RunningReason.RESTORED


async def test_dumps_of_both_kinds_and_what_becomes_of_the_guest(host: Host, tmp_path: Path) -> None:
    domain = await host.define(guest())
    await domain.start()
    path = tmp_path / "core"
    for dump_format, magic in ((DumpFormat.RAW, b"\x7fELF"), (DumpFormat.KDUMP_ZLIB, b"makedumpfile")):
        await domain.dump(path, memory_only=True, dump_format=dump_format)
        assert path.read_bytes().startswith(magic)
        assert await domain.state() is State.RUNNING
    await domain.dump(path, live=True)
    assert path.read_bytes().startswith(b"QEVM")
    assert await domain.state() is State.RUNNING
    with pytest.raises(OperationUnsupported):
        await domain.dump(path, dump_format=DumpFormat.KDUMP_ZLIB)
    with pytest.raises(InvalidArgument):
        await domain.dump(path, crash=True, reset=True)
    await domain.suspend()
    await domain.dump(path)
    with pytest.raises(InvalidState, match="until it ran"):
        await domain.save(tmp_path / "image")
    await domain.resume()
    await domain.dump(path, reset=True)
    assert await domain.state() is State.RUNNING
    await domain.dump(path, crash=True)
    info = await domain.info()
    assert (info.state, info.reason) == (State.SHUTOFF, ShutoffReason.CRASHED)


MIXED = """
<domain type='qemu'>
  <name>mixed</name>
  <memory unit='MiB'>48</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <disk type='file'>
      <driver name='qemu' type='qcow2'/><source file='{disk}'/><target dev='vda' bus='virtio'/>
    </disk>
    <interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>
    <serial type='pty'/>
    <channel type='unix'><target type='virtio' name='org.example.0'/></channel>
    <input type='tablet' bus='usb'/>
    <graphics type='vnc' autoport='yes'/>
    <video><model type='qxl'/></video>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>
"""


async def test_libvirt_restores_what_was_saved_here_and_the_other_way_round(
    host: Host, libvirtd: Libvirtd, tmp_path: Path
) -> None:
    (tmp_path / "qemu.toml").write_text("save_image_format = 'gzip'\n")
    document, theirs, ours = tmp_path / "mixed.xml", tmp_path / "theirs", tmp_path / "ours"
    document.write_text(MIXED.format(disk=make_disk(tmp_path)))
    libvirtd.virsh("create", str(document))
    libvirtd.virsh("save", "mixed", str(theirs))
    domain = await host.restore(theirs)
    assert (await domain.info()).reason == RunningReason.RESTORED
    async with connected(tmp_path / "run" / "guests" / domain.uuid / "monitor.sock") as monitor:
        assert (await monitor.execute("query-status"))["status"] == "running"
    await domain.save(ours)
    libvirtd.virsh("restore", str(ours))
    assert libvirtd.virsh("domstate", "mixed", "--reason").strip() == "running (restored)"
    libvirtd.virsh("destroy", "mixed")


async def vmherd(uri: str, *words: str, code: int = 0) -> str:
    """What a command says."""
    command = [sys.executable, "-m", "vmherd", "-c", uri, *words]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return str(done.stdout + done.stderr)


async def test_the_commands_as_virsh_has_them(host: Host, uri: str, tmp_path: Path) -> None:
    display = "<graphics type='vnc' autoport='yes' passwd='geheim'/><video><model type='vga'/></video>"
    await host.define(guest(devices=display))
    assert "managed save" in await vmherd(uri, "managedsave-dumpxml", "web", code=4)
    await vmherd(uri, "start", "web")
    assert re.fullmatch(r"127\.0\.0\.1:\d+\n", address := await vmherd(uri, "vncdisplay", "web"))
    assert await vmherd(uri, "domdisplay", "web", "--include-password") == f"vnc://:geheim@{address}"
    await vmherd(uri, "send-key", "web", "KEY_LEFTALT", "KEY_F2")
    await vmherd(uri, "send-key", "web", "0x1e", "--codeset", "xt", "--holdtime", "20")
    await vmherd(uri, "inject-nmi", "web")
    await vmherd(uri, "screenshot", "web", str(tmp_path / "shot"))
    assert (tmp_path / "shot").read_bytes().startswith(b"\x89PNG")
    await vmherd(uri, "dump", "web", str(tmp_path / "core"), "--memory-only", "--format", "kdump-zlib")
    assert await vmherd(uri, "managedsave", "web") == "web is saved\n"
    assert "saved" in await vmherd(uri, "list", "--with-managed-save")
    assert "<name>web</name>" in await vmherd(uri, "managedsave-dumpxml", "web")
    assert await vmherd(uri, "start", "web") == "web is running\n"
    image, document = str(tmp_path / "image"), tmp_path / "web.xml"
    await vmherd(uri, "save", "web", image, "--paused")
    document.write_text((await vmherd(uri, "save-image-dumpxml", image)).replace("<memory", "<title>T</title><memory"))
    await vmherd(uri, "save-image-define", image, str(document))
    assert await vmherd(uri, "restore", image) == "web is paused\n"
    assert (await (await host.domain("web")).info()).title == "T"
    await vmherd(uri, "managedsave", "web", "--running")
    await vmherd(uri, "managedsave-remove", "--all")
    assert not (await (await host.domain("web")).info()).managed_save
