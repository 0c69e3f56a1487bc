"""USB devices of a remote client, and which of them may come in."""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.redirdev import Redirfilter, RedirRule
from vmherd.hypervisors.qemu.command.backend import backend
from vmherd.hypervisors.qemu.command.device import alias, bus, device
from vmherd.hypervisors.qemu.command.launch import Launch


def arguments(domain: Domain, launch: Launch) -> list[str]:
    """Every redirected device; one filter holds for all."""
    allowed = _filter(domain.devices.redirfilter)
    args: list[str] = []
    for each in domain.devices.redirdevs:
        args += backend(alias(each), each, launch)
        order = each.boot.order if each.boot else None
        end = {"driver": "usb-redir", "chardev": f"char{alias(each)}", "id": alias(each), "filter": allowed}
        args += device({**end, "bootindex": order, **bus(each, domain)})
    return args


def _filter(wanted: Redirfilter | None) -> str | None:
    """``class:vendor:product:version:allow`` for each rule; -1 matches all.  Source: usb_redir_filter of usbredir"""
    return "|".join(_rule(rule) for rule in wanted.rules) if wanted and wanted.rules else None


def _rule(rule: RedirRule) -> str:
    words = [
        "-1" if rule.device_class is None else f"0x{rule.device_class:02X}",
        "-1" if rule.vendor is None else f"0x{rule.vendor:04X}",
        "-1" if rule.product is None else f"0x{rule.product:04X}",
        "-1" if rule.version is None else _bcd(rule.version),
    ]
    return ":".join([*words, str(int(rule.allow))])


def _bcd(version: str) -> str:
    """A USB version as devices tell it: two digits before the point, two behind (9.40 is 0x0940)."""
    return "0x" + "".join(part.zfill(2).upper() for part in version.split("."))
