"""What the QEMU driver finds on a host: accelerators, binaries, folders, ports; and its two conversations."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from vmherd.driver.types import CheckStatus
from vmherd.driver.uri import parse_uri
from vmherd.errors import ConnectFailed, HostError, HypervisorError, NotResponding
from vmherd.hypervisors.qemu import agent, capabilities, helpers
from vmherd.hypervisors.qemu.folders import for_uri
from vmherd.hypervisors.qemu.host import doctor, ports
from vmherd.hypervisors.qemu.host.accel import kvm_usable
from vmherd.hypervisors.qemu.monitor import Refused, connected
from vmherd.util.process import identify

on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the signs are those of x86")


def host(root: Path, *, device: bool = True, flags: str = "fpu sse", module: str = "") -> Path:
    """A made-up /dev, /proc and /sys."""
    (root / "dev").mkdir()
    if device:
        (root / "dev" / "kvm").touch()
    (root / "proc").mkdir()
    (root / "proc" / "cpuinfo").write_text(f"processor : 0\nflags : {flags}\n")
    (root / "sys" / "module" / module).mkdir(parents=True)
    return root


def test_without_its_device_there_is_no_kvm(tmp_path: Path) -> None:
    verdict = kvm_usable(host(tmp_path, device=False))
    assert not verdict.usable
    assert "does not exist" in verdict.reason


@on_x86
def test_a_device_that_opens_is_no_proof(tmp_path: Path) -> None:
    verdict = kvm_usable(host(tmp_path, module="kvm_pvm"))
    assert not verdict.usable
    assert "VMX" in verdict.reason
    assert "nested" in verdict.hint


@on_x86
@pytest.mark.parametrize(("flags", "module"), [("fpu vmx", ""), ("svm", ""), ("fpu", "kvm_amd"), ("", "kvm_intel")])
def test_hardware_virtualization_or_its_module_is(flags: str, module: str, tmp_path: Path) -> None:
    assert kvm_usable(host(tmp_path, flags=flags, module=module)).usable


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_device_of_others_is_told_with_the_group(tmp_path: Path) -> None:
    (host(tmp_path) / "dev" / "kvm").chmod(0)
    assert "group 'kvm'" in kvm_usable(tmp_path).hint


FAKE = """#!/usr/bin/env python3
# Counts how often it is asked, and is no QEMU.
import pathlib, sys
counter = pathlib.Path(__file__ + ".count")
counter.write_text(str(int(counter.read_text()) + 1 if counter.exists() else 1))
sys.exit("I am no QEMU")
"""


async def test_a_program_that_is_no_qemu_is_told_in_its_own_words(tmp_path: Path) -> None:
    fake = tmp_path / "qemu-system-x86_64"
    fake.write_text(FAKE)
    fake.chmod(0o755)
    with pytest.raises(HypervisorError, match="I am no QEMU"):
        await capabilities.load(fake, tmp_path)
    assert not list(tmp_path.glob("capabilities-*"))


@pytest.fixture
def qemu() -> Path:
    try:
        return capabilities.find_binary(capabilities.host_arch())
    except HostError as missing:
        pytest.skip(missing.message)


async def test_a_binary_is_asked_once_until_it_changes(qemu: Path, tmp_path: Path) -> None:
    binary = tmp_path / "qemu"
    binary.symlink_to(qemu)
    first = await capabilities.load(binary, tmp_path)
    (cache,) = tmp_path.glob("capabilities-*")
    written = cache.stat().st_mtime_ns
    assert await capabilities.load(binary, tmp_path) == first
    assert cache.stat().st_mtime_ns == written  # each answer is written
    cache.write_bytes(b"damaged")
    assert await capabilities.load(binary, tmp_path) == first
    assert first.machine(None) is not None
    assert first.version >= (6, 0, 0)


async def test_without_a_folder_to_keep_answers_in_a_binary_is_asked_each_time(qemu: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "absent" / "cache"
    assert (await capabilities.load(qemu, nowhere)).arch == capabilities.host_arch()
    assert not nowhere.exists()


async def test_another_file_at_the_same_path_is_asked_anew(qemu: Path, tmp_path: Path) -> None:
    binary = tmp_path / "qemu"
    binary.symlink_to(qemu)
    await capabilities.load(binary, tmp_path)
    binary.unlink()
    binary.write_text(FAKE)
    binary.chmod(0o755)
    with pytest.raises(HypervisorError, match="I am no QEMU"):
        await capabilities.load(binary, tmp_path)
    assert (tmp_path / "qemu.count").read_text() == "1"


def test_a_missing_binary_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError) as caught:
        capabilities.find_binary("x86_64")
    assert caught.value.hint == "apt install qemu-system-x86"
    with pytest.raises(HostError, match="/none does not exist"):
        capabilities.find_binary("x86_64", "/none")


async def test_a_check_of_a_host_whose_qemu_is_broken_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / f"qemu-system-{capabilities.host_arch()}"
    fake.write_text(FAKE)
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    folders = for_uri(parse_uri(f"qemu:///embed?root={tmp_path}/own"))
    folders.create()
    found = {check.name: check for check in await doctor.checks(folders)}
    assert found["QEMU"].status is CheckStatus.FAIL
    assert "I am no QEMU" in found["QEMU"].message
    assert all(check.fix for check in found.values() if check.status is not CheckStatus.OK)


def test_folders_follow_the_mode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("STATE_HOME", "CACHE_HOME", "RUNTIME_DIR"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name.lower()))
    session = for_uri(parse_uri("qemu:///session"))
    assert session.database == tmp_path / "state_home" / "vmherd" / "qemu" / "state.db"
    assert session.run == tmp_path / "runtime_dir" / "vmherd" / "qemu"
    session.create()
    assert stat.S_IMODE(session.state.stat().st_mode) == 0o700
    assert for_uri(parse_uri(f"qemu:///embed?root={tmp_path}/own")).images == tmp_path / "own" / "images"
    for wrong in ("qemu:///", "qemu:///embed", "qemu:///sesion"):
        with pytest.raises(ConnectFailed) as caught:
            for_uri(parse_uri(wrong))
        assert "qemu:///session" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_the_system_is_roots() -> None:
    with pytest.raises(ConnectFailed, match="needs root"):
        for_uri(parse_uri("qemu:///system"))


def test_a_port_is_ours_until_its_lock_is_closed_and_never_one_of_others(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        candidates = range(taken, min(taken + 50, 65536))
        first, lock = ports.reserve(tmp_path, candidates, "127.0.0.1")
        second, second_lock = ports.reserve(tmp_path, candidates, "127.0.0.1")
        assert len({taken, first, second}) == 3
        os.close(lock)
        assert ports.reserve(tmp_path, [first], "127.0.0.1")[0] == first
        os.close(second_lock)
        with pytest.raises(HostError, match="every display port"):
            ports.reserve(tmp_path, [taken], "127.0.0.1")


def test_a_display_on_an_address_of_others_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"no display can listen on 203\.0\.113\.1") as caught:
        ports.reserve(tmp_path, ports.DISPLAYS, "203.0.113.1")  # RFC 5737: nobody has it
    assert "127.0.0.1" in caught.value.hint
    assert len(list(tmp_path.iterdir())) == 1


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def peer(path: Path, answer: Answer) -> AsyncIterator[Path]:
    """Somebody at the other end of a socket."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_unix_server(serve, path):
        yield path


