"""The commands about secrets."""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Callable
from typing import BinaryIO, TypeVar

import click
import msgspec

from vmherd.api.aio import Host, Secret
from vmherd.cli import watch
from vmherd.cli.command import completing, json_option, somebody_there, with_host
from vmherd.cli.document import text_of
from vmherd.cli.table import show_json, show_table
from vmherd.driver.secret import SecretInfo
from vmherd.errors import InvalidArgument
from vmherd.events import SecretEvent, SecretValueEvent

F = TypeVar("F", bound=Callable[..., object])

#: virSecretUsageType.
_USES = ("none", "volume", "ceph", "iscsi", "tls", "vtpm")


async def _known(host: Host) -> list[tuple[str, str]]:
    return [(info.uuid, f"{_USES[info.usage_type]} {info.usage_id}") for info in await host.secrets.list()]


def secret_argument(function: F) -> F:
    """One secret, by UUID or by what it is for, as ``key``."""
    return click.argument("key", metavar="SECRET", shell_complete=completing(_known))(function)


async def _find(host: Host, key: str) -> Secret:
    """Raises SecretNotFound."""
    for info in await host.secrets.list():
        if info.usage_id and key in (info.usage_id, f"{_USES[info.usage_type]}:{info.usage_id}"):
            return await host.secrets.find(info.uuid)
    return await host.secrets.find(key)


@click.group("secret")
def secret_command() -> None:
    """Keep passphrases and keys that guests' disks need.

    \b
    vmherd secret create disk1 --set             asks for the passphrase
    vmherd volume create images/disk1 20G --secret UUID
    vmherd secret list

    SECRET is a UUID, or what it is for: its usage.  Values are encrypted on the disk.
    """


@secret_command.command("list")
@click.option("--ephemeral/--no-ephemeral", default=None, help="Only those that are on no disk; or not.")
@click.option("--private/--no-private", default=None, help="Only those whose value is told to nobody; or not.")
@json_option
@with_host
async def list_command(host: Host, ephemeral: bool | None, private: bool | None, as_json: bool) -> None:
    """List the secrets."""
    found = [info for info in await host.secrets.list() if ephemeral in (None, info.ephemeral)]
    found = [info for info in found if private in (None, info.private)]
    if as_json:
        show_json([_summary(info) for info in found])
        return
    rows = [
        (info.uuid, _USES[info.usage_type], info.usage_id or "-", _yes(info.ephemeral), _yes(info.private))
        for info in found
    ]
    show_table(("UUID", "FOR", "USAGE", "EPHEMERAL", "PRIVATE"), rows)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _summary(info: SecretInfo) -> dict[str, object]:
    told: dict[str, object] = msgspec.to_builtins(info)
    return told | {"usage_type": _USES[info.usage_type]}


@secret_command.command("create")
@click.argument("usage")
@click.option("--for", "kind", type=click.Choice(_USES[1:]), default="volume", show_default=True, help="What it opens.")
@click.option("--ephemeral", is_flag=True, help="Never write it to a disk: it is gone with a reboot.")
@click.option("--private", is_flag=True, help="Tell its value to nobody but guests that use it.")
@click.option("--description", help="What people may want to know.")
@click.option("--set", "ask", is_flag=True, help="Ask for its value, or read it from standard input.")
@with_host
async def create(
    host: Host, usage: str, kind: str, ephemeral: bool, private: bool, description: str | None, ask: bool
) -> None:
    """Make a secret, without a document.

    USAGE tells it from others of its kind: the path of a volume, the name of an iSCSI target, any name.  Prints its
    UUID."""
    from vmherd.conf.secret import Secret as Document
    from vmherd.conf.secret import Usage, UsageType
    from vmherd.util.xmlmodel import render

    field = {"volume": "volume", "iscsi": "target"}.get(kind, "name")
    told = Usage(type=UsageType(kind), **{field: usage})
    document = Document(ephemeral=ephemeral, private=private, description=description, usage=told)
    value = _asked() if ask else None
    secret = await host.secrets.define(render(document))
    if value is not None:
        await secret.set_value(value)
    click.echo(secret.uuid)


@secret_command.command("define")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.File("rb"))
@with_host
async def define(host: Host, files: tuple[BinaryIO, ...]) -> None:
    """Keep secrets described by libvirt XML files.

    The file "-" is standard input.  Their values are set apart: 'vmherd secret set-value'."""
    for file in files:
        secret = await host.secrets.define(text_of(file))
        click.echo(f"secret {secret.uuid} is defined")


@secret_command.command("set-value")
@secret_argument
@click.argument("encoded", metavar="[BASE64]", required=False)
@click.option("--base64", "base64_", metavar="BASE64", help="The same as BASE64.")
@click.option("--file", "file", type=click.File("rb"), help="Read the value from a file.")
@click.option("--plain", is_flag=True, help="The file has the value itself, not base64.")
@click.option("--interactive", is_flag=True, help="Ask for it.")
@with_host
async def set_value(
    host: Host,
    key: str,
    encoded: str | None,
    base64_: str | None,
    file: BinaryIO | None,
    plain: bool,
    interactive: bool,
) -> None:
    """Give a secret its value.

    Without any option it is asked for, or read from standard input as it is.  What stands on a command line,
    others on the host can read."""
    secret = await _find(host, key)
    text = encoded or base64_
    if sum(map(bool, (text, file, interactive))) > 1:
        raise click.UsageError("say the value in one way only")
    if text or (file and not plain):
        value = _decoded(text.encode() if text else file.read() if file else b"")
    elif file:
        value = file.read()
    else:
        value = _asked()
    await secret.set_value(value)
    click.echo(f"secret {secret.uuid} has a value")


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except binascii.Error as problem:
        raise InvalidArgument(
            f"the value is not base64: {problem}", hint="--plain with --file takes it as it is"
        ) from None


def _asked() -> bytes:
    """What a person types twice, or standard input without the end of its line."""
    if somebody_there():
        value: str = click.prompt("Value", hide_input=True, confirmation_prompt=True, err=True)
        return value.encode()
    return sys.stdin.buffer.read().removesuffix(b"\n")


@secret_command.command("get-value")
@secret_argument
@click.option("--plain", is_flag=True, help="The value itself, not base64.")
@with_host
async def get_value(host: Host, key: str, plain: bool) -> None:
    """Print the value of a secret, as base64."""
    value = await (await _find(host, key)).value()
    if plain:
        sys.stdout.buffer.write(value)
    else:
        click.echo(base64.b64encode(value).decode())


@secret_command.command("dumpxml")
@secret_argument
@with_host
async def dumpxml(host: Host, key: str) -> None:
    """Print the XML document of a secret."""
    xml = await (await _find(host, key)).xml()
    click.echo(xml, nl=not xml.endswith("\n"))


@secret_command.command("undefine")
@click.argument("keys", metavar="SECRET...", nargs=-1, required=True, shell_complete=completing(_known))
@with_host
async def undefine_(host: Host, keys: tuple[str, ...]) -> None:
    """Forget secrets and their values."""
    for secret in [await _find(host, key) for key in keys]:
        await secret.undefine()
        click.echo(f"secret {secret.uuid} is forgotten")


async def _uuid(host: Host, key: str) -> str:
    return (await _find(host, key)).uuid


secret_command.add_command(
    watch.event_command(
        watch.Watched(
            word="secret",
            kinds={"lifecycle": SecretEvent, "value-changed": SecretValueEvent},
            events=lambda host: host.secrets.events(),
            find=_uuid,
            known=_known,
        )
    )
)
