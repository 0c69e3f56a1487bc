"""The command that edits a document in the person's own editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import click

from vmherd.api.aio import Host
from vmherd.cli.command import guest_argument, somebody_there, with_host
from vmherd.cli.failure import complain
from vmherd.errors import DocumentError, HostError, InvalidArgument, VmherdError


@click.command("edit")
@guest_argument
@with_host
async def edit_command(host: Host, name: str) -> None:
    """Edit the XML document of a guest.

    The editor is $VISUAL or $EDITOR.  A running guest sees the change when it starts the next time.  A mistake is
    shown and can be mended: nothing that was typed gets lost.
    """
    domain = await host.domain(name)
    before = await domain.xml(inactive=True, secure=True)
    await edit(domain.name, before, lambda text: _replace(host, domain.uuid, text))


async def edit(name: str, before: str, replace: Callable[[str], Awaitable[None]]) -> None:
    """Have a person edit a document until ``replace`` takes it, or they give up."""
    draft = _draft(name, before)
    while True:
        _open_editor(draft)
        text = draft.read_text()
        if text == before:
            draft.unlink()
            click.echo(f"{name} was not changed")
            return
        try:
            await replace(text)
        except VmherdError as problem:
            complain(problem)
            _ask_again(draft)
        else:
            draft.unlink()
            click.echo(f"{name} was changed")
            return


def _draft(name: str, text: str) -> Path:
    """A file for the editor that nobody else can read: the document may have passwords in it."""
    fd, path = tempfile.mkstemp(prefix=f"vmherd-{name.replace('/', '_')}-", suffix=".xml")
    with os.fdopen(fd, "w") as file:
        file.write(text)
    return Path(path)


def _open_editor(draft: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        subprocess.run([*shlex.split(editor), draft], check=True)
    except (OSError, ValueError, subprocess.CalledProcessError) as problem:
        raise HostError(f"the editor {editor!r} failed: {problem}", hint="set EDITOR to an editor you have") from None


async def _replace(host: Host, uuid: str, text: str) -> None:
    from vmherd.conf.domain import parse_domain

    found = parse_domain(text).uuid
    if found != uuid:
        raise DocumentError(
            f"the UUID was {uuid} and must stay", place="domain/uuid", hint="'vmherd define' makes new guests"
        )
    await host.define(text)


def _ask_again(draft: Path) -> None:
    if not somebody_there() or not click.confirm("Edit it again?", default=True):
        raise InvalidArgument(f"nothing was changed; what you wrote is in {draft}")
