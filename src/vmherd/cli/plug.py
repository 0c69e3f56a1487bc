"""Commands that plug devices in and take them out, named like virsh's: attach-device, detach-disk, change-media, ..."""

from __future__ import annotations

from typing import BinaryIO

import click

from vmherd.api.aio import Domain, Host
from vmherd.cli.command import guest_argument, with_host
from vmherd.cli.document import text_of
from vmherd.cli.scope import scope_options
from vmherd.conf.domain import parse_domain
from vmherd.conf.domain.disk import Disk, DiskBus, DiskCache, DiskDevice, DiskDriver, DiskIo, DiskTarget
from vmherd.conf.domain.net import (
    Interface,
    InterfaceModel,
    InterfaceSource,
    InterfaceTarget,
    InterfaceType,
    MacAddress,
)
from vmherd.conf.domain.storage import DiskSource, StorageFormat, StorageType
from vmherd.driver.types import Scope
from vmherd.errors import DeviceMissing, InvalidState
from vmherd.util.xmlmodel import render

_file = click.argument("file", type=click.File("rb"), metavar="FILE")
_dry = click.option("--print-xml", is_flag=True, help="Only print the XML element that it would be.")


@click.command("attach-device")
@guest_argument
@_file
@scope_options
@with_host
async def attach_device_command(host: Host, name: str, file: BinaryIO, scope: Scope) -> None:
    """Plug a device described by an XML file into a guest."""
    await (await host.domain(name)).devices.attach(text_of(file), scope)
    click.echo(f"the device is attached to {name}")


@click.command("detach-device")
@guest_argument
@_file
@scope_options
@with_host
async def detach_device_command(host: Host, name: str, file: BinaryIO, scope: Scope) -> None:
    """Take the device an XML file describes out of a guest.

    A running guest has to agree.  If it takes longer than some seconds, 'vmherd events' tells when the device is gone.
    """
    await (await host.domain(name)).devices.detach(text_of(file), scope)
    click.echo(f"{name} was asked to let the device go")


@click.command("detach-device-alias")
@guest_argument
@click.argument("alias")
@scope_options
@with_host
async def detach_device_alias_command(host: Host, name: str, alias: str, scope: Scope) -> None:
    """Take the device with an alias out of a guest.

    It is asked, and 'vmherd events' tells when the device is gone.
    """
    await (await host.domain(name)).devices.detach_alias(alias, scope)
    click.echo(f"{name} was asked to let {alias} go")


@click.command("update-device")
@guest_argument
@_file
@click.option("--force", is_flag=True, help="Open a drive that the guest has locked.")
@scope_options
@with_host
async def update_device_command(host: Host, name: str, file: BinaryIO, force: bool, scope: Scope) -> None:
    """Change a device of a guest to what an XML file says."""
    await (await host.domain(name)).devices.update(text_of(file), scope, force=force)
    click.echo(f"the device of {name} is changed")


@click.command("attach-disk")
@guest_argument
@click.argument("source")
@click.argument("target")
@click.option("--targetbus", "bus", type=click.Choice([str(bus) for bus in DiskBus]), help="The bus it sits on.")
@click.option("--subdriver", "format_", type=click.Choice([str(each) for each in StorageFormat]), help="Its format.")
@click.option("--type", "device", type=click.Choice([str(each) for each in DiskDevice]), default="disk")
@click.option("--sourcetype", type=click.Choice(["file", "block"]), default="file", show_default=True)
@click.option("--cache", type=click.Choice([str(each) for each in DiskCache]), help="How the host caches it.")
@click.option("--io", type=click.Choice([str(each) for each in DiskIo]), help="How the host reads and writes it.")
@click.option("--mode", type=click.Choice(["readonly", "shareable"]), help="Who may write to it.")
@click.option("--serial", help="The serial number that the guest sees.")
@_dry
@scope_options
@with_host
async def attach_disk_command(host: Host, /, name: str, print_xml: bool, scope: Scope, **words: str | None) -> None:
    """Plug a disk into a guest.

    \b
    vmherd attach-disk web /srv/data.qcow2 vdb --subdriver qcow2 --live --config
    """
    await _attach(host, name, render(_disk(words)), scope, print_xml=print_xml)


