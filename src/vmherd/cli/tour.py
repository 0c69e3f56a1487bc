"""The demo guest showing itself where nobody is there to type: boot, log in, look around, shut down."""

from __future__ import annotations

import sys

import click
from msgspec.structs import replace

from vmherd.api.aio import Domain, Host
from vmherd.cli.demo import demo_spec, free_name
from vmherd.cli.show import show_info
from vmherd.conf.domain import render
from vmherd.guest.session import Session
from vmherd.guest.spec import GuestSpec, best_platform

#: Seconds; the slowest host that still runs guests is a busy one without hardware acceleration.
_PATIENCE = 300.0


async def tour(host: Host, spec: GuestSpec) -> None:
    """Boot a demo guest that is gone in the end, and show on standard output what it says.

    Raises HypervisorError or NotResponding if it does not boot, answer and shut down as it should.
    """
    spec = await demo_spec(replace(spec, name=spec.name or await free_name(host, "demo")))
    domain = await host.create(render(spec.document(best_platform(await host.capabilities()))), paused=True)
    try:
        await _look_around(host, domain)
    except BaseException:
        await domain.poweroff()
        raise


async def _look_around(host: Host, domain: Domain) -> None:
    console = await domain.open_console()
    try:
        session = Session(console, echo=Screen().show)
        await domain.resume()
        await session.login("root", "demo", patience=_PATIENCE)
        await session.run("uname -a")
        await session.run("ip addr")
        click.echo("\n\n$ vmherd info " + domain.name)
        await show_info(domain)
        click.echo("\n$ vmherd stop " + domain.name)
        await domain.shutdown()
        await session.follow()
        await domain.wait_stopped(_PATIENCE)
    finally:
        await console.close()
    click.echo(f"\n{domain.name} is shut off, and gone.  In a terminal, 'vmherd run' gives you its console.")


class Screen:
    """Standard output, but for the guest's question where the cursor is: nobody is there to answer."""

    _QUERY = b"\x1b[6n"  # DSR 6 of ECMA-48

    def __init__(self) -> None:
        self._held = b""

    def show(self, said: bytes) -> None:
        """Show what the guest said; what may be half a question waits for its other half."""
        data = (self._held + said).replace(self._QUERY, b"")
        cut = next((n for n in (3, 2, 1) if data.endswith(self._QUERY[:n])), 0)
        data, self._held = data[: len(data) - cut], data[len(data) - cut :]
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
