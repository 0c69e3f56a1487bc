"""Clients that break the rules: they get an error or are cut off, and nobody else notices."""

from __future__ import annotations

import array
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from vmherd.daemon.wire.gate import ServerLimits
from vmherd.daemon.wire.terms import Limits
from vmherd.rpc import packet
from vmherd.rpc.packet import Header, Status, Type
from wire import REMOTE, RawClient, Service, serving

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with serving(tmp_path / "sock") as running:
        yield running


@pytest.fixture
def bystander(service: Service) -> Iterator[RawClient]:
    """Somebody who keeps the rules, and must not notice."""
    with RawClient(service.path).open() as client:
        yield client
        assert client.call("connect_get_hostname")


def raw(name: str, body: bytes, **changes: int) -> bytes:
    """A call with any body and any header."""
    header = Header(REMOTE.number, REMOTE.version, REMOTE.by_name[name].number, Type.CALL, 9, Status.OK)
    return packet.pack(header._replace(**changes), body)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        bytes(64),
        b"\xff" * 64,
        struct.pack(">I", 27) + bytes(23),
        struct.pack(">I", packet.LARGEST) + bytes(100),
        raw("connect_get_hostname", b"", type=Type.REPLY),
        raw("connect_get_hostname", b"", type=99),
        raw("connect_get_hostname", b"", type=Type.CALL_WITH_FDS),
        raw("connect_get_hostname", struct.pack(">I", 33), type=Type.CALL_WITH_FDS),
        raw("connect_get_hostname", struct.pack(">I", 1), type=Type.CALL_WITH_FDS) + b"\0",
    ],
)
def test_what_is_no_message_ends_the_connection(service: Service, bystander: RawClient, data: bytes) -> None:
    with RawClient(service.path) as client:
        client.send(data)
        assert client.ended()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (raw("connect_get_hostname", b"", program=0xDEAD), "Cannot find program"),
        (raw("connect_get_hostname", b"", version=2), "Cannot find program"),
        (raw("connect_get_hostname", b"", procedure=0), "unknown procedure"),
        (raw("connect_get_hostname", b"", procedure=-5), "unknown procedure"),
        (raw("connect_get_hostname", b"", procedure=107), "unknown procedure"),
        (raw("connect_get_hostname", b"more"), "4 bytes too many"),
        (raw("domain_create", b""), "ends in the middle"),
        (raw("domain_lookup_by_name", struct.pack(">I", 0xFFFFFFFF)), "are allowed"),
        (raw("domain_lookup_by_name", struct.pack(">I", 4 << 20) + bytes(8)), "ends in the middle"),
        (raw("connect_get_all_domain_stats", struct.pack(">iII", -1, 0, 0)), "are allowed"),
        (raw("connect_get_all_domain_stats", struct.pack(">iII", 16384, 0, 0)), "ends in the middle"),
        (raw("domain_migrate_perform3_params", bytes(40)), "not supported"),
        (raw("network_lookup_by_name", struct.pack(">I", 1) + b"n\0\0\0"), "not supported"),
    ],
)
def test_a_call_that_is_wrong_is_answered_with_an_error(service: Service, data: bytes, words: str) -> None:
    with RawClient(service.path).open() as client:
        client.send(data)
        answer = client.receive()
        assert (answer.header.status, answer.header.serial) == (Status.ERROR, 9)
        assert words in client.words(answer)
        assert client.call("connect_get_hostname"), "the connection goes on"


def test_nothing_is_answered_before_a_connection_is_open(service: Service) -> None:
    early = {"auth_list", "connect_open", "connect_close", "connect_supports_feature"}
    with RawClient(service.path) as client:
        for procedure in REMOTE.procedures.values():
            if procedure.event or procedure.name in early:
                continue
            client.send(raw(procedure.name, b""))
            assert client.receive().header.status == Status.ERROR, procedure.name
        client.open()
        client.send(client.message("connect_open", "test:///default", 0))
        assert "open already" in client.words(client.receive())


