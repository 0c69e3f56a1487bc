"""bhyve guests: their documents completed, placed and checked, their commands written and read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from vmherd.conf.domain import Domain, parse_domain, render
from vmherd.errors import DocumentError, HostError, Unsupported
from vmherd.hypervisors.bhyve import command, complete, firmware, native, validate
from vmherd.hypervisors.bhyve.capabilities import CURRENT, Capabilities, Feature

DISK = "<disk type='file'><source file='/vm/a.img'/><target dev='sda' bus='sata'/></disk>"
NIC = (
    "<interface type='bridge'><mac address='52:54:00:01:02:03'/>"
    "<source bridge='br0'/><model type='virtio'/></interface>"
)
ROM = "<loader readonly='yes' type='pflash'>/uefi.fd</loader>"
SCREEN = "<graphics type='vnc' port='5901'><listen type='address' address='::1'/></graphics>"


def document(devices: str = DISK, *, os: str = "", more: str = "") -> str:
    return (
        "<domain type='bhyve'><name>web</name><uuid>6a0d1bd9-0000-4000-8000-000000000001</uuid>"
        f"<memory unit='MiB'>512</memory>{more}<os><type>hvm</type>{os}</os><devices>{devices}</devices></domain>"
    )


def accepted(text: str, caps: Capabilities = CURRENT) -> Domain:
    domain = parse_domain(text)
    complete.complete(domain, caps)
    validate.check(domain)
    validate.check_startable(domain, caps)
    return domain


def commands(text: str, caps: Capabilities = CURRENT) -> command.Commands:
    return command.build(accepted(text, caps), caps, command.Launch(tap=lambda _: "tap9"))


def without(*features: str) -> Capabilities:
    return Capabilities(bhyve=CURRENT.bhyve - set(features))


def test_a_plain_guest_is_loaded_and_run() -> None:
    found = commands(document(DISK + NIC))
    assert found.loader == ["/usr/sbin/bhyveload", "-m", "512", "-d", "/vm/a.img", "web"]
    assert found.device_map is None
    assert found.bhyve[:-1] == [
        *("/usr/sbin/bhyve", "-c", "1", "-m", "512", "-u", "-H", "-P", "-s", "0:0,hostbridge"),
        *("-s", "2:0,ahci,hd:/vm/a.img", "-s", "3:0,virtio-net,tap9,mac=52:54:00:01:02:03"),
    ]
    assert found.bhyve[-1] == "web"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (document(more="<memoryBacking><locked/></memoryBacking>"), "-m 512 -S"),
        (document(more="<features><acpi/><apic/><msrs unknown='ignore'/></features>"), "-A -I -w -u"),
        (document(more="<clock offset='localtime'/>"), "-m 512 -H -P"),
        (
            document(more="<vcpu>4</vcpu><cpu><topology sockets='1' cores='2' threads='2'/></cpu>"),
            "-c cpus=4,sockets=1,cores=2,threads=2",
        ),
        (document(os=ROM), "-l bootrom,/uefi.fd -s 1:0,lpc -s 2:0,ahci,hd:/vm/a.img"),
        (
            document(DISK + SCREEN + "<video><driver vgaconf='io'/><model type='gop'><resolution x='800' y='600'/>"
                     "</model></video>", os=ROM),
            "-s 3:0,fbuf,tcp=[::1]:5901,vga=io,w=800,h=600",
        ),
        (
            document(DISK + "<controller type='usb' model='nec-xhci'/><input type='tablet' bus='usb'/>"),
            "-s 2:0,xhci,tablet -s 3:0,ahci",
        ),
        (
            document(DISK + "<sound model='ich7'><audio id='1'/></sound><audio id='1' type='oss'>"
                     "<input dev='/dev/dsp0'/><output dev='/dev/dsp1'/></audio>"),
            "-s 3:0,hda,play=/dev/dsp1,rec=/dev/dsp0",
        ),
        (
            document(DISK + "<filesystem><source dir='/srv'/><target dir='share'/><readonly/></filesystem>"),
            "-s 3:0,virtio-9p,share=/srv,ro",
        ),
        (
            document(DISK + "<serial type='nmdm'/><serial type='nmdm'>"
                     "<source master='/dev/nmdm7A' slave='/dev/nmdm7B'/></serial>"),
            "-l com1,/dev/nmdm6a0d1bd9-0000-4000-8000-000000000001A -l com2,/dev/nmdm7A",
        ),
        (
            document("<disk type='block'><source dev='/dev/zvol/a'/><target dev='vda' bus='virtio'/></disk>" + NIC),
            "-s 2:0,virtio-net,tap9,mac=52:54:00:01:02:03 -s 3:0,virtio-blk,/dev/zvol/a",
        ),
    ],
)  # fmt: skip
def test_what_a_document_says_is_on_the_command_line(text: str, words: str) -> None:
    assert words in " ".join(commands(text).bhyve)


def test_an_old_bhyve_has_a_controller_for_each_disk() -> None:
    two = DISK + "<disk device='cdrom'><source file='/vm/b.iso'/><target dev='sdb' bus='sata'/></disk>"
    found = " ".join(commands(document(two), without(Feature.AHCI_32_SLOTS)).bhyve)
    assert "-s 2:0,ahci-hd,/vm/a.img -s 3:0,ahci-cd,/vm/b.iso" in found


def test_an_old_bhyve_takes_no_second_disk_on_a_controller() -> None:
    place = "<address type='drive' unit='{}'/></disk>"
    disks = "".join(DISK.replace("sda", f"sd{'ab'[n]}").replace("</disk>", place.format(n)) for n in (0, 1))
    accepted(document(disks))
    with pytest.raises(Unsupported, match="1 disk on a SATA controller"):
        accepted(document(disks), without(Feature.AHCI_32_SLOTS))


def test_completion_twice_is_completion_once() -> None:
    domain = accepted(document(DISK + NIC + SCREEN, os=ROM))
    once = render(domain)
    complete.complete(domain, CURRENT)
    assert render(domain) == once
    assert "<model type='gop' heads='1' primary='yes'/>" in once


@pytest.mark.parametrize(
    ("slot", "message"),
    [("1", "kept for the bridge"), ("2", "taken by another device"), ("32", "no PCI address")],
)
def test_places_that_cannot_be_had_are_refused(slot: str, message: str) -> None:
    place = f"<address type='pci' slot='{slot}'/>"
    usb = "<controller type='usb' model='nec-xhci'><address type='pci' slot='2'/></controller>"
    with pytest.raises(DocumentError, match=message):
        accepted(document(DISK + usb + NIC.replace("</interface>", f"{place}</interface>")))


def test_the_bus_has_an_end() -> None:
    names = [f"vd{letter}{digit}" for letter in "abcdefgh" for digit in "abcd"]
    disks = "".join(f"<disk><source file='/d'/><target dev='{name}' bus='virtio'/></disk>" for name in names)
    with pytest.raises(DocumentError, match="no PCI slot left"):
        accepted(document(disks))


LACKING = [
    (Feature.RTC_UTC, document(), "no clock in UTC"),
    (Feature.LPC_BOOTROM, document(os=ROM), "cannot boot UEFI"),
    (Feature.FBUF, document(DISK + SCREEN, os=ROM), "no frame buffer"),
    (Feature.NET_E1000, document(DISK + NIC.replace("'virtio'", "'e1000'")), "no e1000"),
    (
        Feature.CPU_TOPOLOGY,
        document(more="<vcpu>2</vcpu><cpu><topology sockets='2' cores='1' threads='1'/></cpu>"),
        "cannot arrange CPUs",
    ),
    (
        Feature.VNC_PASSWORD,
        document(DISK + SCREEN.replace("port", "passwd='x' port"), os=ROM),
        "no VNC passwords",
    ),
]


@pytest.mark.parametrize(("feature", "text", "message"), LACKING)
def test_what_a_binary_lacks_is_refused_for_it_alone(feature: str, text: str, message: str) -> None:
    accepted(text)
    with pytest.raises(Unsupported, match=message):
        accepted(text, without(feature))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (document(DISK + "<watchdog model='i6300esb'/>"), "have no <watchdog>"),
        (document(DISK + "<controller type='scsi'/>"), "no controller of type 'scsi'"),
        (document(DISK + "<controller type='isa'/><controller type='isa'/>"), "one controller of type 'isa'"),
        (document(DISK + "<controller type='pci' model='pci-bridge'/>"), "no bridges"),
        (document(DISK + "<controller type='pci' index='1' model='pci-root'/>"), "is the bus itself"),
        (document(DISK + "<controller type='usb' model='nec-xhci'/>"), "has no device"),
        (document(DISK + "<input type='tablet' bus='usb'/>"), "no USB controller"),
        (document("<disk type='file'><source file='/d'/><target dev='sda' bus='scsi'/></disk>"), "on bus 'scsi'"),
        (document("<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>"), "no empty drives"),
        (document(DISK.replace("<source", "<driver type='qcow2'/><source")), "cannot read 'qcow2' images"),
        (document(DISK.replace("</disk>", "<readonly/></disk>")), "can be written"),
        (document(DISK.replace("</disk>", "<serial>7</serial></disk>")), "no <serial>"),
        (document(more="<cpu><model>qemu64</model></cpu>"), "see the host's CPU"),
        (document(more="<memtune><hard_limit>1024</hard_limit></memtune>"), "no <memtune>"),
        (document(DISK + NIC.replace("'virtio'", "'rtl8139'")), "no network card 'rtl8139'"),
        (document(DISK + NIC.replace("'bridge'", "'user'")), "into bridges"),
        (document(DISK.replace("'sata'/>", "'virtio'/><address type='drive'/>")), "on the PCI bus"),
        (document(DISK + SCREEN), "boot UEFI"),
        (document(DISK + SCREEN.replace("5901", "80"), os=ROM), "no VNC port"),
        (document(DISK + SCREEN.replace("port", "passwd='a,b' port"), os=ROM), "a comma ends"),
        (document(DISK + "<sound model='ac97'/>"), "no sound card 'ac97'"),
        (document(DISK + "<filesystem type='bind'><source dir='/'/><target dir='x'/></filesystem>"), "folders"),
        (document(DISK + "<serial type='pty'/>"), "null modems"),
        (
            document(
                more="<bhyve:commandline xmlns:bhyve='http://libvirt.org/schemas/domain/bhyve/1.0'>"
                "<bhyve:env name='A'/></bhyve:commandline>"
            ),
            "reads no variables",
        ),
        (document(os=ROM.replace("pflash", "rom")), "read-only flash"),
        (document(more="<bootloader>/bin/own</bootloader>"), "be told its arguments"),
        (document(more="<clock offset='timezone' timezone='CET'/>"), "no clock with offset"),
        (document().replace("hvm", "exe"), "does not run 'exe' guests"),
    ],
)
def test_what_bhyve_has_not_is_refused_with_words(text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message) as caught:
        accepted(text)
    assert caught.value.hint


TWO_DISKS = (
    "<disk type='file'><source file='/vm/a.img'/><target dev='sda' bus='sata'/>{}</disk>"
    "<disk type='file' device='cdrom'><source file='/vm/b.iso'/><target dev='sdb' bus='sata'/>{}</disk>"
)
ORDER = "<boot order='{}'/>"
GRUB = "<bootloader>/usr/local/sbin/grub-bhyve</bootloader>"


@pytest.mark.parametrize(
    ("text", "loader", "device_map"),
    [
        (document(TWO_DISKS.format("", "")), "-d /vm/a.img web", None),
        (document(TWO_DISKS.format("", ""), os="<boot dev='cdrom'/>"), "-d /vm/b.iso web", None),
        (document(os="<boot dev='cdrom'/><boot dev='hd'/>"), "-d /vm/a.img web", None),
        (document(TWO_DISKS.format(ORDER.format(2), ORDER.format(1))), "-d /vm/b.iso web", None),
        (document(more="<bootloader_args>-x  y</bootloader_args>"), "/usr/sbin/bhyveload -x y", None),
        (
            document(TWO_DISKS.format("", ""), more=GRUB),
            "--root cd --device-map <device.map> --memory 512 web",
            "(hd0) /vm/a.img\n(cd) /vm/b.iso\n",
        ),
        (
            document(TWO_DISKS.format(ORDER.format(1), ""), more=GRUB),
            "--root hd0,msdos1 --device-map <device.map> --memory 512 web",
            "(hd0) /vm/a.img\n",
        ),
        (
            document(
                DISK + "<serial type='nmdm'><source master='/dev/nmdm7A' slave='/dev/nmdm7B'/></serial>", more=GRUB
            ),
            "--memory 512 --cons-dev /dev/nmdm7A web",
            "(hd0) /vm/a.img\n",
        ),
    ],
)
def test_the_loader_boots_what_is_first(text: str, loader: str, device_map: str | None) -> None:
    found = commands(text)
    assert " ".join(found.loader or []).endswith(loader)
    assert found.device_map == device_map


@pytest.mark.parametrize("os", ["<boot dev='cdrom'/>", "<boot dev='network'/>"])
def test_a_loader_without_a_disk_to_boot_is_refused(os: str) -> None:
    with pytest.raises(Unsupported):
        commands(document(os=os))


def test_uefi_is_found_on_the_host() -> None:
    domain = parse_domain(document().replace("<os>", "<os firmware='efi'>"))
    firmware.choose(domain, Path("/fw"), ["OTHER.fd", "BHYVE_UEFI.fd"])
    assert domain.os.loader
    assert domain.os.loader.path == "/fw/BHYVE_UEFI.fd"
    with pytest.raises(HostError, match="no UEFI image"):
        firmware.choose(domain, Path("/fw"), ["BHYVE_UEFI_VARS.fd", "refind_x64.efi"])


COMMANDS = """\
/usr/sbin/bhyveload -m 1G -d /vm/a.img web
/usr/sbin/bhyve -c cpus=2,sockets=1,cores=2,threads=1 -m 1024M -A -I -S -u -H -P -Y \\
  -U 6A0D1BD9-0000-4000-8000-000000000001 -s 0,hostbridge -s 1,lpc \\
  -s 2:0,ahci,hd:/vm/a.img,cd:/vm/b.iso -s 3:1,virtio-net,tap0,mac=52:54:0:1:2:3 -s 4,virtio-9p,share=/srv,ro \\
  -s 5,xhci,tablet -s 6,hda,play=/dev/dsp -s 7,passthru,1/0/0 -l com2,/dev/nmdm3B 'web'
