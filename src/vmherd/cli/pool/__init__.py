"""The commands about storage pools."""

from __future__ import annotations

import click

from vmherd.cli.lazy import Entry, LazyGroup

_SECTIONS = {
    "": {
        "list": Entry("pool.show", "List the pools, active or not."),
        "info": Entry("pool.show", "Show what a pool is, and how full."),
        "create": Entry("pool.make", "Make a pool and start it, now and with the host."),
        "start": Entry("pool.life", "Make the volumes of pools available."),
        "stop": Entry("pool.life", "Make the volumes of pools unavailable; nothing in them is lost."),
        "refresh": Entry("pool.life", "Look again which volumes there are in pools."),
        "autostart": Entry("pool.life", "Start pools together with the host, or no more."),
        "build": Entry("pool.life", "Make what inactive pools need, such as a folder or a file system."),
        "delete": Entry("pool.life", "Remove what was built for inactive pools."),
        "undefine": Entry("pool.life", "Forget inactive pools; their volumes stay where they are."),
        "define": Entry("pool.make", "Keep pools described by libvirt XML files."),
        "define-as": Entry("pool.make", "Keep a pool described by options."),
        "create-as": Entry("pool.make", "Start a pool described by options, which is gone when it stops."),
        "find-sources": Entry("pool.sources", "Print what could be pools of a type."),
        "capabilities": Entry("pool.sources", "Print which types of pools there can be, with their formats."),
        "dumpxml": Entry("pool.show", "Print the XML document of a pool."),
        "edit": Entry("pool.make", "Edit the XML document of a pool."),
        "event": Entry("pool.event", "Wait for something to happen to pools."),
    }
}


@click.group(cls=LazyGroup, name="pool", sections=_SECTIONS, aliases={"destroy": "stop"})
def pool_command() -> None:
    """Make, start and fill storage pools: places with volumes.

    \b
    vmherd pool create images /srv/images      a folder with images
    vmherd pool list
    vmherd volume create images/disk1 20G      a volume in it
    """
