"""Lines into the guest, and what a person sees of it: each family that this QEMU can start, really started."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from parts import GREETING, make_echo_disk, processes

from vmherd.api.aio import Domain, Host
from vmherd.errors import HostError, NotFound, VmherdError
from vmherd.hypervisors.qemu.monitor import connected

pytestmark = pytest.mark.qemu

GUEST = """
<domain type='qemu'>
  <name>web</name>
  <memory unit='MiB'>48</memory>
  <os><type arch='x86_64' machine='{machine}'>hvm</type><boot dev='hd'/></os>
  <features><acpi/></features>
  <devices>{devices}</devices>
</domain>
"""


@pytest.fixture
def short(tmp_path: Path) -> Iterator[Path]:
    """The test's folder by a name that leaves room for sockets below it."""
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "t"
        link.symlink_to(tmp_path)
        yield link


def guest(devices: str, machine: str = "pc") -> str:
    return GUEST.format(devices=devices, machine=machine)


def echo(folder: Path) -> str:
    """A disk whose boot sector greets on the first serial line and sends back what it hears."""
    disk = make_echo_disk(folder)
    driver = "<driver name='qemu' type='qcow2'/>"
    return f"<disk type='file'>{driver}<source file='{disk}'/><target dev='vda' bus='virtio'/></disk>"


def monitor_of(domain: Domain, root: Path) -> Path:
    return root / "run" / "guests" / domain.uuid / "monitor.sock"


async def ask(domain: Domain, root: Path, command: str) -> object:
    async with connected(monitor_of(domain, root)) as monitor:
        return await monitor.execute(command)


async def containing(path: Path, text: bytes) -> None:
    async with asyncio.timeout(30):
        while not path.exists() or text not in path.read_bytes():
            await asyncio.sleep(0.05)


async def test_spice_listens_with_all_its_channels(host: Host, tmp_path: Path) -> None:
    devices = (
        "<graphics type='spice' autoport='yes' passwd='geheim' connected='keep'><listen type='address'/></graphics>"
        "<channel type='spicevmc'><target type='virtio'/></channel>"
        "<channel type='spiceport'><source channel='org.example.port'/>"
        "<target type='virtio' name='org.example.port'/></channel>"
        "<redirdev bus='usb' type='spicevmc'/><redirfilter><usbdev class='0x08' allow='yes'/></redirfilter>"
        "<smartcard mode='passthrough' type='spicevmc'/><sound model='ich6'/><video><model type='qxl'/></video>"
    )
    domain = await host.define(guest(devices))
    await domain.start()
    told = await ask(domain, tmp_path, "query-spice")
    assert isinstance(told, dict)
    assert (told["enabled"], told["auth"], told["host"]) == (True, "spice", "127.0.0.1")
    assert f"port='{told['port']}'" in await domain.xml()
    assert " port=" not in re.findall("<graphics[^>]*>", await domain.xml(inactive=True))[0]
    reader, writer = await asyncio.open_connection("127.0.0.1", told["port"])
    link = struct.pack("<IBBIII", 0, 1, 0, 0, 0, 18)  # SpiceLinkMess: the main channel, no capabilities
    writer.write(struct.pack("<4sIII", b"REDQ", 2, 2, len(link)) + link)
    assert await reader.readexactly(4) == b"REDQ"
    writer.close()


async def test_spice_and_vnc_listen_on_sockets_of_the_guest(host: Host, short: Path) -> None:
    listen = "<listen type='socket'/>"
    domain = await host.create(
        guest(f"<graphics type='vnc'>{listen}</graphics><graphics type='spice'>{listen}</graphics>"), paused=True
    )
    folder = short / "run" / "guests" / domain.uuid
    reader, writer = await asyncio.open_unix_connection(str(folder / "vnc.sock"))
    assert (await reader.readexactly(4)) == b"RFB "
    writer.close()
    assert (folder / "spice.sock").is_socket()


