"""What a URI says of the way to another host, and what is made of the errors that come back."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from vmherd import errors
from vmherd.api.aio import connect
from vmherd.driver.types import State
from vmherd.driver.uri import parse_uri
from vmherd.errors import InvalidArgument, VmherdError
from vmherd.remote import ssh
from vmherd.remote.target import sockets, target
from vmherd.rpc import failure, packet, protocol
from vmherd.rpc.caller import Failure
from vmherd.rpc.packet import Header, Packet, Status, Type, Unpacker
from vmherd.util.sockets import connect_unix


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("qemu+unix:///system", "qemu:///system"),
        ("qemu+ssh://root@box:2222/system?keyfile=/k&no_tty=1", "qemu:///system"),
        ("qemu://box/session", "qemu:///session"),
        ("test+tcp://box/default?name=test:///other", "test:///other"),
        ("qemu+unix:///embed?root=/a%20b&socket=/s", "qemu:///embed?root=%2Fa%20b"),
        ("remote+unix:///", ""),
        ("lxc+unix:///", "lxc:///"),
    ],
)
def test_the_other_side_is_asked_for_the_rest_of_the_uri(uri: str, name: str) -> None:
    assert target(parse_uri(uri)).name == name


@pytest.mark.parametrize(
    ("uri", "readonly", "places"),
    [
        ("qemu+unix:///system", False, ["vmherd/libvirt-sock", "libvirt/virtqemud-sock", "libvirt/libvirt-sock"]),
        (
            "qemu+unix:///system",
            True,
            ["vmherd/libvirt-sock-ro", "libvirt/virtqemud-sock-ro", "libvirt/libvirt-sock-ro"],
        ),
        ("qemu+unix:///system?mode=legacy", False, ["vmherd/libvirt-sock", "libvirt/libvirt-sock"]),
        ("qemu+unix:///system?mode=direct", False, ["libvirt/virtqemud-sock"]),
        ("lxc+unix:///system", False, ["vmherd/libvirt-sock", "libvirt/virtlxcd-sock", "libvirt/libvirt-sock"]),
    ],
)
def test_a_daemon_is_looked_for_where_daemons_listen(uri: str, readonly: bool, places: list[str]) -> None:
    assert sockets(target(parse_uri(uri)), readonly=readonly) == [Path("/run") / place for place in places]


def test_a_session_has_its_sockets_with_its_user() -> None:
    found = sockets(target(parse_uri("qemu+unix:///session")), readonly=True, environment={"XDG_RUNTIME_DIR": "/u"})
    assert found[-1] == Path("/u/libvirt/libvirt-sock")  # a session has no read-only one
    assert sockets(target(parse_uri("qemu+unix:///session?socket=/s")), readonly=True) == [Path("/s")]


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("qemu+libssh2://box/system", "no transport 'libssh2'"),
        ("qemu+pigeon://box/system", "no transport 'pigeon'"),
        ("qemu+unix://box/system", "UNIX socket with the remote server 'box'"),
        ("qemu+ext://box/system", "needs a command"),
        ("qemu+ssh://box/system?no_verify=yes", "no_verify='yes' is not a number"),
        ("qemu+ssh://box/system?proxy=carrier", "no proxy 'carrier'"),
        ("qemu+unix:///system?mode=odd", "no mode 'odd'"),
        ("qemu+tls://box/system?tls_priority=NORMAL", "tls_priority is not supported"),
    ],
)
def test_a_way_there_is_not_is_refused(uri: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        target(parse_uri(uri))


@pytest.mark.parametrize(
    ("uri", "wanted", "unwanted"),
    [
        ("qemu+ssh://box/system", ["virt-ssh-helper", "qemu:///system", "nc", "/run/libvirt/libvirt-sock"], []),
        ("qemu+ssh://box/session", ["virt-ssh-helper", "qemu:///session"], ["nc "]),
        ("qemu+ssh://box/system?proxy=netcat&netcat=ncat", ["ncat"], ["virt-ssh-helper"]),
        ("qemu+ssh://box/system?proxy=native", ["virt-ssh-helper"], ["nc "]),
        ("qemu+ssh://box/system?socket=/a%20b", ["-U $S", "'/a b'"], ["virt-ssh-helper"]),
    ],
)
def test_ssh_runs_what_finds_the_daemon(uri: str, wanted: list[str], unwanted: list[str]) -> None:
    words = ssh.command(target(parse_uri(uri)), readonly=False)
    assert words[0] == "ssh"
    assert words[-2] == "box"
    script = words[-1].replace("'\"'\"'", "'")  # as the inner shell sees it
    assert all(each in script for each in wanted), script
    assert not any(each in script for each in unwanted), script


def test_a_host_that_looks_like_an_option_is_none() -> None:
    words = ssh.command(target(parse_uri("qemu+ssh://-oProxyCommand=x/system")), readonly=False)
    assert words.index("--") < words.index("-oProxyCommand=x")


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (42, "Domain not found", errors.DomainNotFound),
        (8, "invalid argument: x", errors.InvalidArgument),
        (55, "Requested operation is not valid: x", errors.InvalidState),
        (9, "operation failed: domain 'a' already exists with uuid b", errors.AlreadyExists),
        (9, "operation failed: x", errors.OperationFailed),
        (3, "this function is not supported", errors.NotSupported),
        (27, "XML error: x", errors.DocumentError),
        (67, "unsupported configuration: x", errors.Unsupported),
        (29, "operation virDomainCreate forbidden for read only access", errors.ReadOnly),
        (88, "access denied", errors.Denied),
        (84, "Operation not supported: x", errors.OperationUnsupported),
        (49, "Storage pool not found", errors.NotFound),
        (1, "internal error: x", VmherdError),
        (105, "odd", VmherdError),
    ],
)
def test_errors_keep_their_number_and_their_words(code: int, message: str, kind: type[VmherdError]) -> None:
    problem = failure.raised(Failure(code, 10, message))
    assert isinstance(problem, kind)
    assert (problem.code, str(problem), problem.hint) == (code, message, "")


# Peers that do not behave


class Peer:
    """Answers each procedure with what the table says: fields, an error's number, or bytes that are no message."""

    def __init__(self, table: dict[str, Any]) -> None:
        self.asked: list[str] = []
        self._table = {"connect_supports_feature": (0,), "auth_list": ([0],), "connect_get_type": ("QEMU",)} | table

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        unpacker = Unpacker()
        while data := await reader.read(65536):
            for message in unpacker.feed(data):
                writer.write(self._answer(message))
        writer.close()

    def _answer(self, message: Packet) -> bytes:
        remote, header = protocol.program("remote"), message.header._replace(type=Type.REPLY)
        if header.program != remote.number:
            return self._refusal(header, 39)
        procedure = remote.procedures[header.procedure]
        self.asked.append(procedure.name)
        told = self._table.get(procedure.name, ())
        if isinstance(told, bytes):
            return told
        if isinstance(told, int):
            return self._refusal(header, told)
        return packet.pack(header, procedure.result.encode(told) if procedure.result else b"")

    @staticmethod
    def _refusal(header: Header, code: int) -> bytes:
        values = (code, 0, "no, thanks", 2, None, None, None, None, 0, 0, None)
        return packet.pack(
            header._replace(status=Status.ERROR), protocol.program("remote").codec("error").encode(values)
        )


