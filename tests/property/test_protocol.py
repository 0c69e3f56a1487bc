"""Whatever bytes come over the wire, a value, a refusal or the end of the connection follows, soon."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judge import soon

from vmherd.rpc import protocol
from vmherd.rpc.packet import Unpacker
from vmherd.rpc.xdr import BadMessage, Codec
from wire import RawClient, Service, serving

PROGRAMS = [protocol.program(name) for name in ("remote", "qemu", "lxc")]
CALLS = [each for program in PROGRAMS for each in program.procedures.values() if not each.event]
CODECS = [codec for each in CALLS for codec in (each.arguments, each.result) if codec]

#: Words that lie in the places where lengths, counts, types and numbers are.
_WORDS = (0, 1, 2, 4, 7, 16, 255, 1024, 16384, 1 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def invent(source: Random) -> bytes:
    """Bytes that look like values: words, some texts, a UUID."""
    parts = []
    for _ in range(source.randrange(12)):
        match source.randrange(6):
            case 0 | 1 | 2:
                parts.append(struct.pack(">I", source.choice(_WORDS)))
            case 3:
                text = source.randbytes(source.randrange(9)) if source.randrange(3) else b"test"
                parts.append(struct.pack(">I", len(text)) + text + bytes(-len(text) % 4))
            case 4:
                parts.append(bytes.fromhex("6695eb01f6a4830479aa97f2502e193f"))
            case _:
                parts.append(source.randbytes(source.randrange(20)))
    return b"".join(parts)


@given(codec=st.sampled_from(CODECS), seed=st.integers(0, 2**64 - 1))
@settings(max_examples=500, deadline=None)
def test_a_value_is_read_or_refused(codec: Codec, seed: int) -> None:
    data = invent(Random(seed))
    with soon(1):
        try:
            value, end = codec.decode(data, 0)
        except BadMessage:
            return
        assert end <= len(data)
        written = codec.encode(value)
        assert codec.encode(codec.decode(written, 0)[0]) == written


@given(seed=st.integers(0, 2**64 - 1), cuts=st.lists(st.integers(1, 400), max_size=30))
@settings(max_examples=300, deadline=None)
def test_a_stream_of_bytes_is_read_or_refused(seed: int, cuts: list[int]) -> None:
    source = Random(seed)
    data = b"".join(message(source) for _ in range(5))
    unpacker, at = Unpacker(65536), 0
    with soon(1):
        try:
            for size in [*cuts, len(data)]:
                list(unpacker.feed(data[at : at + size]))
                at += size
        except BadMessage:
            return


def message(source: Random) -> bytes:
    """A call, mostly with a good header, of what may be its arguments."""
    call = source.choice(CALLS)
    header = [call.program.number, call.program.version, call.number, 0, source.randrange(5), 0]
    if source.randrange(4) == 0:
        header[source.randrange(6)] = source.choice((*_WORDS[:9], 0x6B656570))
    body = invent(source)
    length = 28 + len(body)
    if source.randrange(20) == 0:
        length = source.choice(_WORDS)
    return struct.pack(">7I", length, *header) + body


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("wire")
    with serving(folder / "sock") as running:
        yield running


@given(seed=st.integers(0, 2**64 - 1))
@settings(max_examples=60, deadline=None)
def test_a_server_answers_or_hangs_up_and_serves_the_others(service: Service, seed: int) -> None:
    source = Random(seed)
    with RawClient(service.path) as bystander, RawClient(service.path) as client:
        if source.randrange(4):
            client.open()
        with suppress(OSError):  # it may hang up
            for _ in range(20):
                client.send(message(source))
        bystander.open()
        assert bystander.call("connect_get_hostname")
    assert not service.mistakes, "only errors that somebody meant"
