"""Where the QEMU driver puts devices that a document gives no place, and what it says to those given a bad one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from standins import Numbers
from vmherd.conf.domain import Domain, parse_domain
from vmherd.conf.domain.address import Device, DriveAddress, PciAddress, UsbAddress, VirtioSerialAddress
from vmherd.errors import DocumentError, VmherdError
from vmherd.hypervisors.qemu import alias, complete, validate
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import Launch, build
from vmherd.hypervisors.qemu.host.hostmemory import HostMemory

DATA = Path(__file__).parents[1] / "data" / "qemu"


@pytest.fixture(scope="module")
def caps() -> Capabilities:
    """What QEMU 7.2 of Debian 12 can do."""
    return msgspec.json.decode((DATA / "capabilities-7.2.json").read_bytes(), type=Capabilities)


def completed(devices: str, caps: Capabilities, *, machine: str = "pc") -> Domain:
    domain = parse_domain(
        "<domain type='qemu'><name>web</name><memory unit='MiB'>64</memory>"
        f"<os><type arch='x86_64' machine='{machine}'>hvm</type></os><devices>{devices}</devices></domain>"
    )
    complete.complete(domain, caps, new=True)
    validate.check(domain, caps)
    return domain


def slot(device: Device) -> str:
    place = device.address
    assert isinstance(place, PciAddress)
    return f"{place.bus:02x}:{place.slot:02x}.{place.function:x}"


def cards(domain: Domain) -> list[str]:
    return [slot(each) for each in domain.devices.interfaces]


def port(device: Device) -> str:
    place = device.address
    assert isinstance(place, UsbAddress)
    return f"{place.bus}:{place.port}"


NIC = "<interface type='user'><model type='virtio'/></interface>"
PLACED = (
    "<interface type='user'><model type='virtio'/><address type='pci' bus='{}' slot='{}' function='{}'/></interface>"
)
MOUSE = "<input type='mouse' bus='usb'/>"
PLUGGED = "<input type='mouse' bus='usb'><address type='usb' bus='{}' port='{}'/></input>"
CHANNEL = "<channel type='pty'><target type='virtio' name='{}'/></channel>"


def test_cards_take_the_first_free_slots_of_a_pc(caps: Capabilities) -> None:
    assert cards(completed(NIC * 3, caps)) == ["00:02.0", "00:03.0", "00:04.0"]


def test_an_address_that_is_told_is_kept_and_the_others_go_round_it(caps: Capabilities) -> None:
    found = cards(completed(NIC + PLACED.format(0, 2, 0) + NIC, caps))
    assert found == ["00:03.0", "00:02.0", "00:04.0"]


def test_a_slot_whose_further_function_is_taken_is_left_alone(caps: Capabilities) -> None:
    assert cards(completed(PLACED.format(0, 2, 5) + NIC, caps)) == ["00:02.5", "00:03.0"]


def test_the_chipset_of_a_pc_has_its_fixed_places(caps: Capabilities) -> None:
    domain = completed("<disk type='file'><source file='/a'/><target dev='hda'/></disk>", caps)
    controllers = {str(each.type): each for each in domain.devices.controllers if each.type != "pci"}
    assert slot(controllers["ide"]) == "00:01.1"
    assert slot(controllers["usb"]) == "00:01.2"


def test_the_screen_comes_right_behind_the_chipset(caps: Capabilities) -> None:
    for machine, wanted in (("pc", "00:02.0"), ("q35", "00:01.0")):
        domain = completed(f"{NIC}<graphics type='vnc'/>", caps, machine=machine)
        assert slot(domain.devices.videos[0]) == wanted


def test_each_card_of_a_q35_gets_a_root_port_of_its_own_and_one_port_stays_free(caps: Capabilities) -> None:
    domain = completed(NIC * 3, caps, machine="q35")
    ports = {each.index: each for each in domain.devices.controllers if each.model == "pcie-root-port"}
    buses = [place.bus for each in domain.devices.interfaces if isinstance(place := each.address, PciAddress)]
    assert len(set(buses)) == 3
    assert set(buses) <= set(ports)
    used = {each.address.bus for each in _on_pci(domain) if isinstance(each.address, PciAddress)}
    assert len(set(ports) - used) == 1


def _on_pci(domain: Domain) -> list[Device]:
    devices = domain.devices
    assert devices.memballoon is not None
    return [*devices.interfaces, *devices.controllers, devices.memballoon]


def test_root_ports_share_slots_eight_to_each(caps: Capabilities) -> None:
    domain = completed(NIC * 10, caps, machine="q35")
    ports = [each for each in domain.devices.controllers if each.model == "pcie-root-port"]
    assert [slot(each) for each in ports[:9]] == [*(f"00:01.{n}" for n in range(8)), "00:02.0"]
    first, second = ports[0].address, ports[1].address
    assert isinstance(first, PciAddress)
    assert isinstance(second, PciAddress)
    assert (first.multifunction, second.multifunction) == (True, None)
    assert [each.target.chassis for each in ports if each.target] == [each.index for each in ports]


def test_a_conventional_card_of_a_q35_sits_behind_a_bridge(caps: Capabilities) -> None:
    domain = completed("<interface type='user'><model type='rtl8139'/></interface>", caps, machine="q35")
    (bridge,) = (each for each in domain.devices.controllers if each.model == "pcie-to-pci-bridge")
    assert cards(domain) == [f"{bridge.index:02x}:01.0"]


def test_forty_cards_of_a_pc_spill_over_to_a_bridge(caps: Capabilities) -> None:
    found = cards(completed(NIC * 40, caps))
    assert len(set(found)) == 40
    assert {place.partition(":")[0] for place in found} == {"00", "01"}


BRIDGE = "<controller type='pci' index='{}' model='{}'/>"
BUS_OF = "<controller type='pci' index='{}' model='{}'><address type='pci' bus='{}' slot='{}'/></controller>"


@pytest.mark.parametrize(
    ("devices", "machine", "wanted"),
    [
        # A switch: the upstream port behind a root port, the downstream ports behind that.
        ([BRIDGE.format(1, "pcie-root-port"), BRIDGE.format(2, "pcie-switch-upstream-port"),
          BRIDGE.format(3, "pcie-switch-downstream-port"), BRIDGE.format(4, "pcie-switch-downstream-port")],
         "q35", {1: "00:01.0", 2: "01:00.0", 3: "02:00.0", 4: "02:01.0"}),
        # The bridge to conventional PCI has its place on a real board; nothing comes and goes right behind it.
        ([BRIDGE.format(1, "dmi-to-pci-bridge"), BRIDGE.format(2, "pci-bridge")],
         "q35", {1: "00:1e.0", 2: "01:00.0"}),
        ([BRIDGE.format(1, "pci-expander-bus"), BRIDGE.format(2, "pci-expander-bus")],
         "pc", {1: "00:02.0", 2: "00:03.0"}),
        # A gap in the numbers is a bus, too.
        ([BRIDGE.format(1, "pcie-root-port"), BRIDGE.format(3, "pcie-root-port")],
         "q35", {1: "00:01.0", 2: "00:01.2", 3: "00:01.1"}),
        # A port of an expander is told, since nothing is put there by itself.
        ([BRIDGE.format(1, "pcie-expander-bus"), BUS_OF.format(2, "pcie-root-port", 1, 0)],
         "q35", {1: "00:01.0", 2: "01:00.0"}),
    ],
)  # fmt: skip
def test_pci_controllers_find_their_places(
    devices: list[str], machine: str, wanted: dict[int, str], caps: Capabilities
) -> None:
    domain = completed(
        "".join(devices) + "<memballoon model='none'/><controller type='usb' model='none'/>", caps, machine=machine
    )
    places = {each.index: each for each in domain.devices.controllers if each.type == "pci" and each.index}
    assert {index: slot(each) for index, each in places.items()} == wanted


def test_the_parts_of_a_usb_2_controller_share_a_slot(caps: Capabilities) -> None:
    group = "".join(
        f"<controller type='usb' index='{{0}}' model='ich9-{name}'/>" for name in ("ehci1", "uhci1", "uhci2")
    )
    for machine, wanted in (("q35", "00:1d"), ("pc", "00:02")):
        parts = [
            each for each in completed(group.format(0), caps, machine=machine).devices.controllers if each.type == "usb"
        ]
        assert [slot(each) for each in parts] == [f"{wanted}.7", f"{wanted}.0", f"{wanted}.1"]
        assert [each.master and each.master.startport for each in parts] == [None, 0, 2]
    many = completed(group.format(0) + group.format(1) + group.format(2), caps, machine="q35")
    slots = {each.index: slot(each)[:5] for each in many.devices.controllers if each.type == "usb"}
    assert slots == {0: "00:1d", 1: "00:1a", 2: "02:01"}


def test_a_port_alone_in_its_slot_is_no_multifunction_device(caps: Capabilities) -> None:
    domain = completed(BRIDGE.format(1, "pcie-root-port") + NIC + "<memballoon model='none'/>"
                       "<controller type='usb' model='none'/>", caps, machine="q35")  # fmt: skip
    (port_,) = (each for each in domain.devices.controllers if each.model == "pcie-root-port")
    assert isinstance(port_.address, PciAddress)
    assert port_.address.multifunction is None


@pytest.mark.parametrize(
    ("devices", "machine", "words"),
    [
        (BRIDGE.format(1, "pcie-root-port") + BUS_OF.format(2, "dmi-to-pci-bridge", 1, 0), "q35", ["0000:01:00.0"]),
        (BRIDGE.format(1, "pci-bridge") + BUS_OF.format(2, "pci-expander-bus", 1, 1), "pc", ["0000:01:01.0"]),
        (BRIDGE.format(1, "pcie-root-port") + PLACED.format(1, 1, 0), "q35", ["slot 0"]),
        (PLACED.format(0, 0, 1), "pc", ["slots 1 to 31"]),
        (BUS_OF.format(1, "pci-bridge", 2, 1) + BRIDGE.format(2, "pci-bridge"), "pc", ["bus 2"]),
        ("<controller type='sata' index='0'><address type='pci' slot='4'/></controller>", "q35", ["0000:00:1f.2"]),
        ("<controller type='ide' index='0'><address type='pci' slot='4'/></controller>", "pc", ["0000:00:01.1"]),
        (BRIDGE.format(1, "pcie-expander-bus"), "pc", ["pcie-expander-bus"]),
        (BRIDGE.format(1, "pci-root"), "pc", ["index 0"]),
        (BRIDGE.format(300, "pci-bridge"), "pc", ["300", "255"]),
        ("<controller type='pci' index='1' model='pci-bridge'><target chassis='4'/></controller>", "pc", ["chassis"]),
        ("<controller type='pci' index='1' model='pci-bridge'><model name='pxb'/></controller>", "pc", ["'pxb'"]),
        ("<controller type='pci' index='1' model='pci-expander-bus'><target busNr='255'/></controller>",
         "pc", ["between 1 and 254"]),
    ],
)  # fmt: skip
def test_a_pci_controller_out_of_place_is_refused(
    devices: str, machine: str, words: list[str], caps: Capabilities
) -> None:
    with pytest.raises(VmherdError) as caught:
        completed(devices, caps, machine=machine)
    assert [word for word in words if word not in caught.value.message] == []


@pytest.mark.parametrize(
    ("devices", "machine", "words"),
    [
        (PLACED.format(0, 5, 0) * 2, "pc", ["0000:00:05.0", "<interface>"]),
        (PLACED.format(0, 1, 0), "pc", ["0000:00:01.0", "the chipset", "<interface>"]),
        (PLACED.format(0, 0x1F, 0), "q35", ["0000:00:1f.0", "the chipset", "<interface>"]),
        (PLACED.format(0, 6, 0) + "<memballoon model='virtio'><address type='pci' slot='6'/></memballoon>",
         "pc", ["0000:00:06.0", "<interface>", "<memballoon>"]),
    ],
)  # fmt: skip
def test_two_in_one_place_are_refused_with_both_named(
    devices: str, machine: str, words: list[str], caps: Capabilities
) -> None:
    with pytest.raises(DocumentError) as caught:
        completed(devices, caps, machine=machine)
    assert [word for word in words if word not in caught.value.message] == []
    assert "<address>" in caught.value.hint


def test_a_disk_sits_where_its_name_says(caps: Capabilities) -> None:
    names = {"hdc": (0, 1, 0), "sdh": (1, 0, 0), "fdb": (0, 0, 1)}
    buses = {"hdc": "ide", "sdh": "scsi", "fdb": "fdc"}
    disks = "".join(
        f"<disk type='file' device='{'floppy' if name == 'fdb' else 'disk'}'><source file='/{name}'/>"
        f"<target dev='{name}' bus='{buses[name]}'/></disk>"
        for name in names
    )
    domain = completed(disks, caps)
    for disk in domain.devices.disks:
        assert isinstance(place := disk.address, DriveAddress)
        assert (place.controller, place.bus, place.unit) == names[disk.target.dev]
    scsi = [each.index for each in domain.devices.controllers if each.type == "scsi"]
    assert scsi == [0, 1]


def test_usb_devices_take_ports_in_turn(caps: Capabilities) -> None:
    assert [port(each) for each in completed(MOUSE * 2, caps).devices.inputs[:2]] == ["0:1", "0:2"]


def test_more_usb_devices_than_ports_get_a_hub(caps: Capabilities) -> None:
    domain = completed(MOUSE * 3, caps)
    (hub,) = domain.devices.hubs
    assert port(hub) == "0:1"
    assert [port(each) for each in domain.devices.inputs[:3]] == ["0:2", "0:1.1", "0:1.2"]
    alias.assign(domain)
    host, numbers = HostMemory(files=DATA), Numbers()
    launch = Launch(folder=DATA, monitor_fd=9, opener=numbers, host=numbers, memory=host, now=datetime.now(UTC))
    argv = build(domain, caps, launch)
    hub_argument = '{"driver":"usb-hub","id":"hub0","bus":"usb.0","port":"1"}'
    assert argv.index(hub_argument) < next(n for n, word in enumerate(argv) if '"1.1"' in word)


def test_a_port_that_is_told_is_kept(caps: Capabilities) -> None:
    domain = completed(MOUSE + PLUGGED.format(0, 1), caps)
    assert [port(each) for each in domain.devices.inputs[:2]] == ["0:2", "0:1"]


def test_a_second_controller_is_used_when_the_first_is_full(caps: Capabilities) -> None:
    controllers = "<controller type='usb' index='0'/><controller type='usb' index='1' model='ehci'/>"
    found = [port(each) for each in completed(controllers + MOUSE * 4, caps).devices.inputs[:4]]
    assert found == ["0:1", "0:2", "1:1", "1:2"]


@pytest.mark.parametrize(
    ("devices", "complaint"),
    [
        (PLUGGED.format(0, 1) * 2, "port 1 of USB bus 0 is taken"),
        (PLUGGED.format(0, 3), "USB bus 0 has no port 3"),
        (PLUGGED.format(0, "1.1"), "USB bus 0 has no port 1.1"),
        (PLUGGED.format(4, 1), "there is no USB bus 4"),
        (PLUGGED.format(0, "1.2.3.4.5"), "no path to a USB port"),
        (PLUGGED.format(0, "first"), "no path to a USB port"),
        (f"<controller type='usb' model='none'/>{MOUSE}", "has no controller to sit on"),
    ],
)
def test_a_usb_port_that_cannot_be_had_is_told(devices: str, complaint: str, caps: Capabilities) -> None:
    with pytest.raises(DocumentError, match=complaint) as caught:
        completed(devices, caps)
    assert caught.value.place.startswith("domain/devices/input")
    assert caught.value.hint


def test_channels_have_ports_of_their_own_and_port_zero_is_for_a_console(caps: Capabilities) -> None:
    told = "<channel type='pty'><target type='virtio'/><address type='virtio-serial' port='2'/></channel>"
    domain = completed(CHANNEL.format("a") + told + CHANNEL.format("b"), caps)
    assert serial_ports(domain) == [(0, 1), (0, 2), (0, 3)]


def test_channels_beyond_one_controller_get_another(caps: Capabilities) -> None:
    domain = completed("".join(CHANNEL.format(f"n{number}") for number in range(31)), caps)
    assert serial_ports(domain) == [*((0, number) for number in range(1, 31)), (1, 1)]
    assert [each.index for each in domain.devices.controllers if each.type == "virtio-serial"] == [0, 1]


def serial_ports(domain: Domain) -> list[tuple[int, int | None]]:
    places = [each.address for each in domain.devices.channels]
    return [(each.controller, each.port) for each in places if isinstance(each, VirtioSerialAddress)]
