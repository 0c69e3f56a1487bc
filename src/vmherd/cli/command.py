"""What the subcommands share: a connection, the names of guests, JSON, doing a thing to many guests."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import click
from click.shell_completion import CompletionItem

from vmherd.api.aio import Domain, Host, connect
from vmherd.cli.failure import complain, exit_code
from vmherd.cli.reach import reach
from vmherd.cli.settings import Settings, uri_option
from vmherd.errors import InvalidArgument, VmherdError

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., object])


def with_host(function: Callable[Concatenate[Host, P], Coroutine[None, None, int | None]]) -> Callable[P, int | None]:
    """Give a coroutine its connection as the first argument, and the option ``-c`` to choose it."""

    @uri_option
    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> int | None:
        return asyncio.run(_connected(_reached(), lambda host: function(host, *args, **kwargs)))

    return run


async def _connected(uri: str, work: Callable[[Host], Awaitable[int | None]]) -> int | None:
    async with await connect(uri) as host:
        return await work(host)


def _reached() -> str:
    settings = click.get_current_context().ensure_object(Settings)
    return reach(settings.uri, direct=settings.direct)


def completing(
    found: Callable[[Host], Awaitable[Iterable[tuple[str, str]]]],
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """What the shell completes a word with: names that begin like it, each with what is said of it."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        async def names() -> list[CompletionItem]:
            async with await connect(reach(ctx.ensure_object(Settings).uri, start=False), readonly=True) as host:
                known = await found(host)
                return [CompletionItem(name, help=said) for name, said in known if name.startswith(incomplete)]

        try:
            return asyncio.run(names())
        except VmherdError:
            return []  # nowhere to say why while somebody types

    return complete


async def _guests(host: Host) -> list[tuple[str, str]]:
    return [(info.name, info.state.label) for info in await host.domains()]


guest_names = completing(_guests)


def guest_argument(function: F) -> F:
    """One guest, by name, UUID or id, as ``name``."""
    return click.argument("name", metavar="GUEST", shell_complete=guest_names)(function)


def guests_argument(function: F) -> F:
    """Guests by name, UUID or id, as ``names``; or all of them, as ``everyone``."""
    function = click.option("--all", "everyone", is_flag=True, help="Every guest that is in the right state.")(function)
    return click.argument("names", metavar="GUEST...", nargs=-1, shell_complete=guest_names)(function)


def somebody_there() -> bool:
    """Whether a person can be asked: standard input is a terminal, and not closed either."""
    return sys.stdin is not None and sys.stdin.isatty()


def json_option(function: F) -> F:
    """JSON for programs in place of tables for people, as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


async def chosen(host: Host, names: Sequence[str], everyone: bool, *, active: bool | None) -> list[Domain]:
    """The guests a person named, or with ``everyone`` all that are ``active`` as wanted (None: any).

    Raises InvalidArgument if neither was said, DomainNotFound for a wrong name before anything is done.
    """
    if bool(names) == everyone:
        raise InvalidArgument("say which guests", hint="give their names, or --all")
    if everyone:
        names = [info.uuid for info in await host.domains() if active in (None, info.active)]
    return [await host.domain(name) for name in names]


class Named(Protocol):
    """A guest, a pool, ..."""

    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)


async def each(domains: Sequence[N], work: Callable[[N], Awaitable[str]]) -> int:
    """Do ``work`` to all at once, and say what it did to each; the exit code of the first failure."""
    codes: list[int] = []

    async def one(domain: N) -> None:
        try:
            click.echo(await work(domain))
        except VmherdError as problem:
            complain(problem, about=domain.name if len(domains) > 1 else "")
            codes.append(exit_code(problem))

    async with asyncio.TaskGroup() as group:
        for domain in domains:
            group.create_task(one(domain))
    return codes[0] if codes else 0
