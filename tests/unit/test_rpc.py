"""The wire's values and messages: what goes out comes back, and bad bytes are refused before they cost anything."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from vmherd import events
from vmherd.events import EventId
from vmherd.rpc import packet, protocol
from vmherd.rpc.channel import SocketChannel
from vmherd.rpc.events import BY_PROCEDURE, SHAPES
from vmherd.rpc.packet import Header, Packet, Status, Type, Unpacker
from vmherd.rpc.xdr import BadMessage, Encoded, TypedParam

UUID = "c7a5fdbd-cdaf-9455-926a-d65c16db1809"
REMOTE = protocol.program("remote")
HEADER = Header(REMOTE.number, REMOTE.version, 1, Type.CALL, 7, Status.OK)


def both_ways(name: str, *values: Any) -> Any:
    codec = REMOTE.codec(name)
    data = codec.encode(values)
    found, end = codec.decode(data, 0)
    assert end == len(data)
    return found


def test_every_procedure_has_codecs() -> None:
    count = 0
    for name in ("remote", "qemu", "lxc"):
        for procedure in protocol.program(name).procedures.values():
            count += name == "remote"
            assert bool(procedure.arguments) == bool(procedure.args)
            assert bool(procedure.result) == bool(procedure.ret)
    assert count == 443


def test_values_come_back() -> None:
    domain = ("gäst", UUID, -1)
    assert both_ways("domain_get_xml_desc_args", domain, 3) == (domain, 3)
    assert both_ways("connect_open_args", None, 1) == (None, 1)
    assert both_ways("connect_list_all_domains_ret", [domain] * 3, 3).domains == [domain] * 3
    info = ("x86_64", 1 << 40, 4, 2000, 1, 1, 2, 2)
    assert both_ways("node_get_info_ret", *info) == info
    params = [TypedParam("a", kind, value) for kind, value in ((1, -1), (4, 1 << 63), (5, 0.5), (7, "text"))]
    assert both_ways("domain_get_job_stats_ret", 1, params).params == params


def test_what_was_written_before_stands_in_place_of_its_values() -> None:
    remote = protocol.program("remote")
    record = ("web", "11111111-2222-3333-4444-555555555555", -1), [TypedParam("state.state", 1, 5)]
    written = Encoded(remote.codec("domain_stats_record").encode(record))
    all_of_them = remote.codec("connect_get_all_domain_stats_ret")
    assert all_of_them.encode(([written, record],)) == all_of_them.encode(([record, record],))


def test_bytes_are_libvirts() -> None:
    """As RFC 4506 and libvirt's protocol files lay them out."""
    data = REMOTE.codec("domain_create_args").encode((("abcde", UUID, 5),))
    assert data == b"\0\0\0\5abcde\0\0\0" + bytes.fromhex(UUID.replace("-", "")) + b"\0\0\0\5"
    assert packet.pack(HEADER, data)[:28] == struct.pack(">7I", 60, 0x20008086, 1, 1, 0, 7, 0)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("domain_create_args", b""),
        ("domain_create_args", b"\0\0\0\5abc"),
        ("domain_create_args", b"\xff\xff\xff\xffabcd" + bytes(20)),
        ("domain_create_args", b"\0\0\0\1\0\0\0\0" + bytes(20)),
        ("domain_create_args", b"\0\0\0\1\xff\0\0\0" + bytes(20)),
        ("connect_get_all_domain_stats_args", b"\0\0\x3f\xff" + bytes(64)),
        ("connect_get_all_domain_stats_args", b"\x7f\xff\xff\xff" + bytes(64)),
        ("connect_open_args", b"\0\0\0\2" + bytes(8)),
        (
            "domain_set_memory_parameters_args",
            b"\0\0\0\0" + bytes(20) + b"\0\0\0\1\0\0\0\1a\0\0\0\0\0\0\x09" + bytes(12),
        ),
    ],
)
def test_bad_bytes_are_refused(name: str, data: bytes) -> None:
    with pytest.raises(BadMessage):
        REMOTE.codec(name).decode(data, 0)


