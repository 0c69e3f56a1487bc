"""Every way of storage that QEMU opens itself, with a guest that boots from it."""

from __future__ import annotations

import asyncio
import http.server
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from parts import Ear, processes
from test_qemu_devices import echoes, make_echo_disk

from vmherd.api.aio import Host
from vmherd.conf.domain import parse_domain
from vmherd.conf.domain.storage import Secret
from vmherd.errors import HypervisorError
from vmherd.events import DiskChangeEvent, DiskChangeReason
from vmherd.hypervisors.qemu import helpers
from vmherd.hypervisors.qemu.command.secrets import KEY_SIZE, Vault, master_key
from vmherd.hypervisors.qemu.helpers import storagehelpers
from vmherd.hypervisors.qemu.monitor import connected
from vmherd.util.process import ProcessId, identify

pytestmark = pytest.mark.qemu

GUEST = """
<domain type='qemu'>
  <name>store</name>
  <memory unit='MiB'>64</memory>
  {memory}
  <iothreads>2</iothreads>
  <os><type arch='x86_64' machine='{machine}'>hvm</type></os><features><acpi/></features>
  <devices>{devices}<serial type='pty'/><memballoon model='none'/></devices>
</domain>
"""


async def boots(host: Host, devices: str, *, machine: str = "pc", memory: str = "") -> str:
    """Start a guest with these devices, talk to it, and tell its document."""
    domain = await host.define(GUEST.format(devices=devices, machine=machine, memory=memory))
    await domain.start()
    await echoes(domain)
    xml = await domain.xml()
    await domain.poweroff()
    return xml


def disk(source: str, *, type_: str = "file", target: str = "dev='vda' bus='virtio'", more: str = "") -> str:
    return f"""<disk type='{type_}' device='disk'>
      <driver name='qemu' type='qcow2'/>{source}<target {target}/><boot order='1'/>{more}</disk>"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return make_echo_disk(tmp_path)


@pytest.mark.parametrize(
    ("target", "more"),
    [
        ("dev='sda' bus='scsi'", "<controller type='scsi' model='virtio-scsi'><driver iothread='1'/></controller>"),
        ("dev='sda' bus='scsi'", "<controller type='scsi' model='lsisas1078'/>"),
        ("dev='sda' bus='usb' removable='on'", "<controller type='usb' model='qemu-xhci'/>"),
        ("dev='hda' bus='ide' rotation_rate='1'", ""),
        ("dev='sda' bus='sata'", ""),
    ],
)
async def test_a_guest_boots_from_a_disk_on_each_bus(host: Host, image: Path, target: str, more: str) -> None:
    await boots(host, disk(f"<source file='{image}'/>", target=target, more="<serial>a b-1</serial>") + more)


async def test_a_virtio_disk_takes_every_way_to_tune_it(host: Host, image: Path) -> None:
    driver = """<driver name='qemu' type='qcow2' cache='none' io='threads' discard='unmap' detect_zeroes='unmap'
      iothread='2' queues='2' queue_size='64' error_policy='stop' rerror_policy='report' copy_on_read='on'>
      <metadata_cache><max_size unit='KiB'>512</max_size></metadata_cache></driver>"""
    text = disk(f"<source file='{image}'/>", more="<blockio logical_block_size='512' physical_block_size='4096'/>")
    await boots(host, text.replace("<driver name='qemu' type='qcow2'/>", driver))


async def test_a_chain_of_images_is_opened_as_the_document_tells(host: Host, image: Path, tmp_path: Path) -> None:
    top, middle = tmp_path / "top.qcow2", tmp_path / "middle.qcow2"
    for path, below in ((middle, image), (top, middle)):
        # The header names a file that is not there: what counts is the document.
        subprocess.run(
            ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", "/gone", "-F", "raw", path, "1M"], check=True
        )
        assert below.exists()
    chain = f"""<backingStore type='file'><format type='qcow2'/><source file='{middle}'/>
      <backingStore type='file'><format type='qcow2'/><source file='{image}'/><backingStore/></backingStore>
      </backingStore>"""
    await boots(host, disk(f"<source file='{top}'/>", more=chain))


async def test_a_part_of_a_file_can_be_the_disk(host: Host, image: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    data = image.read_bytes()
    whole.write_bytes(b"\xff" * 4096 + data + b"\xff" * 512)
    part = f"<slices><slice type='storage' offset='4096' size='{len(data)}'/></slices>"
    await boots(host, disk(f"<source file='{whole}'>{part}</source>"))


SHARED = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"


async def test_a_guest_boots_from_a_disk_that_another_process_plays(host: Host, image: Path, tmp_path: Path) -> None:
    path = tmp_path / "vhost.sock"
    argv = [
        "qemu-storage-daemon",
        f"--blockdev=driver=file,filename={image},node-name=file",
        "--blockdev=driver=qcow2,file=file,node-name=disk",
        f"--export=type=vhost-user-blk,id=e,node-name=disk,addr.type=unix,addr.path={path}",
    ]
    with subprocess.Popen(argv) as server:
        try:
            while not path.exists():
                time.sleep(0.01)
            source = f"<source type='unix' path='{path}'/>"
            text = disk(source, type_="vhostuser").replace("qcow2", "raw")
            await boots(host, text, memory=SHARED)
        finally:
            server.terminate()


FOLDERS = """
<filesystem type='mount' accessmode='mapped' multidevs='remap' fmode='0640' dmode='0750'>
  <driver type='path' wrpolicy='immediate'/><source dir='{0}'/><target dir='plan9'/></filesystem>
