"""Security labels, and entries for the firmware."""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain.domain import Domain
from vmherd.conf.domain.problem import Problem, numbered
from vmherd.conf.domain.seclabel import Seclabel, SeclabelType
from vmherd.conf.domain.sysinfo import SysinfoEntry, SysinfoType

#: What firmware and QEMU keep for themselves.
_RESERVED = ("opt/ovmf/", "opt/org.qemu/")


def security(domain: Domain) -> Iterator[Problem]:
    """Source: virSecurityLabelDefParseXML of libvirt."""
    for number, each in numbered(domain.seclabels):
        yield from _label(each, f"domain/seclabel[{number}]")


def _label(each: Seclabel, place: str) -> Iterator[Problem]:
    if each.type is SeclabelType.STATIC and not each.label:
        yield Problem(f"{place}/label", "a static label has to be told", "add <label>, or use type='dynamic'")
    if each.type in (None, SeclabelType.DYNAMIC) and each.relabel is False:
        text = "files get the label that is made for the guest"
        yield Problem(f"{place}/@relabel", text, "write relabel='yes', or use type='static'")
    if each.type is SeclabelType.STATIC and not each.model:
        yield Problem(f"{place}/@model", "whose label it is has to be told", "add model='selinux', 'apparmor' or 'dac'")
    if each.type is SeclabelType.NONE and each.relabel:
        yield Problem(f"{place}/@relabel", "there is no label that files could get", "write relabel='no'")


def firmware_entries(domain: Domain) -> Iterator[Problem]:
    """Entries of the firmware's configuration.  Source: docs/specs/fw_cfg.rst of QEMU"""
    for outer, info in numbered(domain.sysinfos):
        if info.type is SysinfoType.FWCFG:
            for number, entry in numbered(info.entries):
                yield from _entry(entry, f"domain/sysinfo[{outer}]/entry[{number}]")


def _entry(entry: SysinfoEntry, place: str) -> Iterator[Problem]:
    if not entry.name.startswith("opt/") or entry.name.startswith(_RESERVED):
        text = f"{entry.name!r} is not among the names that are free"
        yield Problem(f"{place}/@name", text, "begin it with opt/ and a domain of yours: opt/com.example/...")
    if bool(entry.value) == bool(entry.file):
        yield Problem(place, "it needs a value or a file, one of them", "remove file, or the text")


RULES = (security, firmware_entries)