@pytest.mark.parametrize(
    ("table", "kind", "words"),
    [
        ({"auth_list": ([2],), "auth_polkit": 45}, errors.Denied, "does not let us in: no, thanks"),
        ({"auth_list": ([2],), "auth_polkit": 1}, errors.Denied, "does not let us in"),
        ({"auth_list": ([1],)}, errors.Denied, "wants a password"),
        ({"connect_open": 5}, errors.ConnectFailed, "no, thanks"),
        ({"connect_open": b"HTTP/1.1 400 Bad Request\r\n\r\n"}, errors.ConnectFailed, "does not speak"),
        ({"auth_list": b"\0\0\0\x04"}, errors.ConnectFailed, "does not speak"),
        ({"auth_list": b"\xff\xff\xff\xff"}, errors.ConnectFailed, "does not speak"),
    ],
)
async def test_what_keeps_a_daemon_from_being_opened_is_told(
    tmp_path: Path, table: dict[str, Any], kind: type[VmherdError], words: str
) -> None:
    async with await asyncio.start_unix_server(Peer(table), tmp_path / "sock"):
        with pytest.raises(kind, match=words):
            await connect(f"qemu+unix:///system?socket={tmp_path}/sock")


async def test_a_result_that_is_none_harms_only_its_call(tmp_path: Path) -> None:
    table: dict[str, Any] = {
        "domain_lookup_by_name": (("a", "6695eb01-f6a4-8304-79aa-97f2502e193f", 3),),
        "domain_get_info": (1, 1, 1, 1, 1),
        "domain_get_state": (99, 7),  # a state of the future
        "domain_get_metadata": 80,
        "domain_is_persistent": (1,),
        "domain_get_autostart": (0,),
        "domain_has_managed_save_image": (0,),
        "connect_get_hostname": ("far",),
        "connect_get_capabilities": 1,
    }
    uri = f"qemu+unix:///system?socket={tmp_path}/sock"
    async with await asyncio.start_unix_server(Peer(table), tmp_path / "sock"), await connect(uri) as host:
        found = await host._driver.domain_find("a")
        assert (found.state, found.id) == (State.NOSTATE, 3)
        with pytest.raises(VmherdError, match="no, thanks"):
            await host.capabilities()
        assert await host.hostname() == "far"


async def test_a_save_nobody_waits_for_is_aborted_there(tmp_path: Path) -> None:
    peer = Peer({"domain_save_flags": b""})  # it takes its time
    uri = f"qemu+unix:///system?socket={tmp_path}/sock"
    async with await asyncio.start_unix_server(peer, tmp_path / "sock"), await connect(uri) as host:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await host._driver.domain_save("6695eb01-f6a4-8304-79aa-97f2502e193f", tmp_path / "image")
        async with asyncio.timeout(5):
            while "domain_abort_job" not in peer.asked:
                await asyncio.sleep(0.01)
        assert await host.is_alive()


async def test_a_daemon_with_many_at_its_door_is_waited_for(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "sock"))
    listener.listen(0)
    crowd = [connect_unix(tmp_path / "sock")]
    with pytest.raises(BlockingIOError):
        connect_unix(tmp_path / "sock")
    waiting = asyncio.create_task(connect(f"qemu+unix:///system?socket={tmp_path}/sock"))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    async with await asyncio.start_unix_server(Peer({}), sock=listener), await waiting as host:
        assert host.driver_name == "QEMU"
    for each in crowd:
        each.close()
