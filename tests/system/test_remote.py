"""One API over every way: the driver itself, a vmherd's wire, a libvirtd's wire."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from daemons import RunningDaemon
from parts import Ear, free_port

from support.certificates import Authority
from support.libvirtd import Libvirtd, missing, running
from vmherd.api.aio import Host, connect
from vmherd.driver.host import HostCpuMap, SuspendTarget
from vmherd.driver.types import RunningReason, Scope, State
from vmherd.errors import (
    AlreadyExists,
    ConnectFailed,
    DeviceMissing,
    DocumentError,
    DomainNotFound,
    InvalidArgument,
    InvalidState,
    NotSupported,
    ReadOnly,
    VmherdError,
)
from vmherd.events import Lifecycle, LifecycleEvent
from wire import Service, serving

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"

GUEST = """\
<domain type='test'>
  <name>{name}</name>
  <uuid>11111111-2222-3333-4444-{number:012}</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>2</vcpu>
  <os><type arch='i686'>hvm</type></os>
</domain>
"""


def guest(number: int) -> str:
    return GUEST.format(name=f"guest{number}", number=number)


@pytest.fixture(params=["direct", "vmherd", "libvirtd"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The test driver, three ways; a libvirtd's is the same one for all tests, so they clean up."""
    if request.param == "direct":
        yield "test:///default"
    elif request.param == "vmherd":
        with serving(tmp_path / "sock") as service:
            yield f"test+unix:///default?socket={service.path}"
            assert not service.mistakes
    else:
        yield request.getfixturevalue("libvirtd").uri("test:///default")


@pytest.fixture
async def host(uri: str) -> AsyncIterator[Host]:
    async with await connect(uri) as host:
        yield host
        for info in await host.domains():
            if info.name != "test":
                domain = await host.domain(info.name)
                if info.active:
                    await domain.poweroff()
                if info.persistent:
                    await domain.undefine()


async def test_the_host_is_the_same_one(host: Host) -> None:
    info = await host.hardware.info()
    assert (info.model, info.memory >> 20, info.cpus, info.mhz) == ("i686", 3072, 16, 1400)
    assert (info.nodes, info.sockets, info.cores, info.threads) == (2, 2, 2, 2)
    assert await host.hardware.cpu_map() == HostCpuMap(present=8, online=(0, 2, 4))
    times = await host.hardware.cpu_times()
    assert (times.user, times.system, times.iowait) == pytest.approx((9.7974, 34678.7234, 0.7636))
    assert await host.hardware.free_memory() == 3 << 20
    assert await host.hardware.cells_free_memory() == [2 << 20, 4 << 20]
    assert await host.hardware.cells_free_memory(1, 5) == [4 << 20]
    assert "LENOVO" in await host.hardware.sysinfo()
    assert (await host.security_model()).model == "testSecurity"
    assert await host.max_vcpus() == 32
    assert await host.is_alive()
    assert await host.is_secure()
    assert not await host.is_encrypted()
    models = await host.hardware.cpu_model_names("x86_64")
    assert models[0] == "486"
    assert "EPYC-Milan" in models
    assert "<arch>i686</arch>" in await host.capabilities()


async def test_devices_come_and_go(host: Host, uri: str) -> None:
    if "run/libvirt-sock" in uri:
        pytest.skip("libvirt's test driver plugs in nothing but devices of its own host")
    domain, disk = await host.define(guest(1)), "<disk type='file' device='cdrom'>{}<target dev='hda'/></disk>"
    await domain.start()
    await domain.devices.attach(disk.format(""), Scope(live=True, config=True))
    await domain.devices.attach("<rng model='virtio'><alias name='ua-dice'/><backend model='builtin'/></rng>")
    await domain.devices.update(disk.format("<source file='/a.iso'/>"), Scope(config=True))
    assert "/a.iso" in await domain.xml(inactive=True)
    assert "/a.iso" not in await domain.xml()
    await domain.devices.detach(disk.format(""))
    await domain.devices.detach_alias("ua-dice")
    assert "<disk" not in await domain.xml()
    with pytest.raises(DeviceMissing, match="disk hda not found"):
        await domain.devices.detach(disk.format(""))