def test_a_message_of_a_stream_that_is_not_there_is_nothing(service: Service) -> None:
    with RawClient(service.path).open() as client:
        for status in (0, 1, 2, 7, -1):
            client.send(raw("domain_open_console", b"data", type=Type.STREAM, serial=77, status=status))
        client.send(raw("domain_open_console", struct.pack(">qI", -1, 0), type=Type.STREAM_HOLE, serial=77))
        assert client.call("connect_get_hostname")


def test_a_flood_of_calls_is_answered_in_turn(service: Service, bystander: RawClient) -> None:
    count = 5000
    with RawClient(service.path).open() as client:
        client.socket.settimeout(0.01)
        data = memoryview(b"".join(client.message("domain_lookup_by_name", "test") for _ in range(count)))
        got = 0
        while got < count:
            with suppress(TimeoutError):
                if data:
                    data = data[client.socket.send(data) :]
            with suppress(TimeoutError):
                client.receive()
                got += 1


def test_who_does_not_read_is_heard_no_more_and_costs_little(service: Service, bystander: RawClient) -> None:
    with RawClient(service.path, patience=0.5).open() as client:
        dump = client.message("domain_get_xml_desc", ("test", UUID, 1), 0)
        with pytest.raises(TimeoutError):
            while True:
                client.send(dump * 500)
        waiting = service.do(lambda: max(one._channel.waiting for one in service.server.clients.values()))
        assert waiting < 2 << 20
        began = time.monotonic()
        assert bystander.call("connect_get_hostname")
        assert time.monotonic() - began < 1


def test_descriptors_that_nobody_announced_are_closed(service: Service) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with RawClient(service.path).open() as client, open("/dev/null") as file:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()] * 30))]
        message = client.message("connect_get_hostname")
        client.socket.sendmsg([message], rights)
        client.receive()
        client.socket.sendmsg([message], rights)
        assert client.ended()
    deadline = time.monotonic() + 5
    while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_there_are_no_more_clients_than_allowed_and_the_others_wait(tmp_path: Path) -> None:
    with serving(tmp_path / "sock", limits=ServerLimits(clients=4)) as service:
        clients = [RawClient(service.path).open() for _ in range(4)]
        with RawClient(service.path, patience=0.3) as fifth:
            with pytest.raises(TimeoutError):
                fifth.call("auth_list")
            clients.pop().socket.close()
            assert fifth.receive().header.status == Status.OK
            fifth.open()
        for client in clients:
            client.socket.close()


def test_who_says_nothing_makes_room_and_is_cut_off_in_the_end(tmp_path: Path) -> None:
    limits = ServerLimits(unopened=2, unopened_seconds=2.0)
    path = tmp_path / "sock"
    with serving(path, limits=limits), RawClient(path) as one, RawClient(path) as two, RawClient(path) as three:
        assert one.call("auth_list")
        assert two.call("auth_list")
        began = time.monotonic()
        assert three.call("auth_list")
        assert 0.5 < time.monotonic() - began < 2, "one has a second to open a connection before it has to go"
        assert one.ended()
        two.call("connect_open", "test:///default", 0)
        assert three.ended(), "time to open a connection is over"
        assert two.call("connect_get_type")


def test_a_thousand_connections_come_and_go(service: Service, bystander: RawClient) -> None:
    for _ in range(10):
        crowd = [RawClient(service.path) for _ in range(100)]
        for client in crowd[::2]:
            client.send(client.message("auth_list")[:11])
        for client in crowd:
            client.socket.close()
    deadline = time.monotonic() + 5
    while (left := service.do(lambda: len(service.server.clients))) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert left == 1


def test_who_does_not_answer_is_given_up(tmp_path: Path) -> None:
    limits = Limits(keepalive_interval=0.1, keepalive_count=2)
    path = tmp_path / "sock"
    with serving(path, client_limits=limits), RawClient(path).open() as silent, RawClient(path).open() as answering:
        for client in (silent, answering):
            client.call("connect_supports_feature", 10)
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            header = answering.receive().header
            assert (header.program, header.procedure) == (packet.KEEPALIVE_PROGRAM, packet.PING)
            answering.send(packet.pack(header._replace(procedure=packet.PONG)))
        pings = 0
        with pytest.raises((EOFError, ConnectionResetError)):
            while True:
                pings += silent.receive().header.procedure == packet.PING
        assert pings == 2
