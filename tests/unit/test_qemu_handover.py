"""Devices of the host and network cards: what is refused, and how devices are found, taken and given back.

The host's devices are a tree of files like the kernel's /sys; what the kernel does when one is written, a peer does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vmherd.conf.domain import parse_domain
from vmherd.conf.domain.address import HostPciAddress
from vmherd.conf.domain.hostdev import HostUsbAddress, UsbId, UsbSource
from vmherd.conf.domain.net import Interface
from vmherd.conf.domain.storage import StartupPolicy
from vmherd.errors import HostError
from vmherd.hypervisors.qemu.helpers import passt
from vmherd.hypervisors.qemu.host import hostpci, hostusb, rebind
from vmherd.hypervisors.qemu.rules import cards, hostdevs
from vmherd.util import pci
from vmherd.util.xmlmodel import parse

CARD = HostPciAddress(domain=0, bus=3, slot=7, function=1)
NAME = "0000:03:07.1"


class Kernel:
    """Binds devices as Linux does when it is asked to through files."""

    def __init__(self, root: Path, drivers: tuple[str, ...] = ("e1000", "vfio-pci")) -> None:
        self.root, self.pci = root, root / "bus/pci"
        for driver in drivers:
            (self.pci / "drivers" / driver).mkdir(parents=True)
            (self.pci / "drivers" / driver / "unbind").touch()
        (self.pci / "drivers_probe").touch()

    def add(self, name: str, driver: str, *, group: int | None = 1) -> None:
        device = self.pci / "devices" / name
        device.mkdir(parents=True)
        (device / "driver_override").write_text("(null)\n")
        self._bind(name, driver)
        if group is not None:
            members = self.root / f"kernel/iommu_groups/{group}/devices"
            members.mkdir(parents=True, exist_ok=True)
            (members / name).symlink_to(device)
            (device / "iommu_group").symlink_to(members.parent)

    def driver(self, name: str) -> str:
        return pci.driver(self.pci / "devices" / name)

    def _bind(self, name: str, driver: str) -> None:
        link = self.pci / "devices" / name / "driver"
        link.unlink(missing_ok=True)
        if driver:
            link.symlink_to(self.pci / "drivers" / driver)

    def work(self) -> None:
        """Do what was asked for."""
        for order in self.pci.glob("drivers/*/unbind"):
            if name := _taken(order):
                self._bind(name, "")
        if name := _taken(self.pci / "drivers_probe"):
            wanted = (self.pci / "devices" / name / "driver_override").read_text().strip()
            self._bind(name, wanted if wanted != "(null)" and wanted else "e1000")


def _taken(order: Path) -> str:
    text = order.read_text()
    if text:
        order.write_text("")
    return text


@contextmanager
def working(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The kernel acts within the call that writes, as the real one does."""
    write = Path.write_text

    def write_and_work(self: Path, data: str, *rest: object) -> int:
        size = write(self, data)
        if data and self.name in ("unbind", "drivers_probe"):
            kernel.work()
        return size

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", write_and_work)
        yield


def test_a_device_is_taken_from_its_driver_and_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, noted = Kernel(tmp_path), list[rebind.Taken]()
    kernel.add(NAME, "e1000")
    with working(kernel, monkeypatch):
        hostpci.take(CARD, managed=True, note=noted.append, sysfs=tmp_path)
        assert kernel.driver(NAME) == "vfio-pci"
        hostpci.check_group(CARD, tmp_path)
        folder = tmp_path / "guest"
        folder.mkdir()
        rebind.note(folder, noted)
        rebind.give_back(folder, tmp_path)
    assert kernel.driver(NAME) == "e1000"
    assert (kernel.pci / "devices" / NAME / "driver_override").read_text() == "\n"


def test_a_device_that_is_with_vfio_already_stays_there(tmp_path: Path) -> None:
    kernel, noted = Kernel(tmp_path), list[rebind.Taken]()
    kernel.add(NAME, "vfio-pci")
    hostpci.take(CARD, managed=False, note=noted.append, sysfs=tmp_path)
    assert noted == []