GREETING = {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}, "capabilities": []}}


async def qmp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A monitor that answers, refuses, stays silent or leaves, as it is told."""
    writer.write(json.dumps(GREETING).encode() + b"\n")
    while text := await reader.read(4096):  # the client ends no line, and waits for each answer
        command = json.loads(text)
        answer: dict[str, object] = {"return": {"you": command["execute"]}}
        match command["execute"]:
            case "refuse":
                answer = {"error": {"class": "CommandNotFound", "desc": "never heard of it"}}
            case "silence":
                continue
            case "leave":
                return
        tag = {"id": command["id"]} if "id" in command else {}
        writer.write(json.dumps(answer | tag).encode() + b"\n")
        await writer.drain()


async def test_a_monitor_answers_refuses_stays_silent_and_leaves(tmp_path: Path) -> None:
    async with peer(tmp_path / "monitor.sock", qmp) as path, connected(path) as monitor:
        assert await monitor.execute("query-status") == {"you": "query-status"}
        with pytest.raises(Refused, match="never heard of it") as caught:
            await monitor.execute("refuse")
        assert caught.value.kind == "CommandNotFound"
        with pytest.raises(NotResponding, match="'silence' within"):
            await monitor.execute("silence", patience=0.1)
        with pytest.raises(HypervisorError, match="went away during 'leave'"):
            await monitor.execute("leave")


async def test_a_monitor_that_does_not_greet_is_given_up(tmp_path: Path) -> None:
    async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with peer(tmp_path / "monitor.sock", mute) as path:
        with pytest.raises(NotResponding, match="did not greet"):
            async with connected(path, patience=0.1):
                pass
    with pytest.raises(HypervisorError, match="cannot reach QEMU"):
        async with connected(tmp_path / "none.sock"):
            pass


async def guest_agent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An agent with half an old message in its way."""
    writer.write(b'{"return": "of somebody before"}\n')
    while line := await reader.readline():
        command = json.loads(line.lstrip(b"\xff"))
        match command["execute"]:
            case "guest-sync-delimited":
                writer.write(
                    b'\xff{"return": 1}\n\xff' + json.dumps({"return": command["arguments"]["id"]}).encode() + b"\n"
                )
            case "guest-ping":
                writer.write(b'{"return": {}}\n')
            case "guest-shutdown":
                pass  # on success it says nothing
            case "guest-lie":
                writer.write(b"\xfe\xfe\n")
            case _:
                writer.write(b'{"error": {"class": "GenericError", "desc": "no"}}\n')