def _disk(words: dict[str, str | None]) -> Disk:
    source, block = words["source"] or None, words["sourcetype"] == "block"
    disk = Disk(
        type=StorageType.BLOCK if block else StorageType.FILE,
        device=DiskDevice(words["device"] or "disk"),
        source=DiskSource(dev=source) if block else DiskSource(file=source),
        target=DiskTarget(dev=words["target"] or "", bus=DiskBus(words["bus"]) if words["bus"] else None),
        readonly=words["mode"] == "readonly",
        shareable=words["mode"] == "shareable",
        serial=words["serial"],
    )
    if words["format_"] or words["cache"] or words["io"]:
        disk.driver = DiskDriver(
            name="qemu",
            type=StorageFormat(words["format_"]) if words["format_"] else None,
            cache=DiskCache(words["cache"]) if words["cache"] else None,
            io=DiskIo(words["io"]) if words["io"] else None,
        )
    return disk


@click.command("attach-interface")
@guest_argument
@click.argument("kind", metavar="TYPE", type=click.Choice([str(each) for each in InterfaceType]))
@click.argument("source", default="")
@click.option("--target", help="The network device on the host's side.")
@click.option("--mac", help="Its address; by default one is made up.")
@click.option("--model", help="The card that the guest sees, such as virtio.")
@click.option("--managed", is_flag=True, help="Take a host device from the host's driver by itself.")
@_dry
@scope_options
@with_host
async def attach_interface_command(
    host: Host, /, name: str, print_xml: bool, scope: Scope, managed: bool, **words: str | None
) -> None:
    """Plug a network card into a guest.

    \b
    vmherd attach-interface web bridge br0 --model virtio
    """
    await _attach(host, name, render(_interface(words, managed=managed)), scope, print_xml=print_xml)


#: The attribute of <source> that SOURCE is, for each type.
_SOURCES = {"network": "network", "bridge": "bridge", "direct": "dev", "vdpa": "dev", "internal": "name"}


def _interface(words: dict[str, str | None], *, managed: bool) -> Interface:
    kind, source = words["kind"] or "", words["source"]
    if source and kind not in _SOURCES:
        raise click.UsageError(f"a card of type {kind!r} has no SOURCE; use attach-device for what needs more words")
    place = InterfaceSource()
    if source:
        setattr(place, _SOURCES[kind], source)
    return Interface(
        type=InterfaceType(kind),
        managed=True if managed else None,
        mac=MacAddress(address=words["mac"]) if words["mac"] else None,
        source=place if source else None,
        target=InterfaceTarget(dev=words["target"]) if words["target"] else None,
        model=InterfaceModel(type=words["model"]) if words["model"] else None,
    )


async def _attach(host: Host, name: str, xml: str, scope: Scope, *, print_xml: bool) -> None:
    if print_xml:
        click.echo(xml, nl=False)
        return
    await (await host.domain(name)).devices.attach(xml, scope)
    click.echo(f"the device is attached to {name}")


@click.command("detach-disk")
@guest_argument
@click.argument("disk")
@_dry
@scope_options
@with_host
async def detach_disk_command(host: Host, name: str, disk: str, print_xml: bool, scope: Scope) -> None:
    """Take a disk out of a guest, named by its target or its source."""
    domain = await host.domain(name)
    await _detach(domain, render(await _found(domain, disk, scope)), scope, print_xml=print_xml)