async def test_what_the_test_driver_lacks_is_refused_alike(host: Host) -> None:
    for refused in (
        host.hardware.memory(),
        host.hardware.memory_parameters(),
        host.hardware.suspend(SuspendTarget.MEM, 90),
        host.hardware.allocate_pages({2 << 20: 1}),
        host.compare_cpu("<cpu><model>Westmere</model></cpu>"),
    ):
        with pytest.raises(NotSupported):
            await refused
    with pytest.raises(InvalidArgument, match="cannot find architecture foo"):
        await host.hardware.cpu_model_names("foo")
    with pytest.raises(InvalidArgument, match="exceeds available cells"):
        await host.hardware.cells_free_memory(2)


async def test_domains_are_found_by_name_uuid_and_id(host: Host) -> None:
    (info,) = await host.domains()
    assert (info.name, info.uuid, info.state, info.persistent) == ("test", UUID, State.RUNNING, True)
    assert (info.max_memory, info.memory, info.vcpus) == (8 << 30, 2 << 30, 2)
    for key in ("test", UUID, UUID.upper(), str(info.id)):
        domain = await host.domain(key)
        assert (domain.name, domain.uuid) == ("test", UUID), key
    for key in ("nobody", "99", UUID.replace("6", "7")):
        with pytest.raises(DomainNotFound):
            await host.domain(key)


async def test_a_life_over_the_way_with_its_events(host: Host) -> None:
    async with Ear(host) as ear:
        domain = await host.define(guest(1))
        assert not (await domain.info()).active
        await domain.start()
        assert (await domain.info()).reason == RunningReason.BOOTED
        await domain.suspend()
        assert await domain.state() is State.PAUSED
        await domain.resume()
        await domain.set_autostart(True)
        assert (await domain.info()).autostart
        await domain.shutdown()
        await ear.hear(Lifecycle.STOPPED)
        assert await domain.state() is State.SHUTOFF
        await domain.undefine()
        await ear.hear(Lifecycle.UNDEFINED)
    heard = [event.event for event in ear.heard if isinstance(event, LifecycleEvent) and event.name == "guest1"]
    assert heard == [
        Lifecycle.DEFINED,
        Lifecycle.STARTED,
        Lifecycle.SUSPENDED,
        Lifecycle.RESUMED,
        Lifecycle.STOPPED,
        Lifecycle.UNDEFINED,
    ]
    with pytest.raises(DomainNotFound):
        await domain.info()


async def test_transient_domains_are_gone_when_they_stop(host: Host) -> None:
    domain = await host.create(guest(2))  # libvirt's test driver knows no paused start
    info = await domain.info()
    assert (info.persistent, info.state) == (False, State.RUNNING)
    await domain.poweroff()
    with pytest.raises(DomainNotFound):
        await host.domain("guest2")


async def test_mistakes_have_the_same_class_whoever_tells_them(host: Host) -> None:
    domain = await host.domain("test")
    with pytest.raises(VmherdError, match="already running"):  # to libvirt's test driver it is an internal error
        await domain.start()
    with pytest.raises(VmherdError, match="not paused"):
        await domain.resume()
    off = await host.define(guest(9))
    with pytest.raises(VmherdError, match="not running"):
        await off.suspend()
    with pytest.raises(InvalidState, match="not running"):
        await off.poweroff()
    await off.start()
    await off.suspend()
    await off.shutdown()
    assert await off.state() is State.SHUTOFF
    with pytest.raises(DocumentError):
        await host.define("<domain type='test'><name>x</name>")
    with pytest.raises(AlreadyExists):
        await host.define(guest(3).replace("guest3", "test"))
    assert len(await host.domains()) == 2


