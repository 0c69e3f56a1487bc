"""The screen, the keyboard, and streams to consoles and channels."""

from __future__ import annotations

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.flags import DomainRef, only
from vmherd.daemon.wire.streams import open_stream
from vmherd.errors import InvalidArgument
from vmherd.util.keycodes import Codeset

_FORCE, _SAFE = 1, 2
_SKIP_AUTH = 1


@remote
async def domain_screenshot(call: Call, dom: DomainRef, screen: int, flags: int) -> str:
    only(flags, 0)
    picture = await call.driver.domain_screenshot(dom.uuid, screen=screen)
    open_stream(call, picture, writes=False)
    return picture.mime


@remote
async def domain_open_console(call: Call, dom: DomainRef, device: str | None, flags: int) -> None:
    only(flags, _FORCE | _SAFE)  # it is always safe: one at a time
    open_stream(call, await call.driver.domain_console(dom.uuid, device=device or "", force=bool(flags & _FORCE)))


@remote
async def domain_open_channel(call: Call, dom: DomainRef, name: str | None, flags: int) -> None:
    only(flags, _FORCE)
    open_stream(call, await call.driver.domain_channel(dom.uuid, name=name or "", force=bool(flags & _FORCE)))


@remote
async def domain_send_key(call: Call, dom: DomainRef, codeset: int, hold: int, keys: list[int], flags: int) -> None:
    only(flags, 0)
    if codeset >= len(Codeset):
        raise InvalidArgument(f"Unsupported codeset '{codeset}'")
    await call.driver.domain_send_keys(dom.uuid, keys, codeset=Codeset(codeset), hold=hold / 1000)


@remote
async def domain_send_process_signal(call: Call, dom: DomainRef, pid: int, number: int, flags: int) -> None:
    only(flags, 0)
    await call.driver.domain_send_signal(dom.uuid, pid, number)


@remote
async def domain_inject_nmi(call: Call, dom: DomainRef, flags: int) -> None:
    only(flags, 0)
    await call.driver.domain_inject_nmi(dom.uuid)


@remote
async def domain_open_graphics(call: Call, dom: DomainRef, index: int, flags: int) -> None:
    only(flags, _SKIP_AUTH)
    if len(call.fds) != 1:
        raise InvalidArgument("no FD passed with the message", hint="pass one end of a pair of sockets")
    await call.driver.domain_open_graphics(dom.uuid, index, call.fds[0], skip_auth=bool(flags & _SKIP_AUTH))


@remote
async def domain_open_graphics_fd(call: Call, dom: DomainRef, index: int, flags: int) -> None:
    only(flags, _SKIP_AUTH)
    fd = await call.driver.domain_open_graphics_fd(dom.uuid, index, skip_auth=bool(flags & _SKIP_AUTH))
    call.answered.append(fd)
