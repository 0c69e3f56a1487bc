"""Sending a guest to sleep, which only its agent can do.

Source: qemuDomainPMSuspendAgent of libvirt; guest-suspend-* in QEMU's qga/qapi-schema.json.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.power import SuspendState
from vmherd.driver.host import SuspendTarget
from vmherd.errors import InvalidState

COMMANDS = {
    SuspendTarget.MEM: "guest-suspend-ram",
    SuspendTarget.DISK: "guest-suspend-disk",
    SuspendTarget.HYBRID: "guest-suspend-hybrid",
}


def check(domain: Domain, target: SuspendTarget) -> None:
    """Raises InvalidState for a sleep that the guest's firmware does not offer."""
    if domain.pm is None:
        return
    if target is not SuspendTarget.DISK and _is_off(domain.pm.suspend_to_mem):
        raise InvalidState("S3 state is disabled for this domain")
    if target is not SuspendTarget.MEM and _is_off(domain.pm.suspend_to_disk):
        raise InvalidState("S4 state is disabled for this domain")


def _is_off(state: SuspendState | None) -> bool:
    return state is not None and state.enabled is False
