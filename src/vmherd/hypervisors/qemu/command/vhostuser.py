"""Devices that another process of the host plays: QEMU connects to its socket (the vhost-user protocol)."""

from __future__ import annotations

from vmherd.conf.domain.address import Device
from vmherd.conf.domain.chardev import Reconnect
from vmherd.hypervisors.qemu.command.device import alias, escape


def line(each: Device) -> str:
    """The name of the connection."""
    return f"chr-vu-{alias(each)}"


def connection(each: Device, path: str, reconnect: Reconnect | None = None) -> list[str]:
    """The connection itself; a lost one is made again every ``timeout`` seconds."""
    again = f",reconnect={reconnect.timeout if reconnect.enabled else 0}" if reconnect else ""
    return ["-chardev", f"socket,id={line(each)},path={escape(path)}{again}"]