async def test_an_agent_is_heard_through_what_others_left(tmp_path: Path) -> None:
    async with peer(tmp_path / "agent.sock", guest_agent) as path:
        connection = await agent.Agent.connect(path, patience=5)
        assert await connection.execute("guest-ping") == {}
        with pytest.raises(HypervisorError, match="unable to execute QEMU agent command 'guest-destroy': no"):
            await connection.execute("guest-destroy")
        with pytest.raises(HypervisorError, match="does not speak JSON"):
            await connection.execute("guest-lie")
        await connection.go("guest-shutdown", {"mode": "powerdown"}, patience=0.2)  # silence is consent
        connection.close()


async def test_an_agent_that_is_not_there_is_told(tmp_path: Path) -> None:
    async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def leave(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readline()

    for answer in (mute, leave):
        async with peer(tmp_path / f"{answer.__name__}.sock", answer) as path:
            with pytest.raises(NotResponding) as caught:
                await agent.Agent.connect(path, patience=0.1)
        assert "qemu-guest-agent" in caught.value.hint
    with pytest.raises(HypervisorError, match="no agent channel"):
        await agent.Agent.connect(tmp_path / "none.sock")


async def test_an_agent_that_answers_no_more_is_told_so(tmp_path: Path) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            command = json.loads(line.lstrip(b"\xff"))
            match command["execute"]:
                case "guest-sync-delimited":
                    writer.write(b"\xff" + json.dumps({"return": command["arguments"]["id"]}).encode() + b"\n")
                case "guest-exec":
                    writer.write(b"x" * (5 << 20))  # more than anybody reads
                case "guest-leave":
                    return

    async with peer(tmp_path / "agent.sock", babble) as path:
        for command, complaint in (("guest-exec", "broke off"), ("guest-leave", "broke off")):
            connection = await agent.Agent.connect(path, patience=5)
            with pytest.raises(HypervisorError, match=complaint):
                await connection.execute(command)
            connection.close()
        connection = await agent.Agent.connect(path, patience=5)
        with pytest.raises(NotResponding, match=r"didn't respond to command within '0\.1' seconds"):
            await connection.execute("guest-silence", patience=0.1)
        connection.close()


async def test_a_helper_that_fails_is_quoted(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as log:
        log.write(b"what was said before\n")
        log.flush()
        helper = helpers.start(["sh", "-c", "echo no luck today; exit 1"], "unlucky", tmp_path, log=log.fileno())
        with pytest.raises(HostError, match=r"makes a\.sock ended: no luck today$"):
            await helpers.listening(helper, tmp_path / "a.sock")


async def test_a_helper_that_does_not_listen_to_reason_is_ended(tmp_path: Path) -> None:
    deaf = "trap '' TERM; touch ready; while :; do sleep 1; done"
    with (tmp_path / "log").open("ab") as log:
        helper = helpers.start(["sh", "-c", deaf], "deaf", tmp_path, log=log.fileno())
        await helpers.listening(helper, tmp_path / "ready")
    helpers.end_all(tmp_path)
    async with asyncio.timeout(5):
        while identify(helper.process.pid) == helper.process:
            await asyncio.sleep(0.01)
