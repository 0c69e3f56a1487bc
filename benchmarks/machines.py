"""Completed QEMU documents: how many a second on one core, from a short text to that of a whole machine."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.figure import Figure, rates
from vmherd.conf.domain import Domain, parse_domain, render
from vmherd.hypervisors.qemu import complete, validate
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.host.accel import Verdict

#: A guest of twelve devices, as people write it: no addresses, no controllers.
DOCUMENT = Path(__file__).parent / "data" / "guest.xml"
_CAPABILITIES = Path(__file__).parents[1] / "tests" / "data" / "qemu" / "capabilities-7.2.json"
_KVM = Verdict(usable=True, reason="so that the benchmark does not look at the host")

#: Documents a second that libvirt 9.0's test driver defines, asked by its C client: measured on machines like CI's.
LIBVIRT = 1250
_TARGET = 1500


def capabilities() -> Capabilities:
    """What QEMU 7.2 of Debian 12 can do, without asking one."""
    return msgspec.json.decode(_CAPABILITIES.read_bytes(), type=Capabilities)


def fill(domain: Domain, caps: Capabilities) -> None:
    """Defaults, controllers and addresses, as for a guest that is new."""
    complete.complete(domain, caps, new=True)


def check(domain: Domain, caps: Capabilities) -> None:
    validate.check(domain, caps, kvm=_KVM)


def measure() -> list[Figure]:
    caps = capabilities()
    text = DOCUMENT.read_text()

    def whole(text: str) -> None:
        domain = parse_domain(text)
        fill(domain, caps)
        check(domain, caps)
        render(domain)

    q35, pc = rates(lambda: whole(text), lambda: whole(text.replace("q35", "pc")))
    return [_figure("q35", q35), _figure("pc", pc)]


def _figure(machine: str, rate: float) -> Figure:
    return Figure(
        what=f"XML: parse, complete for QEMU ({machine}), check and format",
        value=rate,
        unit="/s",
        ratio=LIBVIRT / rate,
        against=f"libvirt's test driver, define: {LIBVIRT}/s",
        target=f">= {_TARGET} /s",
        reached=rate >= _TARGET,
    )
