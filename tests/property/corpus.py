"""Good documents to begin with, and what the QEMU driver makes of one."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from standins import Numbers
from vmherd.conf.domain import Domain
from vmherd.hypervisors.qemu import alias, complete, validate
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import Launch, build
from vmherd.hypervisors.qemu.host.accel import Verdict
from vmherd.hypervisors.qemu.host.hostmemory import HostMemory
from vmherd.hypervisors.qemu.startup import guestcpu

_DATA = Path(__file__).parents[1] / "data"
_KVM = Verdict(usable=True, reason="")

#: What QEMU 7.2 of Debian 12 can do.
CAPABILITIES = msgspec.json.decode((_DATA / "qemu" / "capabilities-7.2.json").read_bytes(), type=Capabilities)

#: Every document that vmherd takes, and those of domains.
DOCUMENTS = [path.read_text() for path in sorted(_DATA.glob("*/*.xml")) if path.parent.name != "hostile"]
DOMAINS = [text for text in DOCUMENTS if re.match(r"\s*<domain[\s>]", text)]

#: What was found to break something once.
HOSTILE = sorted((_DATA / "hostile").glob("*.xml"))


def complete_for_qemu(domain: Domain) -> None:
    complete.complete(domain, CAPABILITIES, new=True)


def arguments(domain: Domain) -> list[str]:
    """QEMU's arguments for a domain that is not completed yet.  Raises as a start does."""
    complete_for_qemu(domain)
    validate.check(domain, CAPABILITIES, kvm=_KVM)
    validate.check_startable(domain)
    guestcpu.settle(domain, CAPABILITIES)
    domain.id = 1
    alias.assign(domain)
    folder = Path("/run/guest")
    host, numbers = HostMemory(files=folder), Numbers()
    launch = Launch(folder=folder, monitor_fd=9, opener=numbers, host=numbers, memory=host, now=datetime.now(UTC))
    return build(domain, CAPABILITIES, launch)
