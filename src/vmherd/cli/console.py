"""The command that attaches to a console."""

from __future__ import annotations

import click

from vmherd.api.aio import Host
from vmherd.cli.command import guest_argument, with_host


@click.command("console")
@guest_argument
@click.option("-f", "--force", is_flag=True, help="Take the console from whoever has it.")
@with_host
async def console_command(host: Host, name: str, force: bool) -> None:
    """Attach to the serial console of a running guest.  Ctrl-] detaches.

    Press Enter to see a prompt that is already there.
    """
    from vmherd.cli.terminal import attach

    await attach(await host.domain(name), force=force)
