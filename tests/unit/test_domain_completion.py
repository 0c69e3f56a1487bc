"""What every driver gets for free: the completed document."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmherd.conf.domain import Domain, complete, parse_domain, render
from vmherd.conf.domain.address import DriveAddress, VirtioSerialAddress
from vmherd.errors import DocumentError

DATA = Path(__file__).parent.parent / "data" / "domain"
GOLDEN = sorted(DATA.glob("*.xml"))


def guest(devices: str = "", head: str = "<memory>1048576</memory>") -> Domain:
    text = f"<domain type='test'><name>a</name>{head}<os><type>hvm</type></os><devices>{devices}</devices></domain>"
    return parse_domain(text)


def completed(devices: str = "", head: str = "<memory>1048576</memory>") -> Domain:
    domain = guest(devices, head)
    complete(domain)
    return domain


def test_a_sparse_document_is_filled_in() -> None:
    domain = parse_domain((DATA / "sparse.in.xml").read_text())
    complete(domain, arch="x86_64")
    assert render(domain) == (DATA / "sparse.out.xml").read_text()


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_completing_twice_changes_nothing_more(path: Path) -> None:
    domain = parse_domain(path.read_text())
    complete(domain)
    once = render(domain, secure=True)
    complete(domain)
    assert render(domain, secure=True) == once
    assert render(parse_domain(once), secure=True) == once


def test_a_way_back_between_nodes_is_as_long_as_the_way_there() -> None:
    cells = "".join(f"<cell id='{n}' memory='1024'>{{{n}}}</cell>" for n in range(3))
    there = "<distances><sibling id='1' value='21'/></distances>"
    back = "<distances><sibling id='0' value='31'/><sibling id='2' value='12'/></distances>"
    domain = completed(head=f"<cpu><numa>{cells.format(there, back, '')}</numa></cpu>")
    assert domain.cpu
    assert domain.cpu.numa
    told = [[(each.id, each.value) for each in cell.distances] for cell in domain.cpu.numa.cells]
    assert told == [[(0, 10), (1, 21)], [(0, 31), (1, 10), (2, 12)], [(1, 12), (2, 10)]]


@pytest.mark.parametrize(
    ("told", "vcpu", "memory"),
    [
        ("<vcpu placement='auto' cpuset='1'>2</vcpu>", " placement='auto'", "mode='strict' placement='auto'"),
        (
            "<vcpu>2</vcpu><numatune><memory placement='auto' nodeset='1'/></numatune>",
            " placement='auto'",
            "mode='strict' placement='auto'",
        ),
        (
            "<vcpu cpuset='1'>2</vcpu><numatune><memory placement='auto'/></numatune>",
            " placement='static' cpuset='1'",
            "mode='strict' placement='auto'",
        ),
        (
            "<vcpu>2</vcpu><numatune><memory placement='static' nodeset='1'/></numatune>",
            " placement='static'",
            "mode='strict' nodeset='1'",
        ),
    ],
)
def test_cpus_and_memory_are_placed_together(told: str, vcpu: str, memory: str) -> None:
    text = render(completed(head="<memory>4096</memory>" + told))
    assert f"<vcpu{vcpu}>2</vcpu>" in text
    assert f"<memory {memory}/>" in text


def test_a_page_size_for_the_only_node_is_that_of_the_guest() -> None:
    page = "<memoryBacking><hugepages><page size='2048' nodeset='0'/></hugepages></memoryBacking>"
    assert "nodeset" not in render(completed(head="<memory>4096</memory>" + page))
    node = "<cpu><numa><cell id='0' memory='4096'/></numa></cpu>"
    assert "nodeset" in render(completed(head="<memory>4096</memory>" + page + node))


def test_groups_of_cpus_get_their_shares_in_one_order() -> None:
    shares = "".join(f"<cache id='{n}' level='3' type='{kind}' size='1' unit='MiB'/>" for n, kind in SHARES)
    groups = (
        f"<cachetune vcpus='0-1'>{shares}</cachetune><cachetune vcpus='9'>{shares}</cachetune>"
        "<memorytune vcpus='2'><node id='1' bandwidth='5'/><node id='0' bandwidth='6'/></memorytune>"
        "<memorytune vcpus='0-1,9'><node id='0' bandwidth='7'/></memorytune><memorytune vcpus='3'/>"
    )
    tune = completed(head=f"<memory>4096</memory><vcpu>4</vcpu><cputune>{groups}</cputune>").cputune
    assert tune
    assert [[(each.id, each.type) for each in group.caches] for group in tune.cachetunes] == [ORDERED]
    assert [group.vcpus for group in tune.memorytunes] == [(0, 1), (2,)]
    assert [node.id for node in tune.memorytunes[1].nodes] == [0, 1]


SHARES = [(1, "data"), (0, "data"), (1, "code"), (2, "both")]
ORDERED = [(2, "both"), (1, "code"), (0, "data"), (1, "data")]


@pytest.mark.parametrize(
    ("told", "complete"),
    [
        ("offset='utc' adjustment='60'", "offset='variable' adjustment='60' basis='utc'"),
        ("offset='localtime' adjustment='-60'", "offset='variable' adjustment='-60' basis='localtime'"),
        ("offset='utc' adjustment='reset' start='4'", "offset='utc' adjustment='reset'"),
        ("offset='variable'", "offset='variable' adjustment='0' basis='utc'"),
        ("offset='absolute' start='4' timezone='UTC'", "offset='absolute' start='4'"),
        ("offset='timezone' timezone='Asia/Tokyo' basis='utc'", "offset='timezone' timezone='Asia/Tokyo'"),
    ],
)
def test_a_clock_says_no_more_than_it_means(told: str, complete: str) -> None:
    assert f"<clock {complete}/>" in render(completed(head=f"<memory>4096</memory><clock {told}/>"))


PREFIX = st.sampled_from(["hd", "sd", "vd", "xvd", "fd"])
DISK = st.builds("{}{}".format, PREFIX, st.from_regex("[a-z]{1,2}", fullmatch=True))
STREAM = st.sampled_from(["pty", "null", "stdio", "vc", "unix", "spicevmc"])


@given(disks=st.lists(DISK, unique=True, max_size=6), serials=st.lists(STREAM, max_size=3), card=st.booleans())
def test_completing_is_idempotent_for_any_mix(disks: list[str], serials: list[str], card: bool) -> None:
    devices = "".join(f"<disk><target dev='{dev}'/></disk>" for dev in disks)
    devices += "".join(f"<serial type='{kind}'/>" for kind in serials)
    devices += "<smartcard mode='host'/>" * card
    domain = completed(devices)
    once = render(domain)
    complete(domain)
    assert render(domain) == once


def test_a_missing_uuid_is_made_and_differs_each_time() -> None:
    first, second = completed().uuid, completed().uuid
    assert first != second
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first or "")


def test_a_missing_mac_is_made_in_qemus_range() -> None:
    mac = completed("<interface type='user'/>").devices.interfaces[0].mac
    assert mac is not None
    assert re.fullmatch(r"52:54:00(:[0-9a-f]{2}){3}", mac.address)


@pytest.mark.parametrize(
    ("dev", "bus", "place"),
    [
        ("hdd", "ide", (0, 1, 1)),
        ("sda", "scsi", (0, 0, 0)),
        ("sdh", "scsi", (1, 0, 0)),
        ("sdp", "scsi", (2, 0, 1)),
        ("sdaa", "scsi", (3, 0, 5)),
        ("fdb", "fdc", (0, 0, 1)),
    ],
)
def test_a_target_name_tells_bus_and_address(dev: str, bus: str, place: tuple[int, int, int]) -> None:
    kind = "floppy" if dev.startswith("fd") else "disk"
    disk = completed(f"<disk device='{kind}'><target dev='{dev}'/></disk>").devices.disks[0]
    assert disk.target.bus == bus
    assert isinstance(disk.address, DriveAddress)
    assert (disk.address.controller, disk.address.bus, disk.address.unit) == place


def test_a_sata_controller_has_six_ports_and_a_wide_scsi_bus_fifteen() -> None:
    domain = guest("<disk><target dev='sdh' bus='sata'/></disk><disk><target dev='sdx' bus='scsi'/></disk>")
    complete(domain, wide_scsi=True)
    addresses = [disk.address for disk in domain.devices.disks]
    assert addresses == [DriveAddress(controller=1, unit=1), DriveAddress(controller=1, unit=9)]
    assert [(each.type, each.index) for each in domain.devices.controllers] == [
        ("scsi", 0),
        ("scsi", 1),
        ("sata", 0),
        ("sata", 1),
    ]


def test_controllers_get_free_indexes_in_order() -> None:
    domain = completed("<controller type='usb'/><controller type='usb' index='0'/><controller type='usb'/>")
    assert [each.index for each in domain.devices.controllers] == [1, 0, 2]


def test_the_first_console_is_the_first_serial_port() -> None:
    devices = completed("<serial type='file'><source path='/var/log/a'/></serial>").devices
    assert [(each.type, each.sources[0].path) for each in devices.consoles] == [("file", "/var/log/a")]
    devices = completed("<console type='pty'/>").devices
    assert [each.type for each in devices.serials] == ["pty"]
    assert devices.consoles[0].target is not None
    assert devices.consoles[0].target.type == "serial"


@pytest.mark.parametrize("kind", ["pci-serial", "usb-serial", "isa-debug"])
def test_a_port_that_cannot_be_a_console_makes_none(kind: str) -> None:
    assert not completed(f"<serial type='pty'><target type='{kind}'/></serial>").devices.consoles


def test_virtio_ports_without_a_number_follow_those_before_and_the_first_stays_open() -> None:
    channel = "<channel type='pty'><target type='virtio' name='{}'/><address type='virtio-serial' port='{}'/></channel>"
    domain = completed(channel.format("a", 0) + channel.format("b", 1) + channel.format("c", 0))
    addresses = [each.address for each in domain.devices.channels]
    assert [each.port for each in addresses if isinstance(each, VirtioSerialAddress)] == [0, 1, 2]


def test_an_empty_drive_has_neither_server_nor_pool() -> None:
    domain = completed("<disk type='network' device='cdrom'><target dev='sda' bus='sata'/></disk>")
    assert domain.devices.disks[0].type == "file"


def test_a_source_keeps_only_what_its_type_means() -> None:
    disk = completed("<disk type='block'><source dev='/dev/a' file='/b'/><target dev='vda'/></disk>").devices.disks[0]
    assert disk.source is not None
    assert (disk.source.dev, disk.source.file) == ("/dev/a", None)


@pytest.mark.parametrize(
    ("graphics", "listen", "socket", "kind"),
    [
        ("<graphics type='vnc' listen='127.0.0.1'/>", "127.0.0.1", None, "address"),
        ("<graphics type='vnc'><listen type='address' address='::1'/></graphics>", "::1", None, "address"),
        ("<graphics type='vnc' socket='/run/v'/>", None, "/run/v", "socket"),
        ("<graphics type='vnc'><listen type='socket' socket='/run/v'/></graphics>", None, "/run/v", "socket"),
        ("<graphics type='spice'/>", None, None, "none"),
    ],
)
def test_old_and_new_ways_to_say_where_a_screen_listens_agree(
    graphics: str, listen: str | None, socket: str | None, kind: str
) -> None:
    made = completed(graphics).devices.graphics[0]
    assert (made.listen, made.socket, made.listens[0].type) == (listen, socket, kind)


def test_memory_is_the_sum_of_the_numa_nodes_when_it_is_not_told_or_the_guest_is_new() -> None:
    numa = "<cpu><numa><cell memory='1024'/><cell memory='2048'/></numa></cpu>"
    assert completed(head=numa).memory.size == 3072 * 1024
    told = "<memory>4096</memory>" + numa
    assert completed(head=told).memory.size == 4096 * 1024
    domain = guest(head=told)
    complete(domain, abi_update=True)
    assert domain.memory.size == 3072 * 1024


def test_the_balloon_is_never_larger_than_the_guest() -> None:
    head = "<memory>1024</memory><currentMemory>4096</currentMemory>"
    assert completed(head=head).current_memory == 1024 * 1024


def test_an_order_of_boot_devices_replaces_the_default() -> None:
    assert [each.dev for each in completed().os.boots] == ["hd"]
    assert not completed("<disk><target dev='vda'/><boot order='1'/></disk>").os.boots


def test_unnamed_iothreads_get_the_lowest_free_ids() -> None:
    head = "<iothreads>4</iothreads><iothreadids><iothread id='2'/><iothread id='9'/></iothreadids>"
    assert [each.id for each in completed(head=head).iothreadids] == [2, 9, 1, 3]


LAST = 2**32 - 1


@pytest.mark.parametrize(
    ("devices", "place"),
    [
        (f"<disk><target dev='sda'/><address type='drive' controller='{LAST}'/></disk>", "domain/devices"),
        (f"<parallel type='null'><target port='{LAST}'/></parallel><parallel type='null'/>", "parallel/target/@port"),
        (
            f"<smartcard mode='host'><address type='ccid' slot='{LAST}'/></smartcard><smartcard mode='host'/>",
            "smartcard/address/@slot",
        ),
    ],
)
def test_numbers_that_leave_no_room_for_more_are_refused(devices: str, place: str) -> None:
    with pytest.raises(DocumentError) as caught:
        completed(devices)
    assert caught.value.place.endswith(place)


def test_a_console_cannot_take_the_boot_order_from_the_disks() -> None:
    domain = completed("<serial type='pty'/><console type='pty'><boot order='1'/></console>")
    assert [each.dev for each in domain.os.boots] == ["hd"]


def test_scsi_host_devices_take_free_units_past_a_full_controller() -> None:
    hostdev = (
        "<hostdev mode='subsystem' type='scsi'><source protocol='iscsi' name='iqn.2030-01.com.example:x'/></hostdev>"
    )
    domain = completed("<disk><target dev='sdb' bus='scsi'/></disk>" + hostdev * 8)
    places = [each.address for each in domain.devices.hostdevs]
    assert [(each.controller, each.unit) for each in places if isinstance(each, DriveAddress)] == [
        *((0, unit) for unit in (0, 2, 3, 4, 5, 6)),
        (1, 0),
        (1, 1),
    ]


def test_the_first_video_card_is_primary_unless_another_says_so() -> None:
    card = "<video><model type='{}'{}/></video>"
    videos = completed(card.format("vga", "") + card.format("qxl", " primary='yes'")).devices.videos
    assert [video.model and (video.model.type, video.model.primary) for video in videos] == [
        ("qxl", True),
        ("vga", None),
    ]


def test_what_a_chain_and_a_mirror_leave_open_is_filled_in() -> None:
    source = "<source protocol='{}' name='x'{}><host name='h'/>{}</source>"
    below = source.format("iscsi", " query='dropped'", "<timeout seconds='9'/>")
    mirror = "<mirror type='file' job='copy'><format type='qcow2'/><source file='/m'/></mirror>"
    domain = completed(
        f"<disk type='network'>{source.format('http', ' query=' + repr('a=1'), '')}"
        f"<backingStore type='network'><format type='qcow2'/>{below}</backingStore>{mirror}"
        "<target dev='vda'/></disk>"
    )
    [disk] = domain.devices.disks
    assert disk.source is not None
    assert (disk.source.hosts[0].port, disk.source.query) == ("80", "a=1")
    assert disk.backing_store is not None
    assert disk.backing_store.source is not None
    assert (disk.backing_store.source.hosts[0].port, disk.backing_store.source.timeout) == ("3260", None)
    assert disk.mirror is not None
    assert (disk.mirror.file, disk.mirror.format_name) == ("/m", "qcow2")
