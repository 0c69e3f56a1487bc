"""Machines other than PCs: what a guest gets that leaves the choice to us, and where its devices sit."""

from __future__ import annotations

import pytest

from vmherd.conf.domain import Domain, parse_domain, render
from vmherd.conf.domaincaps import Custom, DomainCapabilities
from vmherd.errors import DocumentError, InvalidArgument
from vmherd.hypervisors.qemu import complete
from vmherd.hypervisors.qemu.capabilities import Capabilities, CpuFacts, Machine
from vmherd.hypervisors.qemu.host import domaincaps
from vmherd.util.xmlmodel import parse

FLAGS = frozenset({"pci-ohci", "qemu-xhci", "rtl8139", "pcie-root-port", "pcie-pci-bridge"})


def completed(arch: str, machine: str, devices: str = "") -> Domain:
    domain = parse_domain(f"""
    <domain type='qemu'><name>a</name><memory>65536</memory>
      <os><type arch='{arch}' machine='{machine}'>hvm</type></os><devices>{devices}</devices>
    </domain>""")
    complete.complete(domain, Capabilities(binary="/qemu", version=(7, 2, 0), arch=arch, flags=FLAGS))
    return domain


@pytest.mark.parametrize(
    ("arch", "machine", "there", "absent"),
    [
        ("aarch64", "virt-7.2", ["pcie-root", "memballoon model='none'"], ["ps2", "type='usb'", "<panic"]),
        ("riscv64", "virt", ["pcie-root", "memballoon model='virtio'"], ["ps2", "type='usb'"]),
        ("s390x", "s390-ccw-virtio", ["<panic model='s390'/>"], ["type='usb'", "type='pci'"]),
        ("ppc64", "pseries-7.2", ["<panic model='pseries'/>", "model='pci-ohci'", "pci-root"], ["ps2"]),
        ("x86_64", "microvm", ["type='virtio-mmio'"], ["ps2", "type='usb'", "type='pci'"]),
    ],
)
def test_a_guest_gets_what_its_board_has(arch: str, machine: str, there: list[str], absent: list[str]) -> None:
    text = render(completed(arch, machine))
    assert [part for part in there if part not in text] == []
    assert [part for part in absent if part in text] == []


@pytest.mark.parametrize(
    ("arch", "machine", "model", "serial"),
    [
        ("aarch64", "virt", "virtio", "pl011"),
        ("riscv64", "virt", "virtio", "16550a"),
        ("s390x", "s390-ccw-virtio", "virtio", "sclpconsole"),
        ("ppc64", "pseries", "rtl8139", "spapr-vty"),
    ],
)
def test_models_that_are_not_told_are_the_boards(arch: str, machine: str, model: str, serial: str) -> None:
    devices = completed(arch, machine, "<interface type='user'/><serial type='pty'/>").devices
    assert devices.interfaces[0].model is not None
    assert devices.interfaces[0].model.type == model
    assert devices.serials[0].target is not None
    assert devices.serials[0].target.model is not None
    assert devices.serials[0].target.model.name == serial


def test_usb_comes_with_the_first_usb_device() -> None:
    text = render(completed("aarch64", "virt", "<input type='keyboard' bus='usb'/>"))
    assert "<controller type='usb' index='0' model='qemu-xhci'>" in text


TWO_DISKS = """
    <disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/></disk>
    <disk type='file'><source file='/b'/><target dev='vdb' bus='virtio'/>{}</disk>
"""


def test_channel_devices_are_numbered_around_those_that_are_told() -> None:
    told = "<address type='ccw' cssid='0xfe' ssid='0x0' devno='0x0000'/>"
    text = render(completed("s390x", "s390-ccw-virtio", TWO_DISKS.format(told)))
    assert [f"devno='0x000{number}'" in text for number in range(4)] == [True, True, True, False]


def test_devices_on_channels_and_registers_are_where_one_is() -> None:
    told = "<address type='ccw' cssid='0xfe' ssid='0x0' devno='0x0007'/>"
    card = f"<interface type='user'><model type='virtio'/>{told}</interface>"
    with pytest.raises(DocumentError, match=r"fe\.0\.0007 is taken"):
        completed("s390x", "s390-ccw-virtio", TWO_DISKS.format(told) + card)
    serial = "<serial type='pty'><target port='{}'/><address type='spapr-vio' reg='0x30000000'/></serial>"
    with pytest.raises(DocumentError, match="0x30000000 is taken"):
        completed("ppc64", "pseries", serial.format(0) + serial.format(1))


def test_vio_devices_get_registers_of_their_kind() -> None:
    devices = (
        "<serial type='pty'/><serial type='pty'/><interface type='user'><model type='spapr-vlan'/></interface><nvram/>"
    )
    text = render(completed("ppc64", "pseries", devices))
    registers = ["0x30000000", "0x30001000", "0x00001000", "0x00003000"]
    assert [register for register in registers if f"reg='{register}'" not in text] == []


def told(arch: str, machine: str, kind: str = "", flags: frozenset[str] = FLAGS) -> DomainCapabilities:
    machines = [Machine(name="virt-7.2", alias="virt", max_cpus=512), Machine(name="pc-q35-7.2", alias="q35")]
    facts = CpuFacts(models={"max": [], "fast": ["avx"]})
    caps = Capabilities(
        binary="/qemu", version=(7, 2, 0), arch=arch, machines=machines, flags=flags, cpus={"tcg": facts}
    )
    return parse(DomainCapabilities, domaincaps.tell(caps, arch, machine, kind))


def test_what_guests_can_have_is_what_the_binary_can_do() -> None:
    found = told("aarch64", "virt", "qemu", FLAGS | {"vnc", "VGA", "rng-builtin"})
    assert (found.machine, found.vcpu and found.vcpu.max) == ("virt-7.2", 512)
    assert found.devices is not None
    assert found.devices.graphics is not None
    assert found.devices.graphics.of("type") == ["vnc"]
    assert found.devices.video is not None
    assert found.devices.video.of("modelType") == ["vga", "none"]
    assert found.devices.rng is not None
    assert found.devices.rng.of("backendModel") == ["builtin"]
    assert found.cpu is not None
    [custom] = [mode for mode in found.cpu.modes if isinstance(mode, Custom)]
    assert [(model.name, model.usable) for model in custom.models] == [("fast", "no"), ("max", "yes")]


def test_disks_sit_on_buses_that_the_machine_has() -> None:
    buses = {machine: told(arch, machine).devices for arch, machine in (("aarch64", "virt"), ("x86_64", "q35"))}
    found = {name: each.disk.of("bus") for name, each in buses.items() if each and each.disk}
    assert found == {"virt": ["scsi", "virtio", "usb"], "q35": ["fdc", "scsi", "virtio", "usb"]}


@pytest.mark.parametrize(("machine", "kind"), [("none", ""), ("", ""), ("virt", "xen")])
def test_what_is_not_there_cannot_be_told_of(machine: str, kind: str) -> None:
    with pytest.raises(InvalidArgument):
        told("aarch64", machine, kind)


def test_more_devices_than_a_bus_of_power_has_slots_get_another_host_bridge() -> None:
    cards = "<interface type='user'><model type='virtio'/></interface>" * 33
    domain = completed("ppc64", "pseries", cards)
    bridges = [each for each in domain.devices.controllers if each.type == "pci"]
    assert [(each.index, each.model, each.target and each.target.index) for each in bridges] == [
        (0, "pci-root", 0),
        (1, "pci-root", 1),
    ]
    assert all(each.pci_model and each.pci_model.name == "spapr-pci-host-bridge" for each in bridges)
