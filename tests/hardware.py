"""A host with hardware that the one at hand lacks: a tree of files like the kernel's /sys, and udev's notes.

What the kernel does when somebody writes into a file of it, ``Hardware.obey`` does.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

GPU = "0000:00:02.0"
MDEV = "c60cc60c-c60c-c60c-c60c-c60cc60cc60c"


class Hardware:
    """The host below ``root``; ``add`` plugs something in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sys = root / "sys"

    def add(
        self,
        path: str,
        subsystem: str,
        *,
        listed: str = "",
        links: dict[str, str] | None = None,
        event: str = "",
        **attributes: str | bytes,
    ) -> Path:
        """A device at ``path`` below /sys/devices; ``listed`` is the folder that has a link to it."""
        device = self.sys / "devices" / path
        device.mkdir(parents=True, exist_ok=True)
        listing = self.sys / (listed or f"bus/{subsystem}/devices")
        listing.mkdir(parents=True, exist_ok=True)
        self.link(listing / device.name, device)
        self.link(device / "subsystem", listing.parent if not listed else listing)
        for name, target in (links or {}).items():
            folder = self.sys / target
            folder.mkdir(parents=True, exist_ok=True)
            self.link(device / name, folder)
        for name, value in {"uevent": event, **attributes}.items():
            file = device / name.replace("__", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(value if isinstance(value, bytes) else f"{value}\n".encode())
        return device

    def link(self, path: Path, target: Path) -> None:
        path.unlink(missing_ok=True)
        path.symlink_to(os.path.relpath(target, path.parent))

    def pci(self, path: str, vendor: str, device: str, kind: str, **more: str | bytes) -> Path:
        """A PCI device, in IOMMU group 7 with all others of its bus."""
        made = self.add(f"pci0000:00/{path}", "pci", vendor=vendor, device=device, **{"class": kind, **more})
        group = self.sys / "kernel/iommu_groups/7"
        (group / "devices").mkdir(parents=True, exist_ok=True)
        self.link(group / "devices" / made.name, made)
        self.link(made / "iommu_group", group)
        (made / "driver_override").write_text("(null)\n")
        return made

    def udev(self, name: str, *lines: str) -> None:
        folder = self.root / "run/udev/data"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("".join(f"{line}\n" for line in lines))

    # What the kernel does

    def mediated(self, uuid: str, kind: str) -> Path:
        return self.add(
            f"pci0000:00/{GPU}/{uuid}",
            "mdev",
            links={"mdev_type": f"devices/pci0000:00/{GPU}/mdev_supported_types/{kind}"},
            remove="",
            assign="",
        )

    def fibre_host(self, number: int, path: str, wwnn: str, wwpn: str, **more: str) -> None:
        self.add(f"pci0000:00/{path}", "scsi", event="DEVTYPE=scsi_host")
        (self.sys / f"class/scsi_host/host{number}").mkdir(parents=True)
        (self.sys / f"class/scsi_host/host{number}/unique_id").write_text(f"{number}\n")
        fibre = self.sys / f"class/fc_host/host{number}"
        fibre.mkdir(parents=True)
        names = {"node_name": f"0x{wwnn}", "port_name": f"0x{wwpn}", "fabric_name": "0x2001000dec9877c1"}
        for name, text in (names | more).items():
            (fibre / name).write_text(f"{text}\n")

    def _written(self, path: Path, data: str) -> None:
        match path.name:
            case "create":
                self.mediated(data, path.parent.name)
            case "remove":
                shutil.rmtree(path.parent.resolve())
                (self.sys / "bus/mdev/devices" / path.parent.name).unlink()
            case "vport_create":
                wwpn, wwnn = data.split(":")
                self.fibre_host(6, "0000:00:05.0/host5/vport-5:0-0/host6", wwnn, wwpn)
            case "vport_delete":
                (self.sys / "bus/scsi/devices/host6").unlink()
            case "unbind":
                (self.sys / "bus/pci/devices" / data / "driver").unlink()
            case "drivers_probe":
                device = self.sys / "bus/pci/devices" / data
                wanted = (device / "driver_override").read_text().strip().replace("(null)", "") or "ixgbe"
                self.link(device / "driver", self.sys / "bus/pci/drivers" / wanted)

    @contextmanager
    def obey(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """The kernel acts within the call that writes."""
        write = Path.write_text

        def write_and_act(path: Path, data: str, *rest: object) -> int:
            size = write(path, data)
            if path.is_relative_to(self.sys):
                self._written(path, data)
            return size

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_text", write_and_act)
            yield


def server(root: Path) -> Hardware:
    """A server: a card with virtual functions, graphics to be shared, disks, USB, Fibre Channel."""
    host = Hardware(root)
    dmi = {"product_name": "R740", "sys_vendor": "Maker", "product_serial": "S1", "bios_vendor": "Firm"}
    dmi |= {"product_uuid": "4C4C4544-0034-3610-8052-B2C04F333332", "bios_version": "2.1", "bios_date": "01/02/2024"}
    host.add("virtual/dmi/id", "dmi", listed="class/dmi", **dmi)
    host.pci("0000:00:01.0", "0x8086", "0x1901", "0x060400", config=_config(bridge=True))
    card = host.pci(
        "0000:00:01.0/0000:01:00.0",
        *("0x8086", "0x1528", "0x020000"),
        config=_config(express=True),
        numa_node="1",
        sriov_totalvfs="63",
        vpd=VITAL,
        reset="",
    )
    function = host.pci("0000:00:01.0/0000:01:10.0", "0x8086", "0x1515", "0x020000")
    host.link(function / "physfn", card)
    host.link(card / "virtfn0", function)
    for driver in ("ixgbe", "vfio-pci"):
        (host.sys / "bus/pci/drivers" / driver).mkdir(parents=True)
        (host.sys / "bus/pci/drivers" / driver / "unbind").touch()
    (host.sys / "bus/pci/drivers_probe").touch()
    host.link(card / "driver", host.sys / "bus/pci/drivers/ixgbe")
    net = {"address": "52:54:00:12:34:56", "operstate": "up", "speed": "10000", "ifindex": "4711"}
    host.add("pci0000:00/0000:00:01.0/0000:01:00.0/net/enp1s0", "net", listed="class/net", **net)
    host.add("virtual/net/br0", "net", listed="class/net", event="DEVTYPE=bridge", address="00:00:00:00:00:01")
    _graphics(host)
    _disks(host)
    _usb(host)
    host.pci("0000:00:05.0", "0x1077", "0x2532", "0x0c0400")
    npiv = {"vport_create": "", "vport_delete": "", "max_npiv_vports": "127", "npiv_vports_inuse": "1"}
    host.fibre_host(5, "0000:00:05.0/host5", "2000000000000001", "2100000000000001", **npiv)
    return host


def mainframe(root: Path) -> Hardware:
    """An IBM Z: channels and cryptographic cards."""
    host = Hardware(root)
    drivers = {"driver": "bus/css/drivers/io_subchannel"}
    host.add("css0/0.0.0070", "css", links=drivers, dev_busid="0.0.10f0")
    host.add("css0/0.0.0071", "css", links={"driver": "bus/css/drivers/chsc_subchannel"})
    host.add("css0/0.0.0070/0.0.10f0", "ccw")
    host.add("ap/card07", "ap")
    host.add("ap/card07/07.0038", "ap")
    host.add("vfio_ap/matrix", "matrix", **{"mdev_supported_types__vfio_ap-passthrough__device_api": "vfio-ap"})
    (host.sys / "devices/vfio_ap/matrix/mdev_supported_types/vfio_ap-passthrough/available_instances").write_text(
        "65536"
    )
    return host


def _graphics(host: Hardware) -> None:
    kind = "mdev_supported_types__i915-GVTg_V5_4"
    types = {f"{kind}__device_api": "vfio-pci", f"{kind}__available_instances": "3", f"{kind}__create": ""}
    gpu = host.pci(GPU, "0x8086", "0x1912", "0x030000", **types)
    (host.sys / "class/mdev_bus").mkdir(parents=True)
    host.link(host.sys / "class/mdev_bus" / GPU, gpu)
    event = "DEVTYPE=drm_minor\nDEVNAME=dri/card0\nMAJOR=226\nMINOR=0"
    host.add(f"pci0000:00/{GPU}/drm/card0", "drm", listed="class/drm", event=event, dev="226:0")
    host.udev("c226:0", "S:dri/by-path/pci-0000:00:02.0-card")


def _disks(host: Hardware) -> None:
    base = "pci0000:00/0000:00:1f.2/ata1/host0"
    host.pci("0000:00:1f.2", "0x8086", "0xa102", "0x010601")
    host.add(base, "scsi", event="DEVTYPE=scsi_host")
    host.add(f"{base}/target0:0:0", "scsi", event="DEVTYPE=scsi_target")
    disk = f"{base}/target0:0:0/0:0:0:0"
    device = host.add(disk, "scsi", event="DEVTYPE=scsi_device", type="0", vendor="ATA     ", model="Samsung SSD 850 ")
    event = "DEVTYPE=disk\nDEVNAME=sda\nMAJOR=8\nMINOR=0"
    block = host.add(
        *(f"{disk}/block/sda", "block"),
        listed="class/block",
        event=event,
        dev="8:0",
        size="976773168",
        queue__logical_block_size="4096",
    )
    host.link(block / "device", device)
    known = ("E:ID_TYPE=disk", "E:ID_BUS=ata", "E:ID_SERIAL=Samsung_SSD_850_S2R", "S:disk/by-id/ata-Samsung")
    host.udev("b8:0", *known)
    event = "DEVTYPE=partition\nDEVNAME=sda1"
    host.add(f"{disk}/block/sda/sda1", "block", listed="class/block", event=event, dev="8:1", size="2048")
    host.add(f"{disk}/scsi_generic/sg0", "scsi_generic", listed="class/scsi_generic", event="DEVNAME=sg0", dev="21:0")
    event = "DEVTYPE=disk\nDEVNAME=loop0"
    host.add("virtual/block/loop0", "block", listed="class/block", event=event, dev="7:0", size="0")
    event = "DEVTYPE=disk\nDEVNAME=sr0"
    host.add("virtual/block/sr0", "block", listed="class/block", event=event, dev="11:0", size="2097151")
    host.udev("b11:0", "E:ID_TYPE=cd", "E:ID_CDROM=1")


def _usb(host: Hardware) -> None:
    host.pci("0000:00:14.0", "0x8086", "0xa12f", "0x0c0330")
    base = "pci0000:00/0000:00:14.0/usb1"
    numbers = {"busnum": "1", "devnum": "1", "idVendor": "1d6b", "idProduct": "0002"}
    host.add(base, "usb", event="DEVTYPE=usb_device\nDEVNAME=bus/usb/001/001", **numbers)
    numbers = {"busnum": "1", "devnum": "4", "idVendor": "ffee", "idProduct": "0815"}
    host.add(f"{base}/1-1", "usb", event="DEVTYPE=usb_device", product="Stick", manufacturer="Own", **numbers)
    codes = {"bInterfaceNumber": "00", "bInterfaceClass": "08", "bInterfaceSubClass": "06", "bInterfaceProtocol": "50"}
    host.add(f"{base}/1-1/1-1:1.0", "usb", event="DEVTYPE=usb_interface", **codes)


def _config(*, bridge: bool = False, express: bool = False) -> bytes:
    """A configuration space; with ``express``, of a card in port 3 that could have 8 lanes and has 4."""
    config = bytearray(256)
    config[0x0E] = 1 if bridge else 0
    if express:
        config[0x06], config[0x34] = 0x10, 0x40
        config[0x40:0x42] = bytes((0x01, 0xA0))  # power management, then:
        config[0xA0:0xA4] = bytes((0x10, 0, 0x02, 0))
        struct.pack_into("<I", config, 0xA0 + 0x0C, 3 << 24 | 8 << 4 | 3)
        struct.pack_into("<H", config, 0xA0 + 0x12, 4 << 4 | 2)
    return bytes(config)


def _field(keyword: str, value: str) -> bytes:
    return keyword.encode() + bytes((len(value),)) + value.encode()


_READ = _field("PN", "part1") + _field("SN", "serial1") + _field("V0", "own")
_WRITE = _field("YA", "tag1") + _field("Y5", "system")
VITAL = b"\x82\x04\0Card" + bytes((0x90, len(_READ), 0)) + _READ + bytes((0x91, len(_WRITE), 0)) + _WRITE + b"\x78"