def test_messages_are_found_wherever_they_are_cut() -> None:
    wanted = [Packet(HEADER._replace(serial=n), os.urandom(n * 7 % 50)) for n in range(20)]
    stream = b"".join(packet.pack(header, body) for header, body, _ in wanted)
    for size in (1, 3, 28, 29, len(stream)):
        unpacker = Unpacker()
        found = [one for at in range(0, len(stream), size) for one in unpacker.feed(stream[at : at + size])]
        assert found == wanted


@pytest.mark.parametrize("length", [0, 3, 27, packet.LARGEST + 1, 0xFFFFFFFF])
def test_a_length_that_cannot_be_is_refused_at_once(length: int) -> None:
    with pytest.raises(BadMessage):
        list(Unpacker().feed(struct.pack(">I", length)))


def test_nothing_is_kept_of_a_large_message_but_its_parts() -> None:
    unpacker = Unpacker(largest=65536)
    with pytest.raises(BadMessage):
        list(unpacker.feed(struct.pack(">I", 65537) + bytes(100)))


@pytest.fixture
def files() -> Iterator[list[int]]:
    ends = [*os.pipe(), *os.pipe()]
    yield ends
    for fd in ends:
        os.close(fd)


async def test_descriptors_travel_with_their_message(files: list[int]) -> None:
    ours, theirs = socket.socketpair()
    got: list[Packet] = []
    unpacker = Unpacker()
    sender, receiver = SocketChannel(ours), SocketChannel(theirs)
    receiver.receive = lambda data, fds: got.extend(unpacker.feed(data, fds))
    receiver.resume()
    header = HEADER._replace(type=Type.CALL_WITH_FDS)
    for serial in (1, 2):
        fds = [os.dup(fd) for fd in files]
        sender.send(packet.pack_with_fds(header._replace(serial=serial), b"body", fds), fds)
    sender.send(packet.pack(HEADER, b"after"))
    while len(got) < 3:
        receiver._readable()
    assert [(one.header.serial, one.body, len(one.fds)) for one in got] == [
        (1, b"body", 4),
        (2, b"body", 4),
        (7, b"after", 0),
    ]
    assert [os.fstat(fd).st_ino for fd in got[0].fds] == [os.fstat(fd).st_ino for fd in files]
    for fd in (*got[0].fds, *got[1].fds):
        os.close(fd)
    sender.close()
    receiver.close()


_SAMPLES: list[events.DomainEvent] = [
    events.LifecycleEvent(uuid=UUID, name="g", event=events.Lifecycle.STARTED, detail=1),
    events.RtcChangeEvent(uuid=UUID, name="g", offset=-5),
    events.IoErrorEvent(uuid=UUID, name="g", path="/x", alias="virtio-disk0", action=events.IoErrorAction.PAUSE),
    events.GraphicsEvent(
        uuid=UUID,
        name="g",
        phase=events.GraphicsPhase.INITIALIZE,
        local=events.GraphicsAddress(family=events.AddressFamily.IPV4, node="127.0.0.1", service="5900"),
        remote=events.GraphicsAddress(family=events.AddressFamily.IPV4, node="127.0.0.1", service="4711"),
        auth_scheme="sasl",
        subject=(("saslUsername", "me"),),
    ),
    events.PmwakeupEvent(uuid=UUID, name="g"),
    events.BalloonChangeEvent(uuid=UUID, name="g", actual=1 << 30),
    events.TunableEvent(uuid=UUID, name="g", params={"cputune.cpu_shares": 512}),
    events.MemoryFailureEvent(
        uuid=UUID,
        name="g",
        recipient=events.MemoryFailureRecipient.GUEST,
        action=events.MemoryFailureAction.INJECT,
        recursive=True,
    ),
    events.MemoryDeviceSizeChangeEvent(uuid=UUID, name="g", alias="virtiomem0", size=1 << 21),
]


@pytest.mark.parametrize("event", _SAMPLES, ids=lambda event: event.kind())
def test_events_come_back(event: events.DomainEvent) -> None:
    for number in event.ids:
        shape = SHAPES[number]
        codec = shape.procedure.arguments
        assert codec
        data = codec.encode(shape.numbered(3, shape.message(event, (event.name, event.uuid, 1))))
        assert BY_PROCEDURE[shape.procedure.number].parse(codec.decode(data, 0)[0]) == (3, event)


def test_every_event_can_be_told() -> None:
    assert set(SHAPES) == set(EventId)
    assert {shape.procedure.event for shape in SHAPES.values()} == {True}
