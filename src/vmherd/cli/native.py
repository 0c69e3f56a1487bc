"""Commands that translate between documents and the words of a hypervisor: domxml-to-native, domxml-from-native."""

from __future__ import annotations

import asyncio
from typing import BinaryIO

import click
from click.shell_completion import CompletionItem

from vmherd.api.aio import connect
from vmherd.cli.document import text_of
from vmherd.cli.settings import Settings, uri_option
from vmherd.conf.domain import parse_domain, render
from vmherd.driver import native
from vmherd.errors import InvalidArgument


def _formats(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in native.names() if name.startswith(incomplete)]


_format_argument = click.argument("format_", metavar="FORMAT", shell_complete=_formats)


@click.command("domxml-to-native")
@_format_argument
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--domain", "guest", metavar="GUEST", help="Take the document of this guest, in place of a file.")
@uri_option
@click.pass_obj
def domxml_to_native_command(settings: Settings, format_: str, file: BinaryIO | None, guest: str | None) -> None:
    """Print what a hypervisor runs for a domain document.

    FORMAT is qemu-argv or bhyve-argv: the commands for the shell, with all that a start adds to the document.
    The file "-" is standard input.

    \b
    vmherd domxml-to-native qemu-argv guest.xml
    vmherd domxml-to-native qemu-argv --domain web
    """
    if (file is None) == (guest is None):
        raise click.UsageError("give a FILE, or a guest with --domain")
    write = native.load(format_).write
    if write is None:
        raise _one_way(format_, "from")
    text = text_of(file) if file else asyncio.run(_definition(settings.uri, guest or ""))
    click.echo(asyncio.run(write(parse_domain(text))), nl=False)


async def _definition(uri: str, guest: str) -> str:
    async with await connect(uri) as host:
        return await (await host.domain(guest)).xml(inactive=True, secure=True)


@click.command("domxml-from-native")
@_format_argument
@click.argument("file", type=click.File("rb"))
def domxml_from_native_command(format_: str, file: BinaryIO) -> None:
    """Print a domain document for what a hypervisor runs.

    FORMAT is bhyve-argv: the command of a guest and that of its loader, a line each; or lxc-tools: the configuration
    file of a container.  The file "-" is standard input.  What a document has no place for is told on standard error.
    """
    read = native.load(format_).read
    if read is None:
        raise _one_way(format_, "to")
    found = read(text_of(file))
    for each in found.ignored:
        click.echo(f"left out: {each}", err=True)
    click.echo(render(found.domain, secure=True))


def _one_way(format_: str, way: str) -> InvalidArgument:
    text = f"documents are translated {way} {format_} only"
    return InvalidArgument(text, hint=native.load(format_).why_not)
