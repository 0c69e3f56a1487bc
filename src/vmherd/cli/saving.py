"""Commands for guests in files: save, restore, managedsave, dump, and the documents in images."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click

from vmherd.api.aio import Domain, Host
from vmherd.cli.command import F, chosen, each, guest_argument, guests_argument, with_host
from vmherd.cli.document import text_of
from vmherd.cli.edit import edit
from vmherd.cli.progress import job_of
from vmherd.driver.saving import DumpFormat

_FILE = click.Path(dir_okay=False, path_type=Path)
_DOCUMENT = click.option("--xml", type=click.File("rb"), help="Replace its document, where the guest cannot tell.")
_PAST_CACHE = click.option("--bypass-cache", is_flag=True, help="Leave the host's file cache alone.")


def _running(function: F) -> F:
    """How the guest goes on, as ``running``: by default as it was."""
    paused = click.option("--paused", "running", flag_value=False, help="It goes on paused.")
    running = click.option(
        "--running",
        "running",
        flag_value=True,
        type=bool,
        default=None,
        help="It goes on running, even if it was paused.",
    )
    return running(paused(function))


@click.command("save")
@guest_argument
@click.argument("file", type=_FILE)
@_DOCUMENT
@_running
@_PAST_CACHE
@with_host
async def save_command(
    host: Host, name: str, file: Path, xml: BinaryIO | None, running: bool | None, bypass_cache: bool
) -> None:
    """Write a running guest to a file, and end it.

    'vmherd restore' lets it go on.  Ctrl-C or 'vmherd abort' lets it run on.
    """
    domain = await host.domain(name)
    text = text_of(xml) if xml else ""
    async with job_of(domain, f"Saving {name}"):
        await domain.save(file, xml=text, running=running, bypass_cache=bypass_cache)
    click.echo(f"{domain.name} is saved to {file}")


@click.command("restore")
@click.argument("file", type=_FILE)
@_DOCUMENT
@_running
@_PAST_CACHE
@click.option("--reset-nvram", is_flag=True, help="Begin with fresh UEFI variables.")
@with_host
async def restore_command(
    host: Host, file: Path, xml: BinaryIO | None, running: bool | None, bypass_cache: bool, reset_nvram: bool
) -> None:
    """Let a guest go on that was saved to a file.

    The file stays.  Once the guest has changed its disks, restoring it again damages them.
    """
    text = text_of(xml) if xml else ""
    domain = await host.restore(file, xml=text, running=running, bypass_cache=bypass_cache, reset_nvram=reset_nvram)
    click.echo(f"{domain.name} is {(await domain.state()).label}")


@click.command("managedsave")
@guests_argument
@_running
@_PAST_CACHE
@with_host
async def managedsave_command(
    host: Host, names: tuple[str, ...], everyone: bool, running: bool | None, bypass_cache: bool
) -> int:
    """Save running guests for their next start to go on from."""
    domains = await chosen(host, names, everyone, active=True)
    async with job_of(domains[0] if len(domains) == 1 else None, "Saving"):
        return await each(
            domains,
            lambda domain: _managed(domain, running=running, bypass_cache=bypass_cache),
        )


async def _managed(domain: Domain, *, running: bool | None, bypass_cache: bool) -> str:
    await domain.managed_save(running=running, bypass_cache=bypass_cache)
    return f"{domain.name} is saved"


@click.command("managedsave-remove")
@guests_argument
@with_host
async def managedsave_remove_command(host: Host, names: tuple[str, ...], everyone: bool) -> int:
    """Forget where guests were saved, so that they boot next time."""
    domains = await chosen(host, names, everyone, active=None)
    if everyone:
        saved = {info.uuid for info in await host.domains() if info.managed_save}
        domains = [domain for domain in domains if domain.uuid in saved]

    async def remove(domain: Domain) -> str:
        await domain.remove_managed_save()
        return f"{domain.name} boots next time"

    return await each(domains, remove)


_SECURE = click.option("--secure", "--security-info", "secure", is_flag=True, help="Print passwords, too.")


@click.command("managedsave-dumpxml")
@guest_argument
@_SECURE
@with_host
async def managedsave_dumpxml_command(host: Host, name: str, secure: bool) -> None:
    """Print the document that a saved guest goes on with."""
    click.echo(await (await host.domain(name)).managed_save_xml(secure=secure), nl=False)


@click.command("managedsave-define")
@guest_argument
@click.argument("file", type=click.File("rb"))
@_running
@with_host
async def managedsave_define_command(host: Host, name: str, file: BinaryIO, running: bool | None) -> None:
    """Replace the document that a saved guest goes on with, where it cannot tell."""
    await (await host.domain(name)).define_managed_save(text_of(file), running=running)
    click.echo(f"the document of saved {name} was replaced")


@click.command("managedsave-edit")
@guest_argument
@_running
@with_host
async def managedsave_edit_command(host: Host, name: str, running: bool | None) -> None:
    """Edit the document that a saved guest goes on with."""
    domain = await host.domain(name)

    async def replace(text: str) -> None:
        await domain.define_managed_save(text, running=running)

    await edit(domain.name, await domain.managed_save_xml(secure=True), replace)


@click.command("save-image-dumpxml")
@click.argument("file", type=_FILE)
@_SECURE
@with_host
async def save_image_dumpxml_command(host: Host, file: Path, secure: bool) -> None:
    """Print the document in a file that a guest was saved to."""
    click.echo(await host.saved_xml(file, secure=secure), nl=False)


@click.command("save-image-define")
@click.argument("image", type=_FILE)
@click.argument("file", type=click.File("rb"))
@_running
@with_host
async def save_image_define_command(host: Host, image: Path, file: BinaryIO, running: bool | None) -> None:
    """Replace the document in a file that a guest was saved to, where the guest cannot tell."""
    await host.define_saved(image, text_of(file), running=running)
    click.echo(f"the document in {image} was replaced")


@click.command("save-image-edit")
@click.argument("image", type=_FILE)
@_running
@with_host
async def save_image_edit_command(host: Host, image: Path, running: bool | None) -> None:
    """Edit the document in a file that a guest was saved to."""

    async def replace(text: str) -> None:
        await host.define_saved(image, text, running=running)

    await edit(image.name, await host.saved_xml(image, secure=True), replace)


@click.command("dump")
@guest_argument
@click.argument("file", type=_FILE)
@click.option("--memory-only", is_flag=True, help="Only the memory, for debuggers such as crash.")
@click.option(
    "--format",
    "dump_format",
    type=click.Choice([str(each) for each in DumpFormat]),
    default="raw",
    help="With --memory-only.",
)
@click.option("--live", is_flag=True, help="Let the guest run meanwhile, as far as that can be.")
@click.option("--crash", is_flag=True, help="End the guest afterwards, as one that crashed.")
@click.option("--reset", is_flag=True, help="Reset the guest afterwards.")
@_PAST_CACHE
@with_host
async def dump_command(
    host: Host,
    name: str,
    file: Path,
    memory_only: bool,
    dump_format: str,
    live: bool,
    crash: bool,
    reset: bool,
    bypass_cache: bool,
) -> None:
    """Write the memory of a running guest to a file; the guest goes on."""
    domain = await host.domain(name)
    async with job_of(domain, f"Dumping {name}"):
        await domain.dump(
            file,
            memory_only=memory_only,
            dump_format=DumpFormat(dump_format),
            live=live,
            crash=crash,
            reset=reset,
            bypass_cache=bypass_cache,
        )
    click.echo(f"{domain.name} is dumped to {file}")
