"""What a person at the machine sees and does, with real QEMU processes."""

from __future__ import annotations

import asyncio
import socket
import struct
import zlib
from pathlib import Path

import pytest
from parts import GREETING, make_echo_disk

from vmherd.api.aio import Domain, Host
from vmherd.errors import Busy, InvalidArgument, InvalidState, NotSupported, VmherdError
from vmherd.util.keycodes import Codeset, NoSuchKey

pytestmark = pytest.mark.qemu

GUEST = """
<domain type='qemu'>
  <name>web</name>
  <memory unit='MiB'>48</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <devices>{devices}</devices>
</domain>
"""
HEADS = "<video><model type='vga'/></video><video><model type='qxl' heads='2'/></video>"


def guest(devices: str) -> str:
    return GUEST.format(devices=devices)


def echo(folder: Path) -> str:
    """A disk whose boot sector greets on the first serial line."""
    source = f"<driver name='qemu' type='qcow2'/><source file='{make_echo_disk(folder)}'/>"
    return f"<disk type='file'>{source}<target dev='vda' bus='virtio'/></disk>"


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def shown(png: bytes) -> set[bytes]:
    """The different rows of a picture, packed as they are."""
    parts, at = [], 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        parts += [png[at + 8 : at + 8 + length]] if kind == b"IDAT" else []
        at += length + 12
    rows, stride = zlib.decompress(b"".join(parts)), size_of(png)[0] * 3 + 1
    return {rows[at : at + stride] for at in range(0, len(rows), stride)}


async def test_pictures_of_every_screen_and_keys_that_change_them(host: Host) -> None:
    boot = "<graphics type='vnc'/>" + HEADS
    domain = await host.create(guest(boot))
    async with asyncio.timeout(30):
        while len(shown((picture := await domain.screen.picture()).data)) < 4:  # the firmware writes
            await asyncio.sleep(0.2)
    assert picture.mime == "image/png"
    assert size_of((await domain.screen.picture(1)).data) != (0, 0)
    with pytest.raises(InvalidState, match="no such screen"):
        await domain.screen.picture(3)
    await domain.screen.press(["KEY_LEFTCTRL", "key_leftalt", 111], hold=0.05)
    await domain.screen.press([0xE053], codeset=Codeset.ATSET1)
    with pytest.raises(NoSuchKey, match="767 of linux"):
        await domain.screen.press([767])
    for keys in ([], ["KEY_A"] * 17, ["KEY_NONE"]):
        with pytest.raises(InvalidArgument):
            await domain.screen.press(keys)
    await domain.screen.interrupt()
    with pytest.raises(NotSupported):
        await host._driver.domain_send_signal(domain.uuid, 1, 9)


async def said(reader: asyncio.StreamReader, size: int) -> bytes:
    async with asyncio.timeout(10):
        return await reader.readexactly(size)


async def security(domain: Domain, *, skip_auth: bool) -> bytes:
    """The kinds of authentication that VNC offers on a socket of its own."""
    served = socket.socket(fileno=await domain.screen.connect(skip_auth=skip_auth))
    reader, writer = await asyncio.open_connection(sock=served)
    writer.write(await said(reader, 12))
    kinds = await said(reader, (await said(reader, 1))[0])
    writer.close()
    return kinds


async def test_a_display_is_served_on_a_socket_with_a_password_or_without(host: Host) -> None:
    domain = await host.create(guest("<graphics type='vnc' passwd='geheim'/>"), paused=True)
    assert await security(domain, skip_auth=False) == b"\x02"
    assert await security(domain, skip_auth=True) == b"\x01"
    with pytest.raises(VmherdError, match="No graphics backend with index 1") as told:
        await domain.screen.connect(display=1)
    assert told.value.code == 1


async def test_channels_are_opened_by_name_and_by_one_at_a_time(host: Host, tmp_path: Path) -> None:
    channel = "<channel type='unix'><target type='virtio' name='org.example.0'/></channel>"
    domain = await host.create(guest(echo(tmp_path) + channel + "<serial type='pty'/>"), paused=True)
    line = await domain.open_channel(name="org.example.0")
    with pytest.raises(Busy):
        await domain.open_channel()
    other = await domain.open_channel(name="channel0", force=True)
    await line.close()
    await other.close()
    with pytest.raises(VmherdError, match="cannot find channel nobody") as told:
        await domain.open_channel(name="nobody")
    assert told.value.code == 1
    console = await domain.open_console(device="serial0")
    await domain.resume()
    heard = b""
    async with asyncio.timeout(30):
        while GREETING not in heard:
            heard += await console.read()
    await console.close()