def test_a_device_that_vfio_does_not_get_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The note is there before anything is changed, so that a failure half-way can be undone."""
    kernel, folder = Kernel(tmp_path), tmp_path / "guest"
    kernel.add(NAME, "e1000")
    folder.mkdir()
    with pytest.raises(HostError, match="did not go to vfio-pci"):
        hostpci.take(CARD, managed=True, note=lambda taken: rebind.note(folder, [taken]), sysfs=tmp_path)
    with working(kernel, monkeypatch):
        rebind.give_back(folder, tmp_path)
    assert kernel.driver(NAME) == "e1000"


@pytest.mark.parametrize(
    ("driver", "group", "managed", "drivers", "words"),
    [
        (None, None, True, ("vfio-pci",), "no PCI device 0000:03:07.1"),
        ("e1000", None, True, ("e1000", "vfio-pci"), "no IOMMU"),
        ("e1000", 1, False, ("e1000", "vfio-pci"), "in use by the host's driver e1000"),
        ("e1000", 1, True, ("e1000",), "vfio-pci is not there"),
    ],
)
def test_a_device_that_cannot_be_taken_is_left_alone(
    driver: str | None, group: int | None, managed: bool, drivers: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    kernel, noted = Kernel(tmp_path, drivers), list[rebind.Taken]()
    if driver is not None:
        kernel.add(NAME, driver, group=group)
    with pytest.raises(HostError, match=words) as caught:
        hostpci.take(CARD, managed=managed, note=noted.append, sysfs=tmp_path)
    assert caught.value.hint
    assert noted == []


def test_a_neighbour_that_the_host_uses_keeps_the_group_from_the_guest(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path)
    kernel.add(NAME, "vfio-pci")
    kernel.add("0000:03:07.0", "e1000")
    with pytest.raises(HostError, match=r"0000:03:07\.0, which the host's driver e1000 uses"):
        hostpci.check_group(CARD, tmp_path)


@pytest.fixture
def usb(tmp_path: Path) -> Path:
    """A host with two sticks of a kind and a camera."""
    for place, values in {
        "1-1": ("1234", "beef", "1", "5"),
        "1-2": ("1234", "beef", "1", "6"),
        "2-1": ("0bda", "0001", "2", "3"),
    }.items():
        folder = tmp_path / "bus/usb/devices" / place
        folder.mkdir(parents=True)
        for name, value in zip(("idVendor", "idProduct", "busnum", "devnum"), values, strict=True):
            (folder / name).write_text(f"{value}\n")
    (tmp_path / "bus/usb/devices/2-1:1.0").mkdir()  # an interface of the camera
    return tmp_path


def by_id(vendor: int, product: int, **more: object) -> UsbSource:
    return UsbSource(vendor=UsbId(id=vendor), product=UsbId(id=product), **more)  # type: ignore[arg-type]


def test_usb_devices_are_found_by_kind_and_by_place(usb: Path) -> None:
    camera = HostUsbAddress(bus=2, device=3)
    assert hostusb.find(by_id(0x0BDA, 1), usb) == camera
    assert hostusb.find(UsbSource(address=camera), usb) == camera
    second = HostUsbAddress(bus=1, device=6)
    assert hostusb.find(by_id(0x1234, 0xBEEF, address=second), usb) == second
    assert hostusb.find(by_id(0xDEAD, 1, startup_policy=StartupPolicy.OPTIONAL), usb) is None


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (by_id(0xDEAD, 1), "no USB device dead:0001"),
        (by_id(0x1234, 0xBEEF), "2 USB devices are 1234:beef: bus 1 device 5, bus 1 device 6"),
        (by_id(0x0BDA, 1, address=HostUsbAddress(bus=1, device=5)), "at bus 1 device 5"),
    ],
)
def test_a_usb_device_that_is_missing_or_one_of_several_is_named(source: UsbSource, words: str, usb: Path) -> None:
    with pytest.raises(HostError, match=words):
        hostusb.find(source, usb)


FORWARDS = """
<interface type='user'>
  <mac address='52:54:00:00:00:01'/>
  <source dev='eth42'/>
  <ip address='172.17.2.1' family='ipv4' prefix='24'/>
  <ip address='2001:db8::1' family='ipv6'/>
  <portForward proto='tcp' address='2001:db8::2'>
    <range start='22' to='2022'/><range start='1000' end='1050'/>
    <range start='1020' exclude='yes'/><range start='1030' end='1040' exclude='yes'/>
  </portForward>
  <portForward proto='udp' address='192.0.2.4' dev='eth0'><range start='5000' end='5020' to='6000'/></portForward>
  <portForward proto='tcp'/>
  <backend type='passt' logFile='/var/log/passt.log'/>
