"""Commands for metadata, names, jobs, sleep and the hypervisor's monitor, under virsh's names."""

from __future__ import annotations

import json

import click

from vmherd.api.aio import Host
from vmherd.cli.command import guest_argument, json_option, with_host
from vmherd.cli.scope import scope_options
from vmherd.cli.table import duration, show_facts, show_json
from vmherd.driver.control import ControlState, JobType
from vmherd.driver.host import SuspendTarget
from vmherd.driver.types import Scope
from vmherd.errors import MetadataNotFound
from vmherd.events import MetadataType


@click.command("metadata")
@guest_argument
@click.argument("namespace", metavar="NAMESPACE-URI")
@click.option("--key", metavar="PREFIX", help="The prefix of the namespace in the document.")
@click.option("--set", "text", metavar="XML", help="The element to keep.")
@click.option("--edit", is_flag=True, help="Change it in an editor.")
@click.option("--remove", is_flag=True, help="Remove it.")
@scope_options
@with_host
async def metadata_command(
    host: Host, name: str, namespace: str, key: str | None, text: str | None, edit: bool, remove: bool, scope: Scope
) -> None:
    """Show or change what a program keeps in a guest's document.  It is an element in a namespace of its own."""
    if (text is not None) + edit + remove > 1:
        raise click.UsageError("--set, --edit and --remove exclude each other")
    control = (await host.domain(name)).control
    if edit:
        text = await _edited_metadata(host, name, namespace, scope)
    if text is None and not remove:
        click.echo(await control.metadata(MetadataType.ELEMENT, uri=namespace, scope=scope))
        return
    await control.set_metadata(MetadataType.ELEMENT, text, key=key, uri=namespace, scope=scope)
    click.echo(f"the metadata of {name} is changed")


async def _edited_metadata(host: Host, name: str, uri: str, scope: Scope) -> str:
    try:
        old = await (await host.domain(name)).control.metadata(MetadataType.ELEMENT, uri=uri, scope=scope)
    except MetadataNotFound:
        old = ""
    edited = click.edit(old, extension=".xml")
    if edited is None:
        raise click.Abort
    return edited


@click.command("desc")
@guest_argument
@click.argument("text", required=False)
@click.option("--title", is_flag=True, help="The title, in place of the description.")
@click.option("--edit", is_flag=True, help="Change it in an editor.")
@scope_options
@with_host
async def desc_command(host: Host, name: str, text: str | None, title: bool, edit: bool, scope: Scope) -> None:
    """Show or change the description or the title of a guest.  "" removes it."""
    kind, word = (MetadataType.TITLE, "title") if title else (MetadataType.DESCRIPTION, "description")
    control = (await host.domain(name)).control
    try:
        old = await control.metadata(kind, scope=scope)
    except MetadataNotFound:
        old = ""
    if edit:
        text = (click.edit(old) or old).rstrip("\n")
    if text is None:
        click.echo(old or f"{name} has no {word}")
    else:
        await control.set_metadata(kind, text or None, scope=scope)
        click.echo(f"the {word} of {name} is changed")


@click.command("domrename")
@guest_argument
@click.argument("new_name", metavar="NEWNAME")
@with_host
async def domrename_command(host: Host, name: str, new_name: str) -> None:
    """Give a guest another name.  It must not run."""
    await (await host.domain(name)).rename(new_name)
    click.echo(f"{name} is called {new_name} now")


@click.command("domjobinfo")
@guest_argument
@click.option("--completed", is_flag=True, help="The last job that was done.")
@click.option("--keep-completed", is_flag=True, help="Do not forget it, once shown.")
@click.option("--anystats", is_flag=True, help="All that is known of it, under libvirt's names.")
@json_option
@with_host
async def domjobinfo_command(
    host: Host, name: str, completed: bool, keep_completed: bool, anystats: bool, as_json: bool
) -> None:
    """Show the job that holds a guest.  Short ones, such as a pause, are not told."""
    control = (await host.domain(name)).control
    told = await control.job_stats(completed=completed or keep_completed, keep=keep_completed)
    if as_json:
        show_json({"type": told.type.name.lower(), **told.params})
        return
    facts = [("Job type", told.type.name.lower())]
    if anystats:
        facts += [(key, str(value)) for key, value in told.params.items()]
    elif told.type is not JobType.NONE:
        facts += _short(told.params)
    show_facts(facts)


def _short(params: dict[str, int | float | bool | str]) -> list[tuple[str, str]]:
    facts = [("Time elapsed", duration(float(params.get("time_elapsed", 0)) / 1000))]
    if total := int(params.get("data_total", 0)):
        done = int(params.get("data_processed", 0))
        facts.append(("Data", f"{done / total:.0%} of {total / (1 << 20):.1f} MiB"))
    return facts


@click.command("domjobabort")
@guest_argument
@with_host
async def domjobabort_command(host: Host, name: str) -> None:
    """Abort the job that holds a guest."""
    await (await host.domain(name)).abort_job()
    click.echo(f"the job of {name} is being aborted")


@click.command("domcontrol")
@guest_argument
@with_host
async def domcontrol_command(host: Host, name: str) -> None:
    """Show whether a guest's hypervisor can be talked to.  It says ok, job, occupied or error."""
    told = await (await host.domain(name)).control.info()
    word = told.state.name.lower()
    click.echo(word if told.state is ControlState.OK else f"{word} ({duration(told.duration)})")


@click.command("domlaunchsecinfo")
@guest_argument
@json_option
@with_host
async def domlaunchsecinfo_command(host: Host, name: str, as_json: bool) -> None:
    """Show what attests to the encryption of a guest's memory."""
    told = await (await host.domain(name)).control.launch_security()
    if as_json:
        show_json(told)
    else:
        show_facts((key, str(value)) for key, value in told.items())


@click.command("dompmsuspend")
@guest_argument
@click.argument("target", type=click.Choice([each.name.lower() for each in SuspendTarget]))
@with_host
async def dompmsuspend_command(host: Host, name: str, target: str) -> None:
    """Have a guest go to sleep.  Its agent does it: in memory, on disk, or both."""
    await (await host.domain(name)).control.sleep(SuspendTarget[target.upper()])
    click.echo(f"{name} goes to sleep")


@click.command("dompmwakeup")
@guest_argument
@with_host
async def dompmwakeup_command(host: Host, name: str) -> None:
    """Wake a guest that sleeps."""
    await (await host.domain(name)).control.wake_up()
    click.echo(f"{name} wakes up")


@click.command("qemu-monitor-command")
@guest_argument
@click.argument("command", nargs=-1, required=True)
@click.option("--hmp", is_flag=True, help="A command of the human monitor, such as 'info block'.")
@click.option("--pretty", is_flag=True, help="Indent the answer.")
@click.option("--pass-fds", metavar="N", type=int, help="A descriptor of this process to send along.")
@with_host
async def qemu_monitor_command_command(
    host: Host, name: str, command: tuple[str, ...], hmp: bool, pretty: bool, pass_fds: int | None
) -> None:
    """Send QEMU's monitor a command.

    It is JSON, or just a name, and what QEMU answers is printed.  It can break what is known of the guest.
    """
    text = " ".join(command)
    if not hmp and not text.lstrip().startswith("{"):
        text = json.dumps({"execute": text})
    files = [] if pass_fds is None else [pass_fds]
    answer = await (await host.domain(name)).control.monitor_command(text, human=hmp, files=files)
    click.echo(json.dumps(json.loads(answer), indent=2) if pretty and not hmp else answer.rstrip("\n"))
