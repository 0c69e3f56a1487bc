"""Guests that the host cannot look into: AMD's SEV and IBM's Secure Execution.

Source: qemuBuildSEVCommandLine and qemuBuildPVCommandLine of libvirt; SevGuestProperties in QEMU's qapi/qom.json.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.launch import S390Pv, Sev
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command.device import option
from vmherd.hypervisors.qemu.command.launch import Launch

_ID = "lsec0"
_CERTIFICATE = "dh_cert.base64"
_SESSION = "session.base64"


def arguments(domain: Domain, launch: Launch) -> list[str]:
    """The object that has the guest's memory encrypted."""
    match domain.launch_security:
        case Sev() as sev:
            return option(
                "-object",
                {
                    "qom-type": "sev-guest",
                    "id": _ID,
                    "cbitpos": sev.cbitpos,
                    "reduced-phys-bits": sev.reduced_phys_bits,
                    "policy": sev.policy,
                    "dh-cert-file": str(launch.folder / _CERTIFICATE) if sev.dh_cert else None,
                    "session-file": str(launch.folder / _SESSION) if sev.session else None,
                    "kernel-hashes": sev.kernel_hashes,
                },
            )
        case S390Pv():
            return option("-object", {"qom-type": "s390-pv-guest", "id": _ID})
    return []


def files(domain: Domain) -> dict[str, str]:
    """What the guest's run folder must hold, by name: what the owner of the guest gave for its encryption."""
    sev = domain.launch_security
    if not isinstance(sev, Sev):
        return {}
    return {name: text for name, text in ((_CERTIFICATE, sev.dh_cert), (_SESSION, sev.session)) if text}


def machine_words(domain: Domain, caps: Capabilities) -> list[str]:
    """The word that ties the board to the object; QEMU before 6.0 had another."""
    if domain.launch_security is None:
        return []
    modern = "confidential-guest-support" in caps or isinstance(domain.launch_security, S390Pv)
    return [f"{'confidential-guest-support' if modern else 'memory-encryption'}={_ID}"]