async def test_a_serial_line_goes_to_files_that_qemu_need_not_reach(host: Host, tmp_path: Path) -> None:
    everything, copy = tmp_path / "everything.txt", tmp_path / "copy.txt"
    everything.write_bytes(b"before\n")
    copy.write_bytes(b"of another run\n")
    line = f"<source path='{everything}' append='on'/><log file='{copy}' append='off'/>"
    await host.create(guest(echo(tmp_path) + f"<serial type='file'>{line}</serial>"))
    await containing(everything, GREETING)
    await containing(copy, GREETING)
    assert everything.read_bytes().startswith(b"before\n")
    assert not copy.read_bytes().startswith(b"of another run")


async def greeted(host: Host, where: str, tls: ssl.SSLContext | None = None) -> None:
    """A guest whose serial line is on TCP says what its boot sector says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = f"<serial type='tcp'><source mode='bind' host='127.0.0.1' service='{port}'/></serial>"
    domain = await host.create(guest(where + line), paused=True)
    name = "localhost" if tls else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
    await domain.resume()
    async with asyncio.timeout(30):
        assert await reader.readuntil(GREETING)
    writer.close()
    await domain.poweroff()


async def test_a_serial_line_on_tcp(host: Host, tmp_path: Path) -> None:
    await greeted(host, echo(tmp_path))


def make_certificates(folder: Path) -> None:
    """A certificate authority and a server, as QEMU wants them named."""
    ca, key = folder / "ca-cert.pem", folder / "ca-key.pem"
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    run = {"check": True, "capture_output": True}
    subprocess.run([*new, "-keyout", key, "-out", ca, "-subj", "/CN=test CA"], **run)
    signed = ["-CA", ca, "-CAkey", key, "-addext", "basicConstraints=critical,CA:FALSE", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    server = ["-keyout", folder / "server-key.pem", "-out", folder / "server-cert.pem"]
    subprocess.run([*new, *signed, *names, *server], **run)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
async def test_a_serial_line_with_tls_as_the_administrator_sets_it_up(host: Host, tmp_path: Path) -> None:
    make_certificates(tmp_path)
    settings = f'[chardev]\ntls = true\ntls_folder = "{tmp_path}"\ntls_verify = false\n'
    (tmp_path / "qemu.toml").write_text(settings)
    await greeted(host, echo(tmp_path), ssl.create_default_context(cafile=tmp_path / "ca-cert.pem"))


async def test_settings_that_are_wrong_are_told(host: Host, tmp_path: Path) -> None:
    (tmp_path / "qemu.toml").write_text("[vnc]\nlisten_on = '0.0.0.0'\n")
    with pytest.raises(HostError, match=r"qemu\.toml.*listen_on"):
        await host.create(guest(""))


needs_swtpm = pytest.mark.skipif(not shutil.which("swtpm"), reason="needs swtpm")


@needs_swtpm
@pytest.mark.parametrize(("model", "version"), [("tpm-crb", "2.0"), ("tpm-tis", "1.2")])
async def test_an_emulated_tpm_lives_as_long_as_its_guest(host: Host, tmp_path: Path, model: str, version: str) -> None:
    tpm = f"<tpm model='{model}'><backend type='emulator' version='{version}'/></tpm>"
    domain = await host.define(guest(tpm, "q35"))
    await domain.start()
    assert [each["model"] for each in await ask(domain, tmp_path, "query-tpm")] == [model]  # type: ignore[attr-defined]
    assert any("swtpm" in line for line in processes(tmp_path).values())
    state = tmp_path / "state" / "tpm" / domain.uuid
    assert any(state.iterdir())
    await domain.poweroff()
    async with asyncio.timeout(20):
        while any("swtpm" in line for line in processes(tmp_path).values()):
            await asyncio.sleep(0.05)
    await domain.start()  # with what it remembers
    await domain.poweroff()
    await domain.undefine()
    assert not state.exists()


@needs_swtpm
@pytest.mark.skipif(not shutil.which("swtpm_setup"), reason="needs swtpm_setup")
async def test_the_banks_of_a_tpm_are_those_of_its_document(host: Host, tmp_path: Path) -> None:
    def document(bank: str) -> str:
        banks = f"<active_pcr_banks><{bank}/></active_pcr_banks>"
        return guest(f"<tpm model='tpm-crb'><backend type='emulator' version='2.0'>{banks}</backend></tpm>", "q35")

    domain = await host.define(document("sha256"))
    for bank in ("sha256", "sha384"):
        await host.define(document(bank).replace("<memory", f"<uuid>{domain.uuid}</uuid><memory", 1))
        await domain.start()
        await domain.poweroff()
    with pytest.raises(HostError, match="swtpm_setup"):
        (tmp_path / "state" / "tpm" / domain.uuid / "tpm2-00.permall").write_bytes(b"spoilt")
        await domain.start()


@needs_swtpm
@pytest.mark.skipif(not shutil.which("swtpm_setup"), reason="needs swtpm_setup")
async def test_a_secret_encrypts_what_a_tpm_remembers(host: Host, tmp_path: Path) -> None:
    use = "<usage type='vtpm'><name>tpm-of-it</name></usage>"
    secret = await host.secrets.define(f"<secret ephemeral='no' private='yes'>{use}</secret>")
    encryption = f"<encryption secret='{secret.uuid}'/>"
    tpm = f"<tpm model='tpm-crb'><backend type='emulator' version='2.0'>{encryption}</backend></tpm>"
    domain = await host.define(guest(tpm, "q35"))
    with pytest.raises(NotFound, match="has no value"):
        await domain.start()
    await secret.set_value(b"open sesame")
    for _ in range(2):  # a new one, and with what it remembers
        await domain.start()
        await domain.poweroff()
    await secret.set_value(b"another word")
    with pytest.raises(VmherdError, match=r"TPM|tpm"):
        await domain.start()
    assert not any(b"sesame" in path.read_bytes() for path in (tmp_path / "state" / "tpm").rglob("*") if path.is_file())


@needs_swtpm
async def test_a_start_that_fails_leaves_no_tpm_behind(host: Host, tmp_path: Path) -> None:
    tpm = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
    nobody = f"<serial type='unix'><source mode='connect' path='{tmp_path}/nobody.sock'/></serial>"
    with pytest.raises(VmherdError, match="nobody"):
        await host.create(guest(tpm + nobody, "q35"))
    async with asyncio.timeout(20):
        while any("swtpm" in line for line in processes(tmp_path).values()):
            await asyncio.sleep(0.05)


async def test_usb_devices_come_in_over_a_socket(host: Host, tmp_path: Path, short: Path) -> None:
    path = tmp_path / "usb.sock"
    redirected = f"<redirdev bus='usb' type='unix'><source mode='bind' path='{path}'/></redirdev>"
    await host.create(guest(f"<controller type='usb' model='qemu-xhci'/>{redirected}"))
    reader, writer = await asyncio.open_unix_connection(str(short / "usb.sock"))
    async with asyncio.timeout(20):
        hello = await reader.readexactly(12 + 64)  # usb_redir_header, usb_redir_hello_header.version
    assert struct.unpack_from("<I", hello) == (0,)  # usb_redir_hello
    assert b"qemu" in hello
    writer.close()


def make_card(folder: Path) -> None:
    """Three certificates in a database of NSS."""
    database = f"sql:{folder}"
    noise = folder / "noise"
    noise.write_bytes(bytes(range(256)))
    subprocess.run(["certutil", "-N", "-d", database, "--empty-password"], check=True)
    for number, name in enumerate(("one", "two", "three")):
        words = ["-S", "-x", "-s", f"CN={name}", "-n", name, "-t", "CT,CT,CT", "-m", str(number), "-z", noise]
        subprocess.run(["certutil", "-d", database, *words], check=True, capture_output=True)


@pytest.mark.skipif(not shutil.which("certutil"), reason="needs certutil, of NSS")
async def test_a_smart_card_made_of_certificates(host: Host, tmp_path: Path) -> None:
    make_card(tmp_path)
    names = "".join(f"<certificate>{name}</certificate>" for name in ("one", "two", "three"))
    card = f"<smartcard mode='host-certificates'>{names}<database>sql:{tmp_path}</database></smartcard>"
    domain = await host.create(guest(card), paused=True)
    async with connected(monitor_of(domain, tmp_path)) as monitor:
        told = await monitor.execute("qom-list", {"path": "/machine/peripheral"})
    assert "smartcard0" in [each["name"] for each in told]


@pytest.mark.skipif(not shutil.which("dbus-daemon"), reason="needs dbus-daemon")
async def test_a_display_on_a_message_bus_of_its_own(host: Host, tmp_path: Path, short: Path) -> None:
    domain = await host.create(guest("<graphics type='dbus'/><video><model type='virtio'/></video>"), paused=True)
    address = re.findall("address='(unix:[^']*)'", await domain.xml())[0]
    query = ["--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.ListNames"]
    if shutil.which("dbus-send"):
        bus = address.replace(str(tmp_path), str(short))
        done = subprocess.run(["dbus-send", f"--bus={bus}", *query], capture_output=True, text=True, check=True)
        assert "org.qemu" in done.stdout
    assert any("dbus-daemon" in line for line in processes(tmp_path).values())
    await domain.poweroff()
    async with asyncio.timeout(20):
        while any("dbus-daemon" in line for line in processes(tmp_path).values()):
            await asyncio.sleep(0.05)


async def test_virtio_cards_and_an_agent_for_the_clipboard(host: Host, tmp_path: Path) -> None:
    agent = (
        "<channel type='qemu-vdagent'><source><clipboard copypaste='yes'/><mouse mode='client'/></source>"
        "<target type='virtio' name='com.redhat.spice.0'/></channel>"
    )
    cards = (
        "<video><model type='virtio' heads='2'><resolution x='800' y='600'/></model></video>"
        "<video><model type='virtio'/></video>"
    )
    vnc = "<graphics type='vnc' autoport='yes' websocket='-1' sharePolicy='force-shared' powerControl='yes'/>"
    domain = await host.create(guest(vnc + cards + agent, "q35"), paused=True)
    lines = {each["label"]: each["filename"] for each in await ask(domain, tmp_path, "query-chardev")}  # type: ignore[attr-defined]
    assert "charchannel0" in lines
    told = await ask(domain, tmp_path, "query-vnc-servers")
    assert sum(server["websocket"] for each in told for server in each["server"]) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        pytest.param(
            "<vsock><cid auto='yes'/></vsock>",
            "/dev/vhost-vsock",
            marks=pytest.mark.skipif(Path("/dev/vhost-vsock").exists(), reason="this host has vsocks"),
        ),
        pytest.param(
            "<graphics type='egl-headless'/>",
            "renders",
            marks=pytest.mark.skipif(Path("/dev/dri").exists(), reason="this host may render"),
        ),
        ("<graphics type='spice' port='-1' tlsPort='-1'/>", "TLS"),
        ("<graphics type='vnc'><listen type='network' network='lan'/></graphics>", "lan"),
        ("<video><driver name='vhostuser'/><model type='virtio'/></video>", "renders"),
        ("<tpm><backend type='passthrough'><device path='/dev/tpm99'/></backend></tpm>", "/dev/tpm99"),
    ],
)
async def test_what_this_host_cannot_do_is_said(host: Host, devices: str, message: str) -> None:
    with pytest.raises(VmherdError, match=message) as caught:
        await host.create(guest(devices))
    assert caught.value.hint


@pytest.mark.skipif(not Path("/dev/vhost-vsock").exists(), reason="needs /dev/vhost-vsock")
async def test_a_vsock_gets_a_context_id_of_its_own(host: Host) -> None:
    domains = [
        await host.create(guest("<vsock><cid auto='yes'/></vsock>").replace(">web<", f">{name}<"), paused=True)
        for name in ("first", "second")
    ]
    ids = [re.findall("cid auto='yes' address='([0-9]+)'", await domain.xml())[0] for domain in domains]
    assert len(set(ids)) == len(ids)
