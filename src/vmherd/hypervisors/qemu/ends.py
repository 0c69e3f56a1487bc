"""What becomes of a domain at the ends of its guest, changed while it runs.

Source: qemuDomainSetLifecycleAction of libvirt
"""

from __future__ import annotations

from vmherd.conf.domain import Domain, parse_domain, render
from vmherd.conf.domain.power import CrashAction, LifecycleAction
from vmherd.driver.control import End
from vmherd.errors import InvalidArgument
from vmherd.events import DomainEvent
from vmherd.hypervisors.qemu.command import base
from vmherd.hypervisors.qemu.monitor import Monitor
from vmherd.state.changes import Edit
from vmherd.state.domains import DomainTable, Entry

_FIELDS = {End.POWEROFF: "on_poweroff", End.REBOOT: "on_reboot", End.CRASH: "on_crash"}


def editor(end: End, action: str) -> Edit:
    """What notes an action in a document.  Raises InvalidArgument for one that does not go with that end."""
    words = CrashAction if end is End.CRASH else LifecycleAction
    if action not in set(words) or action == "rename-restart":
        raise InvalidArgument(f"{action!r} cannot happen at a guest's {end.name.lower()}")

    def edit(domain: Domain) -> None:
        setattr(domain, _FIELDS[end], words(action))

    return edit


async def change(table: DomainTable, entry: Entry, edit: Edit, monitor: Monitor) -> None:
    """Change it for a guest that runs: QEMU first, which resets or ends by itself, then the record."""
    assert entry.live  # the caller has looked
    run, domain = entry.live.id, parse_domain(entry.live.xml)
    edit(domain)
    await monitor.execute("set-action", {"reboot": "shutdown" if base.never_reboots(domain) else "reset"})

    def note(entry: Entry) -> list[DomainEvent] | None:
        if entry.live is None or entry.live.id != run:
            return None
        now = parse_domain(entry.live.xml)
        edit(now)
        entry.live.xml = render(now, secure=True)
        entry.live.on_poweroff = str(now.on_poweroff)
        entry.live.on_reboot, entry.live.on_crash = str(now.on_reboot), str(now.on_crash)
        return []

    table.change(entry.uuid, note)
