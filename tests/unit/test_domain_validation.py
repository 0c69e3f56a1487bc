"""What no hypervisor could run is refused, all of it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmherd.conf.domain import Domain, check, complete, parse_domain, problems
from vmherd.errors import DocumentError

DATA = Path(__file__).parent.parent / "data" / "domain"
SOUND = "<name>a</name><memory>1024</memory>"


def guest(devices: str = "", head: str = SOUND, os: str = "") -> Domain:
    text = f"<domain type='test'>{head}<os><type>hvm</type>{os}</os><devices>{devices}</devices></domain>"
    return parse_domain(text)


def places(domain: Domain) -> list[str]:
    return [problem.place for problem in problems(domain)]


@pytest.mark.parametrize("name", ["typical.xml", "firmware-block.xml", "sparse.out.xml"])
def test_a_sound_document_has_no_problems(name: str) -> None:
    domain = parse_domain((DATA / name).read_text())
    complete(domain)
    check(domain)


@pytest.mark.parametrize(
    ("head", "place"),
    [
        ("<name></name><memory>1</memory>", "domain/name"),
        ("<name>a/b</name><memory>1</memory>", "domain/name"),
        ("<name>..</name><memory>1</memory>", "domain/name"),
        ("<name>a\nb</name><memory>1</memory>", "domain/name"),
        (SOUND + "<title>a\nb</title>", "domain/title"),
        ("<name>a</name><memory>0</memory>", "domain/memory"),
        (SOUND + "<currentMemory>2048</currentMemory>", "domain/currentMemory"),
        (SOUND + "<maxMemory slots='1'>512</maxMemory>", "domain/maxMemory"),
        (SOUND + "<vcpu>0</vcpu>", "domain/vcpu"),
        (SOUND + "<vcpu current='0'>2</vcpu>", "domain/vcpu/@current"),
        (SOUND + "<vcpu current='3'>2</vcpu>", "domain/vcpu/@current"),
        (SOUND + "<vcpu>3</vcpu><cpu><topology sockets='1' cores='2' threads='1'/></cpu>", "domain/cpu/topology"),
        (
            SOUND + "<vcpu>2</vcpu><cpu><numa><cell cpus='0-1' memory='1'/><cell cpus='1' memory='1'/></numa></cpu>",
            "domain/cpu/numa/cell[2]/@cpus",
        ),
        (
            SOUND + "<cputune><cachetune vcpus='0'><cache id='0' level='3' type='code' size='9'/>"
            "<cache id='0' level='3' type='both' size='9'/></cachetune></cputune>",
            "domain/cputune/cachetune[1]/cache[2]",
        ),
        (
            SOUND + "<cputune><memorytune vcpus='0'><node id='0' bandwidth='5'/><node id='0' bandwidth='5'/>"
            "</memorytune></cputune>",
            "domain/cputune/memorytune[1]/node[2]",
        ),
        (
            SOUND + "<cputune><cachetune vcpus='0-1'/><memorytune vcpus='1'/></cputune>",
            "domain/cputune/memorytune[1]/@vcpus",
        ),
        (SOUND + "<cpu><cache mode='passthrough' level='3'/></cpu>", "domain/cpu/cache/@level"),
        (SOUND + "<cpu><maxphysaddr mode='emulate'/></cpu>", "domain/cpu/maxphysaddr"),
        (SOUND + "<cpu><maxphysaddr mode='passthrough' bits='42'/></cpu>", "domain/cpu/maxphysaddr/@bits"),
        (
            SOUND
            + "<cputune><vcpusched vcpus='0-1' scheduler='idle'/><vcpusched vcpus='1' scheduler='idle'/></cputune>",
            "domain/cputune/vcpusched[2]",
        ),
        (SOUND + "<cpu><numa><cell id='0' memory='1'/><cell id='2' memory='1'/></numa></cpu>", "domain/cpu/numa"),
        (
            SOUND + "<numatune><memnode cellid='0' mode='strict' nodeset='0'/></numatune>",
            "domain/numatune/memnode[1]/@cellid",
        ),
        (
            SOUND + "<memoryBacking><hugepages><page size='2048' nodeset='1'/></hugepages></memoryBacking>",
            "domain/memoryBacking/hugepages/page[1]/@nodeset",
        ),
        (SOUND + "<seclabel model='dac'/><seclabel model='dac'/>", "domain/seclabel[2]"),
    ],
)
def test_a_guest_that_cannot_be_is_refused(head: str, place: str) -> None:
    assert places(guest(head=head)) == [place]


TWO = (
    SOUND
    + "<vcpu>2</vcpu><cpu><numa><cell id='0' cpus='0-1' memory='1'>{}</cell><cell id='1' memory='1'/>{}</numa></cpu>"
)
WAY = "<latency initiator='{}' target='1' {}type='read' value='7'/>"
TUNED = SOUND + "<vcpu>4</vcpu><cputune>{}</cputune>"
SHARE = "<cache id='0' level='3' type='both' size='9'/>"
PAGES = SOUND + "<memoryBacking><hugepages>{}</hugepages></memoryBacking>"


@pytest.mark.parametrize(
    ("head", "place"),
    [
        (
            TWO.format("<distances><sibling id='2' value='20'/></distances>", ""),
            "cpu/numa/cell[1]/distances/sibling[1]/@id",
        ),
        (
            TWO.format("<distances><sibling id='1' value='10'/></distances>", ""),
            "cpu/numa/cell[1]/distances/sibling[1]/@value",
        ),
        (
            TWO.format("<distances><sibling id='1' value='256'/></distances>", ""),
            "cpu/numa/cell[1]/distances/sibling[1]/@value",
        ),
        (
            TWO.format("", "<interconnects>" + WAY.format(2, "") + "</interconnects>"),
            "cpu/numa/interconnects/latency[1]/@initiator",
        ),
        (
            TWO.format("", "<interconnects>" + WAY.format(0, "cache='1' ") + "</interconnects>"),
            "cpu/numa/interconnects/latency[1]/@cache",
        ),
        (
            TWO.format("", "<interconnects>" + WAY.format(0, "") * 2 + "</interconnects>"),
            "cpu/numa/interconnects/latency[2]",
        ),
        (TWO.replace("<vcpu>2", "<vcpu>1").format("", ""), "cpu/numa"),
        (PAGES.format("<page size='2048'/><page size='4096'/>"), "memoryBacking/hugepages/page"),
        (SOUND + "<maxMemory slots='0'>2048</maxMemory>", "maxMemory/@slots"),
        (
            TUNED.format(f"<cachetune vcpus='0-1'>{SHARE}<monitor level='2' vcpus='0'/></cachetune>"),
            "cputune/cachetune[1]/monitor[1]/@level",
        ),
        (
            TUNED.format(f"<cachetune vcpus='0-1'>{SHARE}<monitor level='3' vcpus='2'/></cachetune>"),
            "cputune/cachetune[1]/monitor[1]/@vcpus",
        ),
        (
            TUNED.format(
                f"<cachetune vcpus='0-2'>{SHARE}<monitor level='3' vcpus='0-1'/>"
                "<monitor level='3' vcpus='1-2'/></cachetune>"
            ),
            "cputune/cachetune[1]/monitor[2]/@vcpus",
        ),
        (TUNED.format(f"<cachetune vcpus='0-1'>{SHARE}</cachetune>" * 2), "cputune/cachetune[2]/@vcpus"),
        (
            TUNED.format("<memorytune vcpus='0'><node id='0' bandwidth='101'/></memorytune>"),
            "cputune/memorytune[1]/node[1]/@bandwidth",
        ),
        (SOUND + "<numatune><memory mode='preferred'/></numatune>", "numatune/memory/@nodeset"),
        (
            SOUND + "<keywrap><cipher name='aes' state='on'/><cipher name='aes' state='off'/></keywrap>",
            "keywrap/cipher[2]",
        ),
        (SOUND + "<clock offset='timezone'/>", "clock/@timezone"),
        (SOUND + "<clock offset='absolute'/>", "clock/@start"),
        (SOUND + "<clock offset='variable' adjustment='soon'/>", "clock/@adjustment"),
        (
            SOUND + "<features><hyperv><spinlocks state='on' retries='9'/></hyperv></features>",
            "features/hyperv/spinlocks/@retries",
        ),
        (
            SOUND + "<features><hyperv><vendor_id state='on' value='thirteen chars'/></hyperv></features>",
            "features/hyperv/vendor_id/@value",
        ),
        (
            SOUND + "<features><kvm><dirty-ring state='on' size='3000'/></kvm></features>",
            "features/kvm/dirty-ring/@size",
        ),
        (
            SOUND + "<perf><event name='cmt' enabled='yes'/><event name='cmt' enabled='no'/></perf>",
            "perf/event[2]/@name",
        ),
    ],
)
def test_memory_shares_and_clocks_agree_with_themselves(head: str, place: str) -> None:
    domain = guest(head=head)
    assert places(domain) == [f"domain/{place}"]


def test_monitors_count_the_whole_group_and_parts_of_it() -> None:
    monitors = "".join(f"<monitor level='3' vcpus='{cpus}'/>" for cpus in ("0", "1", "0-1"))
    assert places(guest(head=TUNED.format(f"<cachetune vcpus='0-1'>{SHARE}{monitors}</cachetune>"))) == []


DISK = "<disk><source file='/a'/><target dev='{}' bus='virtio'/>{}</disk>"
MODULE = "<memory model='{}'>{}<target><size>512</size>{}</target></memory>"
FILE = "<source><path>/a</path></source>"
_REQUESTED = "domain/devices/memory[1]/target/requested"
PCI = "<address type='pci' slot='0x04'/>"


@pytest.mark.parametrize(
    ("devices", "place"),
    [
        (DISK.format("vda", "") * 2, "domain/devices/disk[2]/target/@dev"),
        ("<disk><source file='/a'/><target dev='odd'/></disk>", "domain/devices/disk[1]/target"),
        ("<disk type='network'><target dev='vda' bus='virtio'/></disk>", "domain/devices/disk[1]/source"),
        (DISK.format("vda", PCI) + DISK.format("vdb", PCI), "domain/devices/disk[2]/address"),
        (
            DISK.format("vda", "<alias name='ua-x'/>") + DISK.format("vdb", "<alias name='ua-x'/>"),
            "domain/devices/disk[2]/alias/@name",
        ),
        (
            DISK.format("vda", "<boot order='1'/>") + DISK.format("vdb", "<boot order='1'/>"),
            "domain/devices/disk[2]/boot/@order",
        ),
        (DISK.format("vda", "<boot order='0'/>"), "domain/devices/disk[1]/boot/@order"),
        (
            DISK.format("vda", "<wwn>5000c50015ea71ad</wwn>") + DISK.format("vdb", "<wwn>5000c50015ea71ad</wwn>"),
            "domain/devices/disk[2]/wwn",
        ),
        (
            "<disk><source file='/a'/><target dev='sda' bus='sata'/><address type='drive' unit='1'/></disk>"
            "<disk><source file='/a'/><target dev='sdb' bus='sata'/><address type='drive' unit='1'/></disk>",
            "domain/devices/disk[2]/address",
        ),
        (
            "<controller type='usb' index='0'/><controller type='usb' index='0'/>",
            "domain/devices/controller[2]/@index",
        ),
        ("<serial type='tcp'/>", "domain/devices/serial/source"),
        ("<redirdev type='unix'/>", "domain/devices/redirdev/source"),
        (
            "<serial type='unix'><source mode='bind' path='/a'><reconnect enabled='yes' timeout='1'/>"
            "</source></serial>",
            "domain/devices/serial/source/reconnect",
        ),
        (
            "<serial type='unix'><source mode='connect' path='/a'><reconnect enabled='yes'/></source></serial>",
            "domain/devices/serial/source/reconnect",
        ),
        ("<graphics type='vnc'><listen type='network'/></graphics>", "domain/devices/graphics[1]/listen[1]"),
        (
            DISK.format("vda", "<backingStore type='network'><source name='a'/></backingStore>"),
            "domain/devices/disk[1]/backingStore/source",
        ),
        ("<graphics type='rdp'><listen type='socket'/></graphics>", "domain/devices/graphics[1]/listen[1]"),
        (
            "<graphics type='vnc'><listen type='address' socket='/a'/></graphics>",
            "domain/devices/graphics[1]/listen[1]/@socket",
        ),
        (
            "<graphics type='vnc'><listen type='none' network='a'/></graphics>",
            "domain/devices/graphics[1]/listen[1]/@network",
        ),
        (
            "<graphics type='vnc' socket='/a'><listen type='socket' socket='/b'/></graphics>",
            "domain/devices/graphics[1]/listen[1]",
        ),
        (
            "<graphics type='vnc' listen='::1'><listen type='address' address='::2'/></graphics>",
            "domain/devices/graphics[1]/listen[1]",
        ),
        ("<disk device='lun'><target dev='sda' bus='scsi'/></disk>", "domain/devices/disk[1]/@device"),
        (DISK.format("vda", "<vendor>ACME</vendor>"), "domain/devices/disk[1]/vendor"),
        (
            DISK.format("vda", "<auth username='a'/>").replace("'/a'/>", "'/a'><auth username='b'/></source>"),
            "domain/devices/disk[1]/auth",
        ),
        (DISK.format("vda", "<address type='pci' slot='0x20'/>"), "domain/devices/disk[1]/address"),
        (
            "<hostdev type='usb'><source><vendor id='0x1'/><product id='0x2'/></source></hostdev>" * 2,
            "domain/devices/hostdev[2]/source",
        ),
        ("<video><model type='none'/></video><video><model type='vga'/></video>", "domain/devices/video"),
        ("<video><model type='vga' primary='yes'/></video>" * 2, "domain/devices/video"),
        ("<shmem name='a'><msi/></shmem>", "domain/devices/shmem[1]/msi"),
        (MODULE.format("nvdimm", "", ""), "domain/devices/memory[1]/source/path"),
        (MODULE.format("nvdimm", FILE, "<label><size>64</size></label>"), "domain/devices/memory[1]/target/label/size"),
        (MODULE.format("virtio-pmem", FILE, ""), "domain/devices/memory[1]/@access"),
        (MODULE.format("virtio-mem", "", "<block>2048</block><requested>100</requested>"), _REQUESTED),
        (MODULE.format("virtio-mem", "", "<requested>4096</requested>"), _REQUESTED),
        (MODULE.format("virtio-mem", "", "<block>3000</block>"), "domain/devices/memory[1]/target/block"),
        (MODULE.format("virtio-mem", "", "<block>1024</block>"), "domain/devices/memory[1]/target/block"),
        (MODULE.format("dimm", "", "<node>0</node>"), "domain/devices/memory[1]/target/node"),
        ("<iommu model='virtio'><driver eim='on'/></iommu>", "domain/devices/iommu/driver"),
        ("<iommu model='intel'><address type='pci' slot='0x04'/></iommu>", "domain/devices/iommu/address"),
        ("<serial type='file'/>", "domain/devices/serial/source"),
        ("<console type='unix'/>", "domain/devices/console/source"),
        (
            "<channel type='unix'><target type='guestfwd' address='10.0.2.1' port='1'/></channel>",
            "domain/devices/channel/source",
        ),
        ("<serial type='nmdm'><source master='/dev/nmdm0A'/></serial>", "domain/devices/serial/source"),
        ("<serial type='udp'><source mode='bind' service='1'/></serial>", "domain/devices/serial/source"),
        ("<serial type='dbus'/>", "domain/devices/serial/source"),
        ("<serial type='spiceport'><source channel='a b'/></serial>", "domain/devices/serial/source/@channel"),
    ],
)
def test_a_device_that_cannot_be_is_refused(devices: str, place: str) -> None:
    assert places(guest(devices)) == [place]


@pytest.mark.parametrize(
    ("os", "place"),
    [
        ("<loader type='rom'>/a</loader><nvram>/b</nvram>", "domain/os/nvram"),
        ("<loader type='pflash' stateless='yes'>/a</loader><nvram>/b</nvram>", "domain/os/nvram"),
        ("<firmware><feature enabled='yes' name='secure-boot'/></firmware>", "domain/os/firmware"),
        (
            "<loader type='pflash'>/a</loader><nvram type='network'><source name='a'/></nvram>",
            "domain/os/nvram/source",
        ),
    ],
)
def test_firmware_that_contradicts_itself_is_refused(os: str, place: str) -> None:
    assert places(guest(os=os)) == [place]


def test_devices_and_os_cannot_both_order_the_boot() -> None:
    assert places(guest(DISK.format("vda", "<boot order='1'/>"), os="<boot dev='hd'/>")) == ["domain/os/boot"]


def test_a_contradiction_survives_completion() -> None:
    domain = guest("<graphics type='vnc' socket='/a'><listen type='socket' socket='/b'/></graphics>")
    complete(domain)
    assert places(domain) == ["domain/devices/graphics[1]/listen[1]"]


def test_the_console_that_mirrors_a_serial_port_may_share_its_alias() -> None:
    domain = guest("<serial type='pty'><alias name='ua-line'/></serial>")
    complete(domain)
    assert places(domain) == []


def test_one_problem_is_an_error_with_its_place_and_hint() -> None:
    with pytest.raises(DocumentError) as caught:
        check(guest(head="<name>a/b</name><memory>1</memory>"))
    assert caught.value.place == "domain/name"
    assert caught.value.hint


def test_all_problems_come_in_one_error() -> None:
    with pytest.raises(DocumentError) as caught:
        check(guest(DISK.format("vda", "") * 2, head="<name>a/b</name><memory>0</memory>"))
    message = str(caught.value)
    assert "3 problems" in message
    for place in ("domain/name", "domain/memory", "domain/devices/disk[2]/target/@dev"):
        assert place in message


@pytest.mark.parametrize(
    ("shmem", "place"),
    [
        ("<shmem name='a/b'/>", "shmem[1]/@name"),
        ("<shmem name='a'><size unit='M'>3</size></shmem>", "shmem[1]/size"),
        ("<shmem name='a'><msi vectors='2'/></shmem>", "shmem[1]/msi"),
    ],
)
def test_shared_memory_that_cannot_be_shared_is_refused(shmem: str, place: str) -> None:
    domain = guest(shmem)
    complete(domain)
    assert places(domain) == [f"domain/devices/{place}"]
