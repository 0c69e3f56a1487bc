"""The commands about the devices of the host."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import BinaryIO, TypeVar

import click

from vmherd.api.aio import Host, HostDevice
from vmherd.cli import watch
from vmherd.cli.command import completing, each, json_option, with_host
from vmherd.cli.document import text_at, text_of
from vmherd.cli.progress import working
from vmherd.cli.table import show_facts, show_json, show_table
from vmherd.driver.nodedev import DeviceInfo
from vmherd.events import NodeDeviceEvent, NodeDeviceUpdateEvent

F = TypeVar("F", bound=Callable[..., object])


async def _known(host: Host) -> list[tuple[str, str]]:
    return [(info.name, " ".join(info.capabilities)) for info in await host.devices.list()]


def _some(function: F) -> F:
    """Devices, as ``names``."""
    argument = click.argument("names", metavar="DEVICE...", nargs=-1, required=True, shell_complete=completing(_known))
    return argument(function)


device_argument = click.argument("name", metavar="DEVICE", shell_complete=completing(_known))


@click.group("device")
def device_command() -> None:
    """Show the devices of the host, and hand them to guests.

    \b
    vmherd device list --cap pci
    vmherd device detach pci_0000_02_00_0      for a guest's <hostdev>
    vmherd device reattach pci_0000_02_00_0    back to the host
    """


@device_command.command("list")
@click.option("--cap", "capabilities", metavar="WORD,...", default="", help="Only those that can do one of these.")
@click.option("--tree", is_flag=True, help="Show which is on which.")
@click.option("--inactive", is_flag=True, help="Only those that are just defined.")
@click.option("--all", "everything", is_flag=True, help="Those that are just defined, too.")
@json_option
@with_host
async def list_(host: Host, capabilities: str, tree: bool, inactive: bool, everything: bool, as_json: bool) -> None:
    """List the devices of the host."""
    words = {word for word in capabilities.split(",") if word}
    found = [
        info
        for info in await host.devices.list()
        if (everything or info.active is not inactive) and (not words or words & {*info.capabilities})
    ]
    if as_json:
        show_json(found)
    elif tree:
        click.echo("\n".join(_tree(found)))
    else:
        rows = [(info.name, " ".join(info.capabilities), info.parent or "-") for info in found]
        show_table(("NAME", "WHAT", "ON"), rows)


def _tree(found: Sequence[DeviceInfo]) -> Iterator[str]:
    """A line for each device, those that are on it below it."""
    names = {info.name for info in found}
    below: dict[str, list[str]] = {}
    for info in found:
        below.setdefault(info.parent if info.parent in names else "", []).append(info.name)

    def lines(name: str, indent: str) -> Iterator[str]:
        children = below.get(name, [])
        for child in children:
            last = child == children[-1]
            yield f"{indent}{'`- ' if last else '+- '}{child}"
            yield from lines(child, indent + ("   " if last else "|  "))

    for root in below.get("", []):
        yield root
        yield from lines(root, "")


@device_command.command("info")
@device_argument
@json_option
@with_host
async def info_(host: Host, name: str, as_json: bool) -> None:
    """Show what a device is."""
    info = await (await host.devices.find(name)).info()
    if as_json:
        show_json(info)
        return
    show_facts(
        [
            ("name", info.name),
            ("on", info.parent),
            ("what", " ".join(info.capabilities)),
            ("state", "active" if info.active else "inactive"),
            ("persistent", "yes" if info.persistent else ""),
            ("autostart", "yes" if info.autostart else ""),
        ]
    )


@device_command.command("dumpxml")
@device_argument
@click.option("--inactive", is_flag=True, help="As it is defined, in place of how it is now.")
@with_host
async def dumpxml(host: Host, name: str, inactive: bool) -> None:
    """Print the XML document of a device."""
    xml = await (await host.devices.find(name)).xml(inactive=inactive)
    click.echo(xml, nl=not xml.endswith("\n"))


async def _do(host: Host, names: tuple[str, ...], work: Callable[[HostDevice], Awaitable[None]], said: str) -> int:
    """Do something to devices, and say so of each."""

    async def one(device: HostDevice) -> str:
        await work(device)
        return f"{device.name} {said}"

    async with working("Working"):
        return await each([await host.devices.find(name) for name in names], one)


@device_command.command("detach")
@_some
@click.option("--driver", default="", metavar="NAME", help="The driver it gets.  [default: vfio]")
@with_host
async def detach(host: Host, names: tuple[str, ...], driver: str) -> int:
    """Take PCI devices from their drivers, for guests to have."""
    return await _do(host, names, lambda device: device.detach(driver), "is free for a guest")


@device_command.command("reattach")
@_some
@with_host
async def reattach(host: Host, names: tuple[str, ...]) -> int:
    """Give PCI devices back to their drivers."""
    return await _do(host, names, HostDevice.reattach, "is the host's again")


@device_command.command("reset")
@_some
@with_host
async def reset(host: Host, names: tuple[str, ...]) -> int:
    """Reset PCI devices that no guest has."""
    return await _do(host, names, HostDevice.reset, "is reset")


@device_command.command("create")
@click.argument("file")
@with_host
async def create(host: Host, file: str) -> None:
    """Make a device that an XML file describes, such as a mediated one.

    It is gone when it is destroyed, or the host reboots."""
    click.echo(f"{(await host.devices.create(text_at(file))).name} is made")


@device_command.command("destroy")
@_some
@with_host
async def destroy(host: Host, names: tuple[str, ...]) -> int:
    """Remove devices that were made; definitions stay."""
    return await _do(host, names, HostDevice.destroy, "is removed")


@device_command.command("define")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.File("rb"))
@with_host
async def define(host: Host, files: tuple[BinaryIO, ...]) -> None:
    """Keep the definitions of mediated devices."""
    for file in files:
        click.echo(f"{(await host.devices.define(text_of(file))).name} is defined")


@device_command.command("undefine")
@_some
@with_host
async def undefine(host: Host, names: tuple[str, ...]) -> int:
    """Forget the definitions of mediated devices."""
    return await _do(host, names, HostDevice.undefine, "is not defined any more")


@device_command.command("start")
@_some
@with_host
async def start(host: Host, names: tuple[str, ...]) -> int:
    """Make devices that are defined."""
    return await _do(host, names, HostDevice.start, "is made")


@device_command.command("autostart")
@_some
@click.option("--disable", is_flag=True, help="No more.")
@with_host
async def autostart(host: Host, names: tuple[str, ...], disable: bool) -> int:
    """Make devices together with what they are on, or no more."""
    said = "is made only when asked for" if disable else "is made with what it is on"
    return await _do(host, names, lambda device: device.set_autostart(not disable), said)


async def _name(host: Host, name: str) -> str:
    return (await host.devices.find(name)).name


device_command.add_command(
    watch.event_command(
        watch.Watched(
            word="device",
            kinds={"lifecycle": NodeDeviceEvent, "update": NodeDeviceUpdateEvent},
            events=lambda host: host.devices.events(),
            find=_name,
            known=_known,
        )
    )
)
