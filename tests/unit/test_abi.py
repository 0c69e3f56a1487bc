"""What may differ in two documents of one guest that stays in memory."""

from __future__ import annotations

import pytest

from vmherd.conf.domain import Devices, Domain, parse_domain
from vmherd.conf.domain.abi import DEVICES, MACHINE, check_same_hardware
from vmherd.errors import Unsupported
from vmherd.util.xmlmodel import Element, declared

GUEST = """
<domain type='qemu'>
  <name>web</name>
  <uuid>11111111-2222-3333-4444-555555555555</uuid>
  <memory unit='KiB'>65536</memory>
  <vcpu current='1'>2</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/><serial>one</serial>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x05' function='0x0'/></disk>
    <interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>
    <graphics type='vnc' port='5900'/>
  </devices>
</domain>
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("/a'", "/b'", ""),
        ("port='5900'", "port='5901'", ""),
        ("type='user'", "type='network'", ""),
        ("<os>", "<title>t</title><os>", ""),
        ("65536", "65537", "domain max memory"),
        ("current='1'", "current='2'", "domain vCPU count"),
        ("machine='pc'", "machine='q35'", "domain machine type q35 does not match source pc"),
        ("</devices>", "<sound model='ich6'/></devices>", "domain sound count 1 does not match source 0"),
        ("bus='virtio'", "bus='sata'", "disk target bus sata does not match source virtio"),
        (">one<", ">two<", "disk serial two does not match source one"),
        ("slot='0x05'", "slot='0x06'", "disk address .*slot='0x06'.*slot='0x05'"),
        ("00:00:01", "00:00:02", "interface mac address 52:54:00:00:00:02"),
    ],
)
def test_only_what_the_guest_sees_counts(old: str, new: str, told: str) -> None:
    source, target = parse_domain(GUEST), parse_domain(GUEST.replace(old, new))
    if not told:
        check_same_hardware(source, target)
        return
    with pytest.raises(Unsupported, match=f"Target {told}"):
        check_same_hardware(source, target)


def leads_to_a_field(classes: tuple[type[Element], ...], path: str) -> bool:
    name, _, rest = path.partition(".")
    found = [field for cls in classes for field in declared(cls) if field.name == name]
    if not rest:
        return bool(found)
    return any(leads_to_a_field(field.classes, rest) for field in found)


def test_every_place_that_is_compared_exists_and_no_family_of_devices_is_left_out() -> None:
    families = {field.name: field.classes for field in declared(Devices) if field.classes}
    wrong = [path for path, _ in MACHINE if not leads_to_a_field((Domain,), path)]
    for family, paths in DEVICES.items():
        wrong += [f"{family}: {path}" for path in paths if not leads_to_a_field(families[family], path)]
    assert not wrong
    # A host has leases, displays and sound cards; the guest sees none of them.
    assert set(families) - set(DEVICES) == {"leases", "graphics", "audios"}
