"""The commands about volumes."""

from __future__ import annotations

import click

from vmherd.cli.lazy import Entry, LazyGroup

_SECTIONS = {
    "": {
        "list": Entry("volume.show", "List the volumes of a pool, or of all that are active."),
        "info": Entry("volume.show", "Show what a volume is, and how large."),
        "create": Entry("volume.make", "Make a volume, empty or on top of another one."),
        "clone": Entry("volume.make", "Copy a volume to one of another name."),
        "resize": Entry("volume.change", "Give a volume another size."),
        "wipe": Entry("volume.change", "Overwrite what is in volumes."),
        "delete": Entry("volume.change", "Remove volumes."),
        "upload": Entry("volume.transfer", "Fill a volume with a file from here."),
        "download": Entry("volume.transfer", "Copy what is in a volume to a file here."),
        "job": Entry("volume.transfer", "Show what is being done to a volume, or end it."),
        "create-as": Entry("volume.make", "Make a volume described by options, as virsh's vol-create-as."),
        "create-from": Entry(
            "volume.make", "Make a volume that an XML file describes, with the content of another one."
        ),
        "path": Entry("volume.show", "Print where a volume is on the host."),
        "key": Entry("volume.show", "Print the key of a volume, which no other one has."),
        "pool": Entry("volume.show", "Print the name of the pool that a volume is in."),
        "dumpxml": Entry("volume.show", "Print the XML document of a volume."),
    }
}


@click.group(cls=LazyGroup, name="volume", sections=_SECTIONS)
def volume_command() -> None:
    """Make, copy, resize and remove volumes: the images in storage pools.

    \b
    vmherd volume create images/disk1 20G      20 GiB in the pool 'images'
    vmherd volume clone images/disk1 disk2
    vmherd volume list images

    VOLUME is POOL/NAME, or its path or key; or just its name where --pool tells the pool.
    """
