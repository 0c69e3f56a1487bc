"""What containers get that their document leaves open, beside what every guest gets.

Source: virLXCDomainDefPostParse and virLXCDomainDeviceDefPostParse of libvirt
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain import complete as complete_generic
from vmherd.conf.domain.chardev import ConsoleTarget, ConsoleTargetType
from vmherd.conf.domain.domain import IdRange


def complete(domain: Domain, *, emulator: str, arch: str = "") -> None:
    """Complete ``domain`` in place; doing it twice changes nothing more.

    ``emulator`` is the program that a container's consoles end at, ``arch`` the architecture of one that names none.
    """
    for console in domain.devices.consoles:
        console.target = console.target or ConsoleTarget()
        console.target.type = console.target.type or ConsoleTargetType.LXC
    if domain.idmap is not None:
        for ranges in (domain.idmap.uids, domain.idmap.gids):
            ranges.sort(key=_first)
    complete_generic(domain, arch=arch)
    domain.devices.emulator = domain.devices.emulator or emulator


def _first(ids: IdRange) -> int:
    return ids.start
