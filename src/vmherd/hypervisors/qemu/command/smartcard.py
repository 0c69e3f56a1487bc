"""Smart card readers with a card of the host's, one made of certificates, or one that somebody else passes in.

Source: docs/ccid.txt of QEMU
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.smartcard import Smartcard, SmartcardMode
from vmherd.hypervisors.qemu.command.backend import backend
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device
from vmherd.hypervisors.qemu.command.launch import Launch

#: NSS's database of certificates for the whole host.
_DATABASE = "/etc/pki/nssdb"


def arguments(domain: Domain, launch: Launch) -> list[str]:
    """Every reader, in the slot of its controller."""
    args: list[str] = []
    for each in domain.devices.smartcards:
        if each.mode is SmartcardMode.PASSTHROUGH:
            args += backend(alias(each), each, launch)
        args += device({**_card(each), "id": alias(each), **bus(each, domain)})
    return args


def _card(each: Smartcard) -> Properties:
    match each.mode:
        case SmartcardMode.HOST:
            return {"driver": "ccid-card-emulated", "backend": "nss-emulated"}
        case SmartcardMode.HOST_CERTIFICATES:
            certificates = {f"cert{number}": name for number, name in enumerate(each.certificates, start=1)}
            database = {"db": each.database or _DATABASE}
            return {"driver": "ccid-card-emulated", "backend": "certificates", **certificates, **database}
        case SmartcardMode.PASSTHROUGH:
            return {"driver": "ccid-card-passthru", "chardev": f"char{alias(each)}"}
