"""The demo guest for whoever runs ``vmherd run`` without anything to boot."""

from __future__ import annotations

from msgspec.structs import replace

from vmherd.api.aio import Host
from vmherd.cli.progress import steps
from vmherd.guest.demo import demo_guest
from vmherd.guest.spec import GuestSpec


async def demo_spec(spec: GuestSpec) -> GuestSpec:
    """``spec`` with the demo guest to boot, which is made first if need be."""
    async with steps("Making the demo guest") as step:
        demo = await demo_guest(step)
    cmdline = f"{demo.cmdline} hostname={spec.name} {spec.cmdline}".strip()
    return replace(spec, kernel=demo.kernel, initrd=demo.initrd, cmdline=cmdline)


async def free_name(host: Host, wanted: str) -> str:
    """``wanted``, or with a number behind it if it is taken."""
    taken = {info.name for info in await host.domains()}
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name