</interface>
"""


def test_passt_is_told_addresses_and_ports() -> None:
    """Source: passt(1)."""
    told = passt.arguments(parse(Interface, FORWARDS), Path("/run/guest/net0-passt.sock"))
    assert told == [
        *("--one-off", "--socket", "net0-passt.sock", "--pid", "/run/guest/net0-passt.pid"),
        *("--interface", "eth42", "--log-file", "/var/log/passt.log"),
        *("--address", "172.17.2.1", "--netmask", "24", "--address", "2001:db8::1"),
        *("--tcp-ports", "2001:db8::2/22:2022,1000-1050,~1020,~1030-1040"),
        *("--udp-ports", "192.0.2.4%eth0/5000-5020:6000-6020"),
        *("--tcp-ports", "all"),
    ]


def places(devices: str) -> list[str]:
    """Where each complaint is, below <devices>."""
    domain = parse_domain(
        "<domain type='qemu'><name>a</name><memory>65536</memory>"
        f"<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>{devices}</devices></domain>"
    )
    found = [*cards.problems(domain), *cards.unstartable(domain), *hostdevs.problems(domain)]
    assert all(each.text for each in found)
    return [each.place.removeprefix("domain/devices/").replace("[1]", "") for each in found]


VIRTIO = "<model type='virtio'/>"


@pytest.mark.parametrize(
    ("card", "place"),
    [
        ("<interface type='null'/>", "interface/@type"),
        ("<interface type='bridge'/>", "interface/source/@bridge"),
        ("<interface type='client'><source port='9'/></interface>", "interface/source/@address"),
        ("<interface type='udp'><source address='::1' port='9'/></interface>", "interface/source/local"),
        ("<interface type='hostdev'/>", "interface/source"),
        (f"<interface type='user'>{VIRTIO}<driver queues='4'/></interface>", "interface/driver/@queues"),
        ("<interface type='user'><backend tap='/dev/net/tun'/></interface>", "interface/backend/@tap"),
        ("<interface type='user'><mtu size='9000'/></interface>", "interface/mtu"),
        ("<interface type='user'><filterref filter='clean-traffic'/></interface>", "interface/filterref"),
        ("<interface type='bridge'><source bridge='br0'/><virtualport type='openvswitch'/><filterref filter='a'/>"
         "</interface>", "interface/filterref"),
        ("<interface type='ethernet'><vlan><tag id='42'/></vlan></interface>", "interface/vlan"),
        ("<interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/><model type='e1000'/></interface>",
         "interface/model/@type"),
        (f"<interface type='user'>{VIRTIO}<driver rx_queue_size='1000'/></interface>",
         "interface/driver/@rx_queue_size"),
        ("<interface type='user'><teaming type='transient' persistent='ua-a'/></interface>", "interface/teaming/@type"),
        ("<interface type='user'><model type='e1000'/><teaming type='persistent'/></interface>", "interface/teaming"),
        ("<interface type='bridge'><source bridge='br0'/><ip address='192.0.2.1'/></interface>", "interface/ip"),
        ("<interface type='user'><ip address='192.0.2.1' prefix='30'/></interface>", "interface/ip/@prefix"),
        ("<interface type='user'><ip address='192.0.2.1'/><ip address='192.0.2.2'/></interface>", "interface/ip"),
        ("<interface type='user'><portForward proto='tcp'/></interface>", "interface/portForward"),
        ("<interface type='bridge'><source bridge='br0'/><backend type='passt'/></interface>",
         "interface/backend/@type"),
        ("<interface type='user'><script path='/bin/up'/></interface>", "interface/script"),
        ("<interface type='ethernet'><target managed='no'/></interface>", "interface/target/@dev"),
        (f"<interface type='user'>{VIRTIO}<driver name='fast'/></interface>", "interface/driver/@name"),
        ("<interface type='direct'><source dev='eth0' mode='passthru'/></interface>", "interface/source/@mode"),
        ("<interface type='user'><mac address='53:54:00:00:00:01'/></interface>", "interface/mac/@address"),
        ("<interface type='user'><virtualport type='openvswitch'/></interface>", "interface/virtualport"),
        ("<interface type='bridge'><source bridge='br0'><ip address='192.0.2.1'/></source></interface>",
         "interface/source/ip"),
        (f"<interface type='vhostuser'><source type='unix' path='/a' mode='client'><reconnect enabled='yes'/></source>"
         f"{VIRTIO}</interface>", "interface/source/reconnect/@timeout"),
    ],
)  # fmt: skip
def test_a_card_that_contradicts_itself_is_refused(card: str, place: str) -> None:
    assert places(card) == [place]


HOSTDEV = "<hostdev mode='subsystem' type='{}'{}>{}</hostdev>"
PCI = "<source><address bus='3'/></source>"
MDEV = "<source><address uuid='53764d0e-85a0-42b4-af5c-2046b460b1dc'/></source>"
ISCSI = "<source protocol='iscsi' name='iqn.2026-01.org.example:a'>{}</source><address type='drive'/>"


@pytest.mark.parametrize(
    ("device", "place"),
    [
        ("<hostdev mode='capabilities' type='misc'><source><char>/dev/input/event3</char></source></hostdev>",
         "hostdev/@mode"),
        (HOSTDEV.format("usb", "", "<source><vendor id='0x1234'/></source>"), "hostdev/source"),
        (HOSTDEV.format("pci", "", f"<driver name='kvm'/>{PCI}"), "hostdev/driver/@name"),
        (HOSTDEV.format("pci", "", "<source writeFiltering='no'><address bus='3'/></source>"),
         "hostdev/source/@writeFiltering"),
        (HOSTDEV.format("pci", " rawio='yes'", PCI), "hostdev/@rawio"),
        (HOSTDEV.format("pci", "", f"{PCI}<teaming type='persistent'/>"), "hostdev/teaming"),
        (HOSTDEV.format("mdev", " model='vfio-pci'", f"{MDEV}<address type='ccw'/>"), "hostdev/address/@type"),
        (HOSTDEV.format("pci", "", PCI) + "<interface type='hostdev'><source><address type='pci' bus='3'/></source>"
         "</interface>", "hostdev/source"),
        (HOSTDEV.format("usb", "", "<source><address bus='1' device='2'/></source><address type='unassigned'/>"),
         "hostdev/address/@type"),
        (HOSTDEV.format("scsi_host", "", "<source protocol='vhost' wwpn='naa.123'/>"), "hostdev/source/@wwpn"),
        (HOSTDEV.format("scsi_host", "", "<source protocol='vhost' wwpn='naa.5123456789abcde0'/><boot order='1'/>"),
         "hostdev/boot"),
        (HOSTDEV.format("scsi", "", ISCSI.format("")), "hostdev/source"),
        (HOSTDEV.format("scsi", "", ISCSI.format("<host name='a'/><auth username='b'><secret type='ceph' usage='c'/>"
                                                 "</auth>")), "hostdev/source/auth/secret/@type"),
        (HOSTDEV.format("mdev", " model='vfio-pci' display='on'", MDEV), "hostdev/@display"),
        (HOSTDEV.format("mdev", " model='vfio-ccw' display='off'", MDEV), "hostdev/@display"),
        (HOSTDEV.format("mdev", "", MDEV), "hostdev/@model"),
    ],
)  # fmt: skip
def test_a_host_device_that_cannot_be_handed_on_is_refused(device: str, place: str) -> None:
    assert places(device) == [place]