<filesystem type='mount'><driver type='virtiofs' queue='512'/>
  <binary xattr='on'><cache mode='always'/><sandbox mode='chroot'/><lock posix='on' flock='off'/>
  <thread_pool size='4'/></binary>
  <source dir='{0}'/><target dir='virtio'/></filesystem>"""


needs_virtiofsd = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("virtiofsd", path=f"/usr/bin:{helpers.FOLDERS}"),
    reason="needs virtiofsd, and root to start it",
)


@needs_virtiofsd
async def test_folders_are_served_as_long_as_the_guest_lives(host: Host, image: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared folder"
    shared.mkdir()
    devices = disk(f"<source file='{image}'/>") + FOLDERS.format(shared)
    domain = await host.define(GUEST.format(devices=devices, machine="pc", memory=SHARED))
    await domain.start()
    assert any("virtiofsd" in line for line in processes(tmp_path).values())
    await echoes(domain)
    await domain.poweroff()
    assert not [line for line in processes(tmp_path).values() if "virtiofsd" in line]


WRITING = "<driver name='qemu' type='qcow2' copy_on_read='on'/>"


@pytest.mark.parametrize(
    ("target", "kind", "driver"),
    [
        ("dev='vda' bus='virtio'", "<transient/>", WRITING),
        ("dev='sda' bus='sata'", "<transient/>", ""),
        ("dev='vda' bus='virtio'", "<transient shareBacking='yes'/>", ""),
        ("dev='sda' bus='usb'", "<transient shareBacking='yes'/>", ""),
    ],
)
async def test_what_a_guest_writes_to_a_transient_disk_is_gone_with_it(
    host: Host, image: Path, tmp_path: Path, target: str, kind: str, driver: str
) -> None:
    before, text = image.read_bytes(), disk(f"<source file='{image}'/>", target=target, more=kind)
    text = text.replace("<driver name='qemu' type='qcow2'/>", driver or "<driver name='qemu' type='qcow2'/>")
    domain = await host.define(GUEST.format(devices=text, machine="pc", memory=""))
    await domain.start()
    await echoes(domain)
    overlay = image.with_name(f"{image.name}.TRANSIENT-store")
    drive = "usb-disk0" if "usb" in target else "sata0-0-0" if "sata" in target else "virtio-disk0"
    async with connected(tmp_path / "run" / "guests" / domain.uuid / "monitor.sock") as monitor:
        words = f'qemu-io -d /machine/peripheral/{drive} "write 512 1k"'
        await monitor.execute("human-monitor-command", {"command-line": words})
        blocks = await monitor.execute("query-block")
    assert str(overlay) in str(blocks)
    assert overlay.stat().st_size > 0
    await domain.poweroff()
    assert not overlay.exists()
    assert image.read_bytes() == before


async def test_guests_share_an_image_whose_changes_each_throws_away(host: Host, image: Path) -> None:
    shared = disk(f"<source file='{image}'/>", more="<transient shareBacking='yes'/>")
    text = GUEST.format(devices=shared, machine="pc", memory="")
    guests = [await host.create(text.replace(">store<", f">{name}<")) for name in ("one", "two")]
    for guest in guests:
        await echoes(guest)
    assert len(list(image.parent.glob("*.TRANSIENT-*"))) == 2


@needs_virtiofsd
async def test_a_start_that_fails_leaves_no_helper(host: Host, image: Path, tmp_path: Path) -> None:
    absent = disk(f"<source type='unix' path='{tmp_path}/absent'/>", type_="vhostuser").replace("qcow2", "raw")
    devices = absent + FOLDERS.format(tmp_path)
    with pytest.raises(HypervisorError, match="absent"):
        await host.create(GUEST.format(devices=devices, machine="pc", memory=SHARED))
    async with asyncio.timeout(10):
        while any("virtiofsd" in line for line in processes(tmp_path).values()):
            await asyncio.sleep(0.01)


def test_qemu_opens_with_the_master_key_what_the_vault_sealed(tmp_path: Path) -> None:
    """The oldest encryption: unlike LUKS it measures no time first, which fails on a busy machine."""
    key, image = tmp_path / "master-key.aes", tmp_path / "sealed.qcow2"
    key.write_bytes(os.urandom(KEY_SIZE))
    plain = ["--object", "secret,id=plain,data=geheim"]
    old = ["-o", "encrypt.format=aes,encrypt.key-secret=plain"]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *plain, *old, image, "1M"], check=True)
    assert "wrote" in talked(image, plain, "plain", "write -P 7 0 64k")
    vault = Vault(key=key.read_bytes(), find=lambda _: b"geheim")
    words = [*master_key(str(key)), *vault.looked_up("sealed", Secret(usage="x"))]
    sealed = ["--object" if word == "-object" else word for word in words]
    assert "failed" not in talked(image, sealed, "sealed", "read -P 7 0 64k")


def talked(image: Path, objects: list[str], secret: str, command: str) -> str:
    """What qemu-io says of an image that it decrypts with ``secret``."""
    options = f"driver=qcow2,encrypt.format=aes,encrypt.key-secret={secret},file.filename={image}"
    argv = ["qemu-io", *objects, "--image-opts", options, "-c", command]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


async def test_what_may_be_missing_is_left_out(host: Host, image: Path, tmp_path: Path) -> None:
    missing = f"<source file='{tmp_path}/gone' startupPolicy='optional'/>"
    drive = f"<disk type='file' device='cdrom'>{missing}<target dev='hda' bus='ide'/></disk>"
    disks = disk(f"<source file='{image}'/>") + drive + f"<disk>{missing}<target dev='vdb' bus='virtio'/></disk>"
    async with Ear(host) as ear:
        xml = await boots(host, disks)
        told = [event for event in ear.heard if isinstance(event, DiskChangeEvent)]
    assert {(event.alias, event.reason, event.old_source) for event in told} == {
        ("ide0-0-0", DiskChangeReason.MISSING_ON_START, f"{tmp_path}/gone"),
        ("virtio-disk1", DiskChangeReason.DROP_MISSING_ON_START, f"{tmp_path}/gone"),
    }
    assert "/gone" not in xml
    assert "'hda'" in xml
    assert "'vdb'" not in xml


async def test_a_folder_becomes_a_disk_to_read(host: Host, image: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("hello")
    shown = f"""<disk type='dir' device='disk'><driver name='qemu' type='fat'/><source dir='{folder}'/>
      <target dev='vdb' bus='virtio'/><readonly/></disk>
      <disk type='dir' device='floppy'><driver name='qemu' type='fat'/><source dir='{folder}'/>
      <target dev='fda' bus='fdc'/><readonly/></disk>"""
    await boots(host, disk(f"<source file='{image}'/>") + shown)


@pytest.mark.skipif(not shutil.which("qemu-pr-helper") or os.geteuid() != 0, reason="needs qemu-pr-helper, and root")
async def test_the_helper_for_reservations_listens_until_the_guest_ends(tmp_path: Path) -> None:
    """The disks it is for are real SCSI units, which a test has none of."""
    lun = """<disk type='block' device='lun'><source dev='/dev/sdx'><reservations managed='yes'/></source>
      <target dev='sda' bus='scsi'/></disk>"""
    domain = parse_domain(GUEST.format(devices=lun, machine="pc", memory=""))
    with (tmp_path / "log").open("wb") as log:
        await storagehelpers.start(domain, tmp_path, log.fileno())
    helper = msgspec.json.decode((tmp_path / "pr-helper0.helper").read_bytes(), type=ProcessId)
    socket.socket(socket.AF_UNIX).connect(str(tmp_path / "pr-helper0.sock"))
    assert identify(helper.pid) == helper
    helpers.end_all(tmp_path)
    async with asyncio.timeout(10):
        while identify(helper.pid) == helper:
            await asyncio.sleep(0.01)


@pytest.fixture
def nbd(image: Path, tmp_path: Path) -> Iterator[Path]:
    """A server of the image as it is, on a UNIX socket."""
    path = tmp_path / "nbd.sock"
    argv = ["qemu-nbd", "--persistent", "--shared=4", "--format=raw", f"--socket={path}", "-x", "export", image]
    server = subprocess.Popen(argv)
    while not path.exists():
        time.sleep(0.01)
    yield path
    server.terminate()
    server.wait()


async def test_a_guest_boots_from_an_nbd_server(host: Host, nbd: Path) -> None:
    source = f"<source protocol='nbd' name='export'><host transport='unix' socket='{nbd}'/></source>"
    await boots(host, disk(source, type_="network"))


async def test_a_guest_boots_from_a_web_server(host: Host, image: Path) -> None:
    if not Path("/usr/lib/x86_64-linux-gnu/qemu/block-curl.so").exists():
        pytest.skip("QEMU's driver for HTTP is in the package qemu-block-extra")

    class Files(RangeFiles):
        path_of = image

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        tuning = "<readahead size='65536'/><timeout seconds='10'/>"
        place = f"<host name='127.0.0.1' port='{server.server_port}'/>"
        source = f"<source protocol='http' name='/a b.img'>{place}{tuning}</source>"
        await boots(host, disk(source, type_="network", more="<readonly/>"))
    finally:
        server.shutdown()
        server.server_close()


class RangeFiles(http.server.BaseHTTPRequestHandler):
    """One file in parts, as QEMU asks for it."""

    path_of: Path

    def do_HEAD(self) -> None:
        self._answer(self.path_of.read_bytes(), 200, body=False)

    def do_GET(self) -> None:
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        self._answer(self.path_of.read_bytes()[int(first) : int(last) + 1], 206, body=True)

    def _answer(self, data: bytes, status: int, *, body: bool) -> None:
        assert self.path == "/a%20b.img"
        self.send_response(status)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass
