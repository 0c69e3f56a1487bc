"""The command that boots a guest in the foreground, like a container tool would."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from pathlib import Path

import click
from msgspec.structs import replace

from vmherd.api.aio import Domain, Host
from vmherd.cli.command import somebody_there, with_host
from vmherd.cli.demo import demo_spec, free_name
from vmherd.cli.failure import INTERRUPTED
from vmherd.cli.spec import FILE, spec_options
from vmherd.cli.terminal import End, attach
from vmherd.conf.domain import parse_domain, render
from vmherd.errors import AlreadyExists, DomainNotFound, InvalidArgument
from vmherd.guest.image import Kind, kind_of
from vmherd.guest.spec import GuestSpec, best_platform


@click.command("run")
@click.argument("target", required=False, type=FILE)
@click.argument("initrd_too", metavar="[INITRD]", required=False, type=FILE)
@click.option("-n", "--name", default="", help="The name of the guest.  [default: that of the file]")
@click.option("--rm", "remove", is_flag=True, help="Leave nothing behind when the guest ends.")
@click.option("-d", "--detach", is_flag=True, help="Boot it in the background.")
@spec_options()
@with_host
async def run_command(
    host: Host,
    target: Path | None,
    initrd_too: Path | None,
    name: str,
    spec: GuestSpec,
    remove: bool,
    detach: bool,
) -> int:
    """Boot a guest now, its console attached to this terminal.

    TARGET is a disk image, a CD-ROM image, a Linux kernel followed by its initial RAM disk, or an XML document.
    Without one it is the demo guest: a small Linux made on the spot from Debian packages, user root, password demo.

    Ctrl-] detaches, and the guest runs on.  When the guest ends, so does this command.  The guest is kept, and
    'vmherd start --console' boots it again, unless --rm is given.

    Where standard input is no terminal, the demo guest shows itself: it boots, somebody logs in and looks around,
    and it shuts down.
    """
    spec = replace(spec, name=name, initrd=initrd_too or spec.initrd)
    if target is None and not detach and not somebody_there():
        from vmherd.cli.tour import tour

        await tour(host, spec)
        return 0
    async with AsyncExitStack() as undo:
        if target is None and not remove and (known := await _find(host, name or "demo")):
            return await _return_to(host, known, detach)
        xml = await _document(host, target, spec, remove)
        domain = await _boot(host, xml, remove, undo)
        if not detach:
            return await _stay(domain, remove, undo)
        await domain.resume()
        undo.pop_all()
        click.echo(f"{domain.name} is running")
        return 0


async def _find(host: Host, name: str) -> Domain | None:
    try:
        return await host.domain(name)
    except DomainNotFound:
        return None


async def _return_to(host: Host, demo: Domain, detach: bool) -> int:
    """To the demo guest that is there already, running or not."""
    running = (await demo.info()).active
    if not running:
        await _restore_kernel(host, demo)
        await demo.start(paused=not detach)
    if detach:
        click.echo(f"{demo.name} is running")
        return 0
    return _code(await attach(demo, after=None if running else demo.resume))


async def _restore_kernel(host: Host, demo: Domain) -> None:
    """The kernel is in a cache, which may have been emptied."""
    document = parse_domain(await demo.xml(inactive=True, secure=True))
    if document.os.kernel and not _is_file(document.os.kernel):
        fresh = await demo_spec(GuestSpec(name=demo.name))
        document.os.kernel, document.os.initrd = str(fresh.kernel), str(fresh.initrd)
        await host.define(render(document, secure=True))


def _is_file(path: str) -> bool:
    return Path(path).is_file()


async def _document(host: Host, target: Path | None, spec: GuestSpec, remove: bool) -> str:
    """The XML document of what shall run."""
    kind = kind_of(target) if target else None
    if target and kind is Kind.DOCUMENT:
        return _read(target)
    spec = replace(spec, name=spec.name or await _name(host, target, remove))
    match kind:
        case Kind.KERNEL:
            spec = replace(spec, kernel=target)
        case Kind.CDROM:
            spec = replace(spec, cdrom=target)
        case Kind.DISK if target:
            spec = replace(spec, disks=(target, *spec.disks))
        case _:
            spec = await demo_spec(spec)
    return render(spec.document(best_platform(await host.capabilities())))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError as problem:
        raise InvalidArgument(f"{path} is no UTF-8 text: {problem.reason} at byte {problem.start}") from None


async def _name(host: Host, target: Path | None, remove: bool) -> str:
    """A name after the file; a guest that leaves nothing behind may have any."""
    name = re.sub(r"[^\w.-]+", "-", target.stem).strip("-.") if target else "demo"
    return await free_name(host, name or "guest") if remove else name or "guest"


async def _boot(host: Host, xml: str, remove: bool, undo: AsyncExitStack) -> Domain:
    """A guest whose CPUs stand still yet; ``undo`` takes it back."""
    if remove:
        domain = await host.create(xml, paused=True)
        undo.push_async_callback(_end, domain)
        return domain
    name = parse_domain(xml).name
    known = await _find(host, name)
    try:
        domain = await host.define(xml)
    except AlreadyExists as problem:
        problem.hint = f"'vmherd start --console {name}' boots it; --name gives the new one another name"
        raise
    if not known:
        undo.push_async_callback(domain.undefine, keep_nvram=False)
    await domain.start(paused=True)
    undo.push_async_callback(_end, domain)
    return domain


async def _end(domain: Domain) -> None:
    try:
        if (await domain.info()).active:
            await domain.poweroff()
    except DomainNotFound:
        return  # it ended, and was transient


async def _stay(domain: Domain, remove: bool, undo: AsyncExitStack) -> int:
    """At the console until somebody leaves it or the guest ends."""

    async def go() -> None:
        await domain.resume()
        if not remove:  # from now on it is a guest like any other
            undo.pop_all()

    end = await attach(domain, after=go)
    if end is not End.SIGNAL:
        undo.pop_all()
    return _code(end)


def _code(end: End) -> int:
    return INTERRUPTED if end is End.SIGNAL else 0
