"""Commands that move what is in volumes: upload, download; and the one that ends what takes long."""

from __future__ import annotations

import time
from pathlib import Path

import click

from vmherd.api.aio import Host
from vmherd.cli.command import json_option, with_host
from vmherd.cli.progress import transfer
from vmherd.cli.size import SIZE
from vmherd.cli.spec import FILE
from vmherd.cli.table import duration, show_facts, show_json, size
from vmherd.cli.volume.names import Place, volume_argument
from vmherd.errors import AlreadyExists


@click.command("upload")
@volume_argument
@click.argument("file", type=FILE)
@click.option("--offset", type=SIZE, default=0, metavar="SIZE", help="From which byte of the volume on.")
@click.option("--sparse", is_flag=True, hidden=True, expose_value=False)  # what virsh users type; it is so anyway
@with_host
async def upload_command(host: Host, place: Place, file: Path, offset: int) -> None:
    """Fill a volume with a file from here.

    Of a file with holes only the data is sent.  An image must be of the volume's format: nothing is converted."""
    volume = await place.find(host)
    with transfer(f"Uploading {file.name}") as told:
        await volume.upload(file, offset=offset, told=told)
    click.echo(f"{volume.pool}/{volume.name} has what was in {file}")


@click.command("download")
@volume_argument
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--offset", type=SIZE, default=0, metavar="SIZE", help="From which byte of the volume on.")
@click.option("--length", type=SIZE, default=0, metavar="SIZE", help="How much.  [default: all]")
@click.option("--sparse", is_flag=True, hidden=True, expose_value=False)  # what virsh users type; it is so anyway
@with_host
async def download_command(host: Host, place: Place, file: Path, offset: int, length: int) -> None:
    """Copy what is in a volume to a file here.

    Of a volume with holes only the data is sent.  FILE must not be there yet."""
    volume = await place.find(host)
    try:
        with transfer(f"Downloading {volume.name}") as told:
            await volume.download(file, offset=offset, length=length, told=told)
    except FileExistsError:
        raise AlreadyExists(f"{file} is there already", hint="choose another name, or remove it") from None
    click.echo(f"{file} has what was in {volume.pool}/{volume.name}")


@click.command("job")
@volume_argument
@click.option("--abort", is_flag=True, help="End it; the volume is as it was before, or was never made.")
@json_option
@with_host
async def job_command(host: Host, place: Place, abort: bool, as_json: bool) -> None:
    """Show what is being done to a volume, or end it."""
    pool, name = await place.parts(host)
    if abort:
        await pool.abort_job(name)
        click.echo(f"the job of {pool.name}/{name} ends")
        return
    job = await pool.job(name)
    if as_json:
        show_json(job)
    elif job is None:
        click.echo(f"nothing is done to {pool.name}/{name}")
    else:
        done = f"{size(job.processed)} of {size(job.total)}" if job.total else ""
        show_facts([("job", job.operation), ("for", duration(time.time() - job.started)), ("done", done)])