async def test_a_readonly_connection_changes_nothing(uri: str) -> None:
    async with await connect(uri, readonly=True) as host:
        domain = await host.domain("test")
        for refused in (domain.suspend(), domain.xml(secure=True), host.define(guest(5))):
            with pytest.raises(ReadOnly):
                await refused
        assert "<name>test</name>" in await domain.xml()


async def test_documents_are_those_of_the_other_side(host: Host) -> None:
    domain = await host.define(guest(6))
    text = await domain.xml(inactive=True)
    assert "<name>guest6</name>" in text
    assert "<vcpu placement='static'>2</vcpu>" in text
    again = await host.define(text)
    assert again.uuid == domain.uuid


async def test_many_calls_wait_at_once(host: Host) -> None:
    answers = await asyncio.gather(*(host.hostname() for _ in range(300)))
    assert len(set(answers)) == 1


async def test_a_cancelled_call_leaves_the_connection_in_order(host: Host) -> None:
    tasks = [asyncio.ensure_future(host.domains()) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(each, list) for each in done[1::2])
    assert await host.hostname()


# Losing the other side


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with serving(tmp_path / "sock") as running:
        yield running


async def test_a_lost_connection_ends_every_call_and_every_event(service: Service) -> None:
    host = await connect(f"test+unix:///default?socket={service.path}")
    async with Ear(host) as ear:

        def drop() -> None:
            time.sleep(0.3)  # so long nothing is answered
            for client in list(service.server.clients.values()):
                client.close()

        dropping = asyncio.ensure_future(asyncio.to_thread(service.do, drop))
        await asyncio.sleep(0.1)
        calls = [asyncio.ensure_future(host.domains()) for _ in range(5)]
        await dropping
        for ended in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(ended, ConnectFailed)
        async with asyncio.timeout(5):
            await ear._task
    with pytest.raises(ConnectFailed):
        await host.hostname()
    assert not await host.is_alive()
    await host.close()


# The ways


async def test_a_socket_nobody_listens_at_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConnectFailed, match=r"no daemon listens at .*/nobody"):
        await connect(f"qemu+unix:///system?socket={tmp_path}/nobody")


async def test_a_silent_daemon_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmherd.remote.connection._PATIENCE", 0.3)
    server = await asyncio.start_unix_server(lambda reader, writer: None, tmp_path / "sock")
    async with server:
        with pytest.raises(ConnectFailed, match="does not answer"):
            await connect(f"qemu+unix:///system?socket={tmp_path}/sock")


SSH = """\
#!/bin/sh
printf '%s\\n' "$@" > {log}
while [ "$1" != -- ]; do shift; done
shift 2
exec sh -c "$1"
"""


@pytest.mark.skipif(not shutil.which("nc"), reason="needs nc (package netcat-openbsd)")
async def test_ssh_carries_the_bytes(service: Service, tmp_path: Path) -> None:
    """The other end is this host's shell; what would be said to a real ssh is looked at."""
    ssh, log = tmp_path / "ssh", tmp_path / "log"
    ssh.write_text(SSH.format(log=log))
    ssh.chmod(0o755)
    uri = f"test+ssh://me@box:2222/default?socket={service.path}&command={ssh}&keyfile=/k&no_verify=1&no_tty=1"
    async with await connect(uri) as host:
        assert (await host.domain("test")).uuid == UUID
        assert await host.is_encrypted()
    words = log.read_text().splitlines()
    assert words[:6] == ["-p", "2222", "-l", "me", "-i", "/k"]
    assert "BatchMode=yes" in words
    assert "StrictHostKeyChecking=no" in words
    assert words[words.index("--") + 1] == "box"


INSIDE = """\
#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift 2
exec {inside} sh -c "$1"
"""


@pytest.mark.skipif(not shutil.which("virt-ssh-helper"), reason="needs virt-ssh-helper (package libvirt-daemon)")
async def test_libvirts_helper_finds_the_daemon_at_the_other_end(libvirtd: Libvirtd, tmp_path: Path) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(INSIDE.format(inside=" ".join(libvirtd.inside())))
    ssh.chmod(0o755)
    async with await connect(f"test+ssh://box/default?command={ssh}") as host:
        assert (await host.domain("test")).uuid == UUID
    with pytest.raises(VmherdError, match="connection driver"):
        await connect(f"test+ssh://box/default?command={ssh}&proxy=native&name=nonsense:///")