"""


def test_commands_are_read_and_what_is_left_out_is_told() -> None:
    found = native.read(COMMANDS)
    assert found.ignored == ["-Y", "-s 7,passthru,1/0/0: unknown device"]
    text = render(found.domain)
    for part in (
        "<memory unit='KiB'>1048576</memory>",
        "<locked/>",
        "<topology sockets='1' dies='1' cores='2' threads='1'/>",
        "<source master='/dev/nmdm3B' slave='/dev/nmdm3A'/>",
        "<target port='1'/>",
        "<mac address='52:54:00:01:02:03'/>",
        "<clock offset='utc'/>",
        "<address type='drive' controller='0' bus='0' target='0' unit='1'/>",
        "<address type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x1'/>",
    ):
        assert part in text
    assert "bootloader" not in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no bhyve command"),
        ("bhyve -m 1G", "name of the guest is missing"),
        ("bhyve -m 1G web more", "'more' is too much"),
        ("bhyve -m many web", "no size of memory"),
        ("bhyve -c few web", "no number of CPUs"),
        ("bhyve -U me web", "no UUID"),
        ("bhyve -q web", "option -q not recognized"),
        ("bhyve -l com3,/dev/nmdm0A web", "no port com3"),
        ("bhyve -l com1,/dev/nmdm0C web", "no null modem"),
        ("bhyve -l com1,stdio web", "no null modem"),
        ("bhyve web\nbhyve web", "two bhyve commands"),
        ("one web\ntwo web\nbhyve web", "more than a loader"),
        ("bhyveload -m 1G -d /a one\nbhyve -m 1G two", "different guests"),
        ("bhyveload -m 2G -d /a web\nbhyve -m 1G web", "different sizes"),
        ("bhyve 'web", "no shell command"),
    ],
)
def test_commands_of_no_guest_are_refused(text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        native.read(text)


@pytest.mark.parametrize(
    ("text", "size"), [("64", 64 << 20), ("2097152", 2 << 20), ("3g", 3 << 30), ("4096K", 4 << 20)]
)
def test_sizes_of_memory_are_those_of_bhyve(text: str, size: int) -> None:
    assert native.memory_size(text) == size


def test_what_is_written_is_what_was_read() -> None:
    """Disks on controllers of their own keep their slots, so that the guest finds the hardware it had."""
    text = (
        "/usr/sbin/bhyveload -m 512 -d /vm/a.img web\n"
        "/usr/sbin/bhyve -c 1 -m 512 -u -H -P -s 0:0,hostbridge -s 4:0,ahci,hd:/vm/a.img -s 1:0,lpc "
        "-s 3:0,virtio-net,tap0,mac=52:54:00:01:02:03 -s 5:0,virtio-9p,share=/srv -l com1,/dev/nmdm0A web\n"
    )
    assert asyncio.run(native.write(native.read(text).domain)) == text
    alone = text.replace("ahci,hd:", "ahci-hd,")
    assert asyncio.run(native.write(native.read(alone).domain)) == text