async def _found(domain: Domain, wanted: str, scope: Scope) -> Disk:
    """The disk with that target or source.  Raises DeviceMissing."""
    for disk in parse_domain(await domain.xml(inactive=scope.config)).devices.disks:
        if wanted in (disk.target.dev, *((disk.source.file, disk.source.dev) if disk.source else ())):
            return disk
    text = f"no disk of {domain.name} has the target or the source {wanted!r}"
    raise DeviceMissing(text, hint=f"'vmherd info {domain.name}' shows its disks")


@click.command("detach-interface")
@guest_argument
@click.argument("kind", metavar="TYPE", type=click.Choice([str(each) for each in InterfaceType]))
@click.option("--mac", help="The address of the card, where there are several.")
@_dry
@scope_options
@with_host
async def detach_interface_command(
    host: Host, name: str, kind: str, mac: str | None, print_xml: bool, scope: Scope
) -> None:
    """Take a network card out of a guest."""
    domain = await host.domain(name)
    cards = parse_domain(await domain.xml(inactive=scope.config)).devices.interfaces
    found = [each for each in cards if each.type == kind and mac in (None, each.mac.address if each.mac else None)]
    if not found:
        raise DeviceMissing(
            f"{name} has no such network card of type {kind!r}", hint=f"'vmherd info {name}' shows them"
        )
    if len(found) > 1:
        raise InvalidState(f"{name} has {len(found)} network cards of type {kind!r}", hint="tell which one with --mac")
    await _detach(domain, render(found[0]), scope, print_xml=print_xml)


async def _detach(domain: Domain, xml: str, scope: Scope, *, print_xml: bool) -> None:
    if print_xml:
        click.echo(xml, nl=False)
        return
    await domain.devices.detach(xml, scope)
    click.echo(f"{domain.name} was asked to let the device go")


@click.command("change-media")
@guest_argument
@click.argument("drive")
@click.argument("source", default="")
@click.option("--eject", is_flag=True, help="Leave the drive empty.")
@click.option("--insert", is_flag=True, help="Put something into an empty drive.")
@click.option("--update", is_flag=True, help="Put something in, whatever is there.")
@click.option("--force", is_flag=True, help="Open a drive that the guest has locked.")
@click.option("--block", is_flag=True, help="SOURCE is a device of the host, not a file.")
@_dry
@scope_options
@with_host
async def change_media_command(
    host: Host,
    name: str,
    drive: str,
    source: str,
    eject: bool,
    insert: bool,
    update: bool,
    force: bool,
    block: bool,
    print_xml: bool,
    scope: Scope,
) -> None:
    """Change what is in a CD-ROM or floppy drive of a guest.

    \b
    vmherd change-media web sda debian.iso
    vmherd change-media web sda --eject
    """
    if eject + insert + update > 1 or bool(source) is eject:
        raise click.UsageError("give a SOURCE to put in, or --eject; and one of --eject, --insert and --update")
    domain = await host.domain(name)
    disk = await _found(domain, drive, scope)
    _check_drive(disk, eject=eject, insert=insert)
    disk.type = StorageType.BLOCK if block else StorageType.FILE
    disk.source = (DiskSource(dev=source) if block else DiskSource(file=source)) if source else None
    disk.backing_store = None
    if print_xml:
        click.echo(render(disk), nl=False)
        return
    await domain.devices.update(render(disk), scope, force=force)
    click.echo(f"drive {disk.target.dev} of {name} {'is empty' if eject else f'has {source}'}")


def _check_drive(disk: Disk, *, eject: bool, insert: bool) -> None:
    target = disk.target.dev
    if disk.device not in (DiskDevice.CDROM, DiskDevice.FLOPPY):
        raise InvalidState(f"{target} is no drive whose medium can be changed", hint="use detach-disk and attach-disk")
    if eject and disk.is_empty:
        raise InvalidState(f"the drive {target} is empty", hint="nothing is to be done")
    if insert and not disk.is_empty:
        raise InvalidState(f"the drive {target} is not empty", hint="use --update, or --eject first")