async def test_what_ssh_complains_of_is_told(tmp_path: Path) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho 'Host key verification failed.' >&2\nexit 255\n")
    ssh.chmod(0o755)
    with pytest.raises(ConnectFailed, match="Host key verification failed"):
        await connect(f"qemu+ssh://box/system?command={ssh}")
    with pytest.raises(ConnectFailed, match="cannot run"):
        await connect(f"qemu+ssh://box/system?command={tmp_path}/none")


async def test_certificates_are_shown_and_asked_for(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    authority.issue("server", "/CN=localhost")
    mine = authority.client(tmp_path / "mine", "/CN=me")
    strange = Authority(tmp_path / "strange").client(tmp_path / "stranger", "/CN=me")
    port, ca = free_port(), authority.folder
    settings = f'listen = ["127.0.0.1:{port}"]\nca = "{ca}/cacert.pem"\n'
    settings += f'certificate = "{ca}/servercert.pem"\nkey = "{ca}/serverkey.pem"'
    with RunningDaemon(tmp_path, f"[tls]\n{settings}"):
        uri = f"test://127.0.0.1:{port}/default?pkipath="
        async with await connect(f"{uri}{mine}") as host:
            assert await host.is_encrypted()
            assert [info.name for info in await host.domains()] == ["test"]
        with pytest.raises(ConnectFailed, match=r"self-signed|verify|unable to get local issuer"):
            await connect(f"{uri}{strange}")
        shutil.copy(ca / "cacert.pem", strange)  # now it believes the server, and is not believed
        with pytest.raises(ConnectFailed, match=r"certificate|TLS"):
            await connect(f"{uri}{strange}")
        with pytest.raises(ConnectFailed, match=r"cannot use .*/nowhere/cacert.pem"):
            await connect(f"{uri}{tmp_path}/nowhere")


def test_libvirtd_is_reached_by_tls_by_tcp_and_at_its_own_place(tmp_path: Path) -> None:
    """In its network namespace; so the client is a process there."""
    if problem := missing():
        pytest.skip(f"libvirtd {problem}")
    authority = Authority(tmp_path / "ca")
    authority.issue("server", "/CN=localhost")
    mine, ca = authority.client(tmp_path / "mine", "/CN=me"), authority.folder
    network = f'listen_tcp = 1\nauth_tcp = "none"\nca_file = "{ca}/cacert.pem"\n'
    network += f'cert_file = "{ca}/servercert.pem"\nkey_file = "{ca}/serverkey.pem"\n'
    with running(tmp_path / "libvirtd", network=network) as libvirtd:
        for uri in (
            f"test+tls://127.0.0.1/default?pkipath={mine}",
            "test+tcp://127.0.0.1/default",
            "test+unix:///default",
        ):
            words = [*libvirtd.inside(), sys.executable, "-m", "vmherd", "-c", uri, "list", "--json"]
            done = subprocess.run(words, capture_output=True, text=True, timeout=60)
            assert UUID in done.stdout, done.stderr


async def test_a_daemon_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmherd.remote.connection._BEAT", 0.2)
    monkeypatch.setattr("vmherd.remote.connection._BEATS", 2)
    with RunningDaemon(tmp_path) as daemon:
        host = await connect(f"test+unix:///default?socket={daemon.run}/libvirt-sock")
        waiting = asyncio.ensure_future(host.domains())
        daemon.signal(signal.SIGSTOP)
        try:
            asked = asyncio.ensure_future(host.hostname())
            with pytest.raises(ConnectFailed, match="said nothing"):
                async with asyncio.timeout(10):
                    await asyncio.gather(waiting, asked)
                    await host.hostname()
        finally:
            daemon.signal(signal.SIGCONT)
        await host.close()
