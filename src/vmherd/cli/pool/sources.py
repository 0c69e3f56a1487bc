"""Commands that tell what could be a pool: find-sources, capabilities."""

from __future__ import annotations

import click

from vmherd.api.aio import Host
from vmherd.cli.command import with_host
from vmherd.cli.document import text_at
from vmherd.cli.pool.form import PoolForm
from vmherd.cli.progress import working


@click.command("find-sources")
@click.argument("kind", metavar="TYPE")
@click.argument("server", metavar="[HOST]", required=False)
@click.option("--port", type=click.IntRange(1, 65535), metavar="PORT", help="Where the server listens.")
@click.option("--initiator", metavar="IQN", help="As whom to ask, of iscsi.")
@click.option("--spec", "file", metavar="FILE", help="A <source> document that says where to look.")
@with_host
async def find_sources_command(
    host: Host, kind: str, server: str | None, port: int | None, initiator: str | None, file: str | None
) -> None:
    """Print what could be pools of a type.

    \b
    vmherd pool find-sources netfs nas
    vmherd pool find-sources logical
    """
    if file and (server or port or initiator):
        raise click.UsageError("--spec says all there is to say")
    spec = text_at(file) if file else _spec(server, port, initiator)
    async with working("Looking"):
        click.echo(await host.pools.sources(kind, spec), nl=False)


def _spec(server: str | None, port: int | None, initiator: str | None) -> str:
    if not server:
        return ""
    from vmherd.util.xmlmodel import render

    source = PoolForm(source_host=server, source_initiator=initiator).source()
    source.hosts[0].port = port
    return render(source)


@click.command("capabilities")
@with_host
async def capabilities_command(host: Host) -> None:
    """Print which types of pools there can be, with their formats."""
    click.echo(await host.pools.capabilities(), nl=False)
