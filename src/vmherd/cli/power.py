"""Commands that switch guests: start, stop, restart, poweroff, reset, suspend, resume, autostart, abort."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import click

from vmherd.api.aio import Domain, Host
from vmherd.cli.command import chosen, each, guest_argument, guests_argument, with_host
from vmherd.cli.progress import working
from vmherd.driver.types import ShutdownMode
from vmherd.errors import Busy

_MODES = click.Choice([str(mode) for mode in ShutdownMode])


@click.command("start")
@guests_argument
@click.option("--paused", is_flag=True, help="Leave the CPUs stopped; 'vmherd resume' lets them run.")
@click.option("--console", "attach", is_flag=True, help="Attach to the console, from the first line on.")
@click.option("--force-boot", is_flag=True, help="Boot even a guest that was saved, and forget where it was.")
@click.option("--bypass-cache", is_flag=True, help="Read where it was saved past the host's file cache.")
@click.option("--reset-nvram", is_flag=True, help="Begin with fresh UEFI variables.")
@with_host
async def start_command(
    host: Host, /, names: tuple[str, ...], everyone: bool, paused: bool, attach: bool, **how: bool
) -> int:
    """Boot guests that are defined.  One that 'vmherd managedsave' saved goes on from there."""
    domains = await chosen(host, names, everyone, active=False)
    if attach:
        return await _start_attached(domains, how)

    async def start(domain: Domain) -> str:
        await domain.start(paused=paused, **how)
        return f"{domain.name} is {(await domain.state()).label}"

    return await each(domains, start)


async def _start_attached(domains: list[Domain], how: dict[str, bool]) -> int:
    from vmherd.cli.terminal import attach

    if len(domains) != 1:
        raise click.UsageError("--console is for one guest")
    domain = domains[0]
    await domain.start(paused=True, **how)
    await attach(domain, after=domain.resume)
    return 0


@click.command("stop")
@guests_argument
@click.option("-t", "--timeout", type=float, default=60.0, show_default=True, help="Seconds the guest gets.")
@click.option("--no-wait", is_flag=True, help="Ask, and return at once.")
@click.option("-f", "--force", is_flag=True, help="Pull the plug of a guest that does not stop in time.")
@click.option("--mode", type=_MODES, default="default", help="How to ask: the agent in the guest, or the power button.")
@with_host
async def stop_command(
    host: Host, names: tuple[str, ...], everyone: bool, timeout: float, no_wait: bool, force: bool, mode: str
) -> int:
    """Shut guests down cleanly, and wait until they are.

    The guest is asked by its agent if it has one, else by its power button.
    """
    domains = await chosen(host, names, everyone, active=True)

    async def stop(domain: Domain) -> str:
        await domain.shutdown(mode=ShutdownMode(mode))
        if no_wait:
            return f"{domain.name} was asked to shut down"
        try:
            await domain.wait_stopped(timeout)
        except Busy:
            if not force:
                raise
            await domain.poweroff()
            return f"{domain.name} did not stop in time; its plug was pulled"
        return f"{domain.name} is shut off"

    async with working(f"Waiting for {len(domains)} guests to stop" if len(domains) != 1 else "Waiting for it to stop"):
        return await each(domains, stop)


def _simple(name: str, summary: str, done: str, work: Callable[[Domain], Awaitable[None]]) -> click.Command:
    """A command that does one thing to each of the named running guests."""

    @click.command(name, help=summary)
    @guests_argument
    @with_host
    async def command(host: Host, names: tuple[str, ...], everyone: bool) -> int:
        async def one(domain: Domain) -> str:
            await work(domain)
            return f"{domain.name} {done}"

        return await each(await chosen(host, names, everyone, active=True), one)

    return command


poweroff_command = _simple(
    "poweroff",
    "Pull the plug of guests.\n\nWhat is not on their disks yet is lost; 'vmherd stop' shuts them down cleanly.",
    "is shut off",
    Domain.poweroff,
)
reset_command = _simple("reset", "Press the reset button of guests.", "was reset", Domain.reset)
suspend_command = _simple("suspend", "Pause guests; their memory stays.", "is paused", Domain.suspend)
resume_command = _simple("resume", "Let paused guests run on.", "is running", Domain.resume)


@click.command("restart")
@guests_argument
@click.option("--mode", type=_MODES, default="default", help="How to ask: the agent in the guest, or the power button.")
@with_host
async def restart_command(host: Host, names: tuple[str, ...], everyone: bool, mode: str) -> int:
    """Ask guests to shut down and boot again.  'vmherd reset' does not ask."""

    async def restart(domain: Domain) -> str:
        await domain.reboot(mode=ShutdownMode(mode))
        return f"{domain.name} was asked to reboot"

    return await each(await chosen(host, names, everyone, active=True), restart)


@click.command("autostart")
@guests_argument
@click.option("--disable", is_flag=True, help="No more.")
@with_host
async def autostart_command(host: Host, names: tuple[str, ...], everyone: bool, disable: bool) -> int:
    """Start guests together with the host, or no more."""

    async def mark(domain: Domain) -> str:
        await domain.set_autostart(not disable)
        return f"{domain.name} {'no longer starts' if disable else 'starts'} with the host"

    return await each(await chosen(host, names, everyone, active=None), mark)


@click.command("abort")
@guest_argument
@with_host
async def abort_command(host: Host, name: str) -> None:
    """Abort the job that holds a guest.  'vmherd info' shows which it is."""
    await (await host.domain(name)).abort_job()
    click.echo(f"the job of {name} is being aborted")
