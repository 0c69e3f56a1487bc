"""Commands about the host and this program: doctor, version."""

from __future__ import annotations

import platform

import click

from vmherd import __version__
from vmherd.api.aio import Host
from vmherd.cli.command import json_option, with_host
from vmherd.cli.table import show_facts, show_json, wrapped
from vmherd.driver.types import CheckStatus, HostCheck

_SIGNS = {CheckStatus.OK: ("ok  ", "green"), CheckStatus.WARN: ("warn", "yellow"), CheckStatus.FAIL: ("FAIL", "red")}


@click.command("doctor")
@json_option
@with_host
async def doctor_command(host: Host, as_json: bool) -> int:
    """Check what this host lacks to run guests.

    It says how to get what is missing.  The exit code is 5 if guests cannot run at all.
    """
    checks = await host.check()
    if as_json:
        show_json(checks)
    else:
        width = max((len(check.name) for check in checks), default=0)
        for check in checks:
            _show(check, width)
    return 5 if any(check.status is CheckStatus.FAIL for check in checks) else 0


@click.command("capabilities")
@with_host
async def capabilities_command(host: Host) -> None:
    """Print what the host is and which guests it can run.

    The document is libvirt's <capabilities>."""
    click.echo(await host.capabilities(), nl=False)


@click.command("domcapabilities")
@click.option("--emulator", default="", metavar="FILE", help="The hypervisor's binary.")
@click.option("--arch", default="", help="The guests' architecture.")
@click.option("--machine", default="", help="Their machine type.")
@click.option("--virttype", default="", metavar="TYPE", help="kvm or qemu.")
@with_host
async def domcapabilities_command(host: Host, emulator: str, arch: str, machine: str, virttype: str) -> None:
    """Print what guests can have: CPUs, firmware, devices.

    The document is libvirt's <domainCapabilities>.  What is not told is the host's own, or its best.
    """
    found = await host.domain_capabilities(emulator=emulator, arch=arch, machine=machine, domain_type=virttype)
    click.echo(found, nl=False)


def _show(check: HostCheck, width: int) -> None:
    word, colour = _SIGNS[check.status]
    indent = " " * (width + 8)
    lines = [check.message, f"fix: {check.fix}"] if check.fix else [check.message]
    text = "\n".join(wrapped(line, indent) for line in lines)
    click.echo(f"{click.style(word, fg=colour)}  {check.name:{width}}  {text.removeprefix(indent)}")


@click.command("version")
@json_option
@with_host
async def version_command(host: Host, as_json: bool) -> None:
    """Show the versions of vmherd and of what runs the guests."""
    found = {"vmherd": __version__, "Python": platform.python_version(), **await host.version()}
    if as_json:
        show_json(found | {"uri": host.uri, "driver": host.driver_name})
    else:
        show_facts([*found.items(), ("driver", host.driver_name), ("URI", host.uri)])
