"""Smart card readers, redirected USB devices and vsocks: what QEMU has of them."""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.address import CcidAddress
from vmherd.conf.domain.problem import numbered
from vmherd.conf.domain.smartcard import Smartcard, SmartcardMode
from vmherd.hypervisors.qemu.capabilities import Capabilities

#: Certificates of a card that is made of them (ccid-card-emulated of QEMU).
_CERTIFICATES = 3
_DEVICES = {
    SmartcardMode.HOST: "ccid-emulated",
    SmartcardMode.HOST_CERTIFICATES: "ccid-emulated",
    SmartcardMode.PASSTHROUGH: "ccid-passthru",
}
#: What a guest's end of a vsock may be; the host and two more have the numbers before it (vsock(7)).
_FIRST_CID = 3


def smartcards(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """Source: qemuValidateDomainSmartcardDef of libvirt."""
    if len(domain.devices.smartcards) > 1:
        yield Problem("domain/devices/smartcard[2]", "QEMU has one smart card reader", "remove the others")
    for number, each in numbered(domain.devices.smartcards):
        place = f"domain/devices/smartcard[{number}]"
        if caps.flags and _DEVICES[each.mode] not in caps:
            yield Problem(f"{place}/@mode", f"{caps.binary} has no smart card of mode {str(each.mode)!r}", "remove it")
        yield from _card(each, place)


def _card(each: Smartcard, place: str) -> Iterator[Problem]:
    if each.mode is SmartcardMode.HOST_CERTIFICATES and len(each.certificates) != _CERTIFICATES:
        text = f"a card is made of {_CERTIFICATES} certificates, not {len(each.certificates)}"
        yield Problem(f"{place}/certificate", text, f"name {_CERTIFICATES}")
    if each.mode is SmartcardMode.PASSTHROUGH and each.type is None:
        yield Problem(f"{place}/@type", "who passes the card in is not told", "add type='spicevmc' or 'tcp'")
    if isinstance(each.address, CcidAddress) and each.address.slot:
        yield Problem(f"{place}/address/@slot", "a CCID controller has one slot, 0", "add another controller")


def redirected(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """Source: qemuValidateDomainRedirdevDef of libvirt."""
    for number, each in numbered(domain.devices.redirdevs):
        place = f"domain/devices/redirdev[{number}]"
        if each.bus != "usb":
            yield Problem(f"{place}/@bus", f"devices of bus {each.bus!r} are not redirected", "use bus='usb'")
        if caps.flags and "usb-redir" not in caps:
            yield Problem(place, f"{caps.binary} does not redirect USB", "remove it")


def vsock(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """Source: qemuValidateDomainDeviceDefVsock of libvirt."""
    each = domain.devices.vsock
    if each is None:
        return
    place = "domain/devices/vsock"
    if caps.flags and "vhost-vsock" not in caps:
        yield Problem(place, f"{caps.binary} has no vsock", "remove it")
    told = each.cid.address if each.cid else None
    if told is not None and told < _FIRST_CID:
        yield Problem(f"{place}/cid/@address", f"guests have context ids from {_FIRST_CID} on", "use <cid auto='yes'/>")
    if told is None and not (each.cid and each.cid.auto):
        yield Problem(f"{place}/cid", "the guest's context id is missing", "add <cid auto='yes'/>")


OF_BINARY = (smartcards, redirected, vsock)
