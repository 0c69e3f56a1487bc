"""Commands that make volumes: create, create-as, clone."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import click
import msgspec

from vmherd.api.aio import Host, Pool
from vmherd.cli.command import completing, with_host
from vmherd.cli.document import text_at
from vmherd.cli.pool.names import known_pools
from vmherd.cli.progress import following, working
from vmherd.cli.size import SIZE
from vmherd.cli.table import size
from vmherd.cli.volume.names import Place, volume_argument
from vmherd.driver.types import JobInfo
from vmherd.errors import NotSupported

#: Types of pools whose volumes are files, and can be of any format.
_FILES = ("dir", "fs", "netfs", "gluster", "vstorage")


class VolumeForm(msgspec.Struct, frozen=True, kw_only=True):
    """What a volume shall be, as far as it was said; sizes in bytes."""

    format: str | None = None
    allocation: int | None = None
    backing_vol: str | None = None
    backing_vol_format: str | None = None
    secret: str | None = None

    async def document(self, host: Host, pool: Pool, name: str, capacity: int | None) -> str:
        """The XML document of a volume in ``pool``; without a capacity it has that of the volume below."""
        from vmherd.conf.storage import Volume, render
        from vmherd.conf.storage.volume import BackingStore, VolumeFormat

        volume = Volume(name=name, capacity=capacity, allocation=self.allocation)
        if kind := self.format:
            volume.target.format = VolumeFormat(type=kind)
        if self.backing_vol:
            below = await _below(host, pool, self.backing_vol)
            volume.capacity = capacity or below.capacity
            kind = self.backing_vol_format or below.format
            volume.backing = BackingStore(path=below.path, format=VolumeFormat(type=kind) if kind else None)
        if self.secret:
            volume.target.encryption = _encryption(self.secret)
        return render(volume)


async def _below(host: Host, pool: Pool, word: str) -> Any:
    """The volume that another one is made on top of: of the same pool, or named as any other."""
    place = Place(word, pool.name if "/" not in word else "")
    return await (await place.find(host)).info()


def _encryption(secret: str) -> Any:
    from vmherd.conf.domain.storage import Encryption, EncryptionFormat, Secret

    return Encryption(format=EncryptionFormat.LUKS, secrets=[Secret(type="passphrase", uuid=secret)])


def _form(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a volume shall be, as ``form``."""

    @click.option("--format", metavar="FORMAT", help="qcow2, raw, ...")
    @click.option("--allocation", type=SIZE, metavar="SIZE", help="How much of it has room on the disk at once.")
    @click.option("--backing-vol", metavar="VOLUME", help="What is in it where nothing was written.")
    @click.option("--backing-vol-format", metavar="FORMAT", help="The format of that one.")
    @click.option("--secret", metavar="UUID", help="Encrypt it (LUKS), with the value of this secret.")
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        told = {name: kwargs.pop(name) for name in VolumeForm.__struct_fields__}
        return function(*args, form=VolumeForm(**told), **kwargs)

    return run


@click.command("create")
@click.argument("word", metavar="POOL/NAME", shell_complete=completing(known_pools))
@click.argument("capacity", metavar="[SIZE]", required=False)
@_form
@with_host
async def create_command(host: Host, word: str, capacity: str | None, form: VolumeForm) -> None:
    """Make a volume, empty or on top of another one.

    \b
    vmherd volume create images/disk1 20G
    vmherd volume create images/disk1 20G --format raw
    vmherd volume create images/web --backing-vol images/debian.qcow2
    vmherd volume create images volume.xml

    Where volumes are files it is a qcow2 unless told otherwise.  The last one is virsh's 'vol-create': a file
    describes the volume.
    """
    if capacity and "/" not in word:
        await _create_from_file(host, word, capacity)
        return
    pool, name = await Place(word, "").parts(host)
    if not capacity and not form.backing_vol:
        raise click.UsageError("say how large, such as 20G")
    wanted = SIZE.convert(capacity, None, None) if capacity else None
    kind = form.format or ("qcow2" if (await pool.info()).type in _FILES else None)
    form = msgspec.structs.replace(form, format=kind, allocation=form.allocation or 0)
    xml = await form.document(host, pool, name, wanted)
    async with _making(host, pool.name, name, f"Making {name}"):
        made = await pool.create_volume(xml)
    click.echo(f"{word} has {size((await made.info()).capacity)}, at {made.path}")


