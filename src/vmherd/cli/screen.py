"""Commands for what a person at the machine sees and does: screenshot, send-key, inject-nmi, display addresses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from vmherd.api.aio import Host
from vmherd.cli.command import guest_argument, with_host
from vmherd.conf.domain import parse_domain
from vmherd.conf.domain.graphics import Graphics, GraphicsType, ListenType
from vmherd.errors import InvalidState
from vmherd.util import keycodes
from vmherd.util.keycodes import Codeset

_ENDINGS = {"image/png": ".png", "image/x-portable-pixmap": ".ppm"}


@click.command("screenshot")
@guest_argument
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--screen", type=int, default=0, help="Which one, counted from 0 through all graphics cards.")
@with_host
async def screenshot_command(host: Host, name: str, file: Path | None, screen: int) -> None:
    """Take a picture of what a guest shows.

    Without FILE it is named after the guest; "-" is standard output.
    """
    domain = await host.domain(name)
    picture = await domain.screen.picture(screen)
    if file == Path("-"):
        sys.stdout.buffer.write(picture.data)
        return
    target = file or Path(f"{domain.name.replace('/', '_')}{_ENDINGS.get(picture.mime, '')}")
    target.write_bytes(picture.data)
    click.echo(f"{target} is what {domain.name} shows ({picture.mime})")


def _keys(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in keycodes.names() if name.startswith(incomplete.upper())]


@click.command("send-key")
@guest_argument
@click.argument("keys", metavar="KEY...", nargs=-1, required=True, shell_complete=_keys)
@click.option("--codeset", type=click.Choice([each.label for each in Codeset]), default="linux", help="Whose numbers.")
@click.option("--holdtime", type=float, default=0.0, metavar="MS", help="Milliseconds to hold them.")
@with_host
async def send_key_command(host: Host, name: str, keys: tuple[str, ...], codeset: str, holdtime: float) -> None:
    """Press keys of a guest's keyboard together.

    \b
    vmherd send-key web KEY_LEFTCTRL KEY_LEFTALT KEY_DELETE
    vmherd send-key web 0x1e --codeset xt

    Names are Linux's; numbers are those of the codeset.
    """
    numbers = [keycodes.by_name(key) if codeset == "linux" else keycodes.number(key) for key in keys]
    await (await host.domain(name)).screen.press(numbers, codeset=Codeset[codeset.upper()], hold=holdtime / 1000)


@click.command("inject-nmi")
@guest_argument
@with_host
async def inject_nmi_command(host: Host, name: str) -> None:
    """Send a non-maskable interrupt to a guest."""
    await (await host.domain(name)).screen.interrupt()


@click.command("vncdisplay")
@guest_argument
@with_host
async def vncdisplay_command(host: Host, name: str) -> None:
    """Print where a guest's VNC display listens: ADDRESS:NUMBER, or a socket."""
    for graphics in await _graphics(host, name, secure=False):
        if graphics.type is GraphicsType.VNC and (place := _place(graphics)):
            click.echo(place)
            return
    raise InvalidState(f"{name} has no VNC display now", hint="give it a <graphics type='vnc'/>, and start it")


@click.command("domdisplay")
@guest_argument
@click.option("--type", "kind", type=click.Choice(["vnc", "spice", "rdp"]), help="Only of this kind.")
@click.option("--include-password", is_flag=True, help="With the password.")
@click.option("--all", "everything", is_flag=True, help="All displays, not just the first.")
@with_host
async def domdisplay_command(host: Host, name: str, kind: str | None, include_password: bool, everything: bool) -> None:
    """Print URIs to look at a guest's screen with, such as by 'remote-viewer URI'."""
    graphics = await _graphics(host, name, secure=include_password)
    found = [uri for each in graphics if kind in (None, each.type) for uri in _uris(each)]
    if not found:
        raise InvalidState(f"{name} has no display that can be reached now", hint="give it a <graphics>, and start it")
    for uri in found if everything else found[:1]:
        click.echo(uri)


async def _graphics(host: Host, name: str, *, secure: bool) -> list[Graphics]:
    domain = await host.domain(name)
    if not (await domain.info()).active:
        raise InvalidState(f"{name} is not running", hint=f"'vmherd start {name}' starts it")
    return parse_domain(await domain.xml(secure=secure)).devices.graphics


#: The port of VNC's display 0.
_VNC = 5900
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104


def _place(graphics: Graphics) -> str:
    """The address of a VNC display as its clients write it, without one that means any; "" for none."""
    socket, address = _listens(graphics)
    if socket:
        return socket
    if graphics.port is None or graphics.port < _VNC:
        return ""
    return f"{'' if address in _ANYWHERE else address}:{graphics.port - _VNC}"


def _listens(graphics: Graphics) -> tuple[str, str]:
    """The socket of a display, and its address."""
    first = graphics.listens[0] if graphics.listens else None
    if first and first.type is ListenType.SOCKET:
        return first.socket or "", ""
    return graphics.socket or "", (first.address if first else graphics.listen) or "127.0.0.1"


def _uris(graphics: Graphics) -> Iterator[str]:
    """How virsh tells it: a VNC port counts from that of display 0."""
    if graphics.type not in (GraphicsType.VNC, GraphicsType.SPICE, GraphicsType.RDP):
        return
    password = f":{graphics.passwd}@" if graphics.passwd else ""
    socket, address = _listens(graphics)
    if socket:
        yield f"{graphics.type}+unix://{password}{socket}"
        return
    address = "localhost" if address in _ANYWHERE else address
    place = f"{graphics.type}://{password}{f'[{address}]' if ':' in address else address}"
    plain, secure = (max(port or 0, 0) for port in (graphics.port, graphics.tls_port))
    if graphics.type is GraphicsType.VNC:
        yield f"{place}:{plain - _VNC}"
    elif plain:
        yield f"{place}:{plain}" + (f"?tls-port={secure}" if secure else "")
    elif secure:
        yield f"{place}?tls-port={secure}"
