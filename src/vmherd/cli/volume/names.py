"""Volumes as arguments: POOL/NAME, a path, or a name and --pool."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import click

from vmherd.api.aio import Host, Pool, Volume
from vmherd.cli.command import completing
from vmherd.cli.pool.names import known_pools
from vmherd.driver.storage import VolumeInfo
from vmherd.errors import InvalidArgument


class Place(NamedTuple):
    """Where a person says that a volume is; ``pool`` is what they gave with --pool."""

    word: str
    pool: str

    async def find(self, host: Host) -> Volume:
        """Raises PoolNotFound or VolumeNotFound, and InvalidArgument where no pool is told."""
        if not self.pool and self.word.startswith("/"):
            return await host.pools.volume_by_path(self.word)
        pool, name = await self.parts(host)
        return await pool.volume(name)

    async def parts(self, host: Host) -> tuple[Pool, str]:
        """The pool and the name of a volume that there may be."""
        if self.pool:
            return await host.pools.find(self.pool), self.word
        pool, slash, name = self.word.partition("/")
        if not slash or not name:
            raise InvalidArgument(
                f"{self.word!r} does not say in which pool", hint=f"write POOL/{self.word}, or add --pool"
            )
        return await host.pools.find(pool), name


async def _known(host: Host) -> list[tuple[str, str]]:
    """Every volume of every active pool."""
    found: list[tuple[str, str]] = []
    for info in await host.pools.list():
        if info.active:
            volumes = await (await host.pools.find(info.uuid)).volumes()
            found += [(f"{info.name}/{each.name}", each.format) for each in volumes]
    return found


pool_option = click.option(
    "--pool", "pool", metavar="POOL", default="", help="The pool it is in.", shell_complete=completing(known_pools)
)


def volume_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """One volume, as ``place``."""

    @click.argument("word", metavar="VOLUME", shell_complete=completing(_known))
    @pool_option
    @functools.wraps(function)
    def run(*args: Any, word: str, pool: str, **kwargs: Any) -> Any:
        return function(*args, place=Place(word, pool), **kwargs)

    return run


def volumes_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """Volumes, as ``places``."""

    @click.argument("words", metavar="VOLUME...", nargs=-1, required=True, shell_complete=completing(_known))
    @pool_option
    @functools.wraps(function)
    def run(*args: Any, words: tuple[str, ...], pool: str, **kwargs: Any) -> Any:
        return function(*args, places=[Place(word, pool) for word in words], **kwargs)

    return run


def summary(info: VolumeInfo) -> dict[str, object]:
    """JSON of a volume: a word in place of libvirt's number."""
    import msgspec

    told: dict[str, object] = msgspec.to_builtins(info)
    return told | {"kind": info.kind.name.lower()}