async def _create_from_file(host: Host, pool: str, path: str) -> None:
    xml = text_at(path)
    async with working("Making the volume"):
        made = await (await host.pools.find(pool)).create_volume(xml)
    click.echo(f"{made.pool}/{made.name} is made, at {made.path}")


@click.command("create-as")
@click.argument("pool", metavar="POOL", shell_complete=completing(known_pools))
@click.argument("name")
@click.argument("capacity", metavar="SIZE", type=SIZE)
@_form
@click.option("--prealloc-metadata", "metadata", is_flag=True, help="Prepare all tables of its format at once.")
@click.option("--print-xml", is_flag=True, help="Only print the document.")
@with_host
async def create_as_command(
    host: Host, pool: str, name: str, capacity: int, form: VolumeForm, metadata: bool, print_xml: bool
) -> None:
    """Make a volume described by options, as virsh's vol-create-as."""
    found = await host.pools.find(pool)
    xml = await form.document(host, found, name, capacity)
    if print_xml:
        click.echo(xml, nl=False)
        return
    async with _making(host, found.name, name, f"Making {name}"):
        made = await found.create_volume(xml, metadata=metadata)
    click.echo(f"{made.pool}/{made.name} is made, at {made.path}")


@click.command("clone")
@volume_argument
@click.argument("new", metavar="[POOL/]NAME")
@click.option("--reflink", is_flag=True, help="Only if blocks can be shared.")
@click.option("--prealloc-metadata", "metadata", is_flag=True, help="Prepare all tables of its format at once.")
@with_host
async def clone_command(host: Host, place: Place, new: str, reflink: bool, metadata: bool) -> None:
    """Copy a volume to one of another name.

    \b
    vmherd volume clone images/disk1 disk2
    vmherd volume clone images/disk1 backup/disk1

    Blocks are shared where the file system can, until one side writes."""
    volume = await place.find(host)
    pool, name = await Place(new, "" if "/" in new else volume.pool).parts(host)
    async with _making(host, pool.name, name, f"Copying {volume.name}"):
        made = await volume.clone(name, pool=pool, reflink=reflink, metadata=metadata)
    click.echo(f"{made.pool}/{made.name} is a copy of {volume.pool}/{volume.name}")


@click.command("create-from")
@click.argument("pool", metavar="POOL", shell_complete=completing(known_pools))
@click.argument("file", metavar="FILE")
@click.argument("source", metavar="VOLUME")
@click.option("--inputpool", "source_pool", metavar="POOL", default="", help="The pool VOLUME is in.")
@click.option("--reflink", is_flag=True, help="Only if blocks can be shared.")
@click.option("--prealloc-metadata", "metadata", is_flag=True, help="Prepare all tables of its format at once.")
@with_host
async def create_from_command(
    host: Host, pool: str, file: str, source: str, source_pool: str, reflink: bool, metadata: bool
) -> None:
    """Make a volume that an XML file describes, with the content of another one.

    The two may have different formats, and be in different pools."""
    found = await host.pools.find(pool)
    place = Place(source, source_pool or ("" if "/" in source else found.name))
    original = await place.find(host)
    async with working("Copying"):
        made = await found.create_volume(text_at(file), source=original, reflink=reflink, metadata=metadata)
    click.echo(f"{made.pool}/{made.name} has what is in {original.pool}/{original.name}")


def _making(host: Host, pool: str, name: str, what: str) -> AbstractAsyncContextManager[None]:
    """Show how far the volume is that is made."""

    async def job() -> JobInfo | None:
        try:
            return await (await host.pools.find(pool)).job(name)
        except NotSupported:
            return None

    return following(job, what)
