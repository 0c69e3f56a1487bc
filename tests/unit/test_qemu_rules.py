"""What QEMU could not run, or libvirt would not let it, is refused with its place."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from vmherd.conf.domain import parse_domain, render
from vmherd.errors import DocumentError
from vmherd.hypervisors.qemu import complete, validate
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.host.accel import Verdict

DATA = Path(__file__).parents[1] / "data" / "qemu"


@pytest.fixture(scope="module")
def caps() -> Capabilities:
    return msgspec.json.decode((DATA / "capabilities-7.2.json").read_bytes(), type=Capabilities)


def refused(caps: Capabilities, devices: str = "", head: str = "", machine: str = "pc", kind: str = "qemu") -> str:
    """Where the first problem is; "" if there is none."""
    vcpu = "" if "<vcpu>" in head else "<vcpu>2</vcpu>"
    text = f"""
    <domain type='{kind}' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
      <name>box</name><memory unit='MiB'>64</memory>{vcpu}{head}
      <os><type arch='x86_64' machine='{machine}'>hvm</type></os>
      <devices>{devices}</devices>
    </domain>"""
    try:
        domain = parse_domain(text)
        complete.complete(domain, caps, new=True)
        validate.check(domain, caps, kvm=Verdict(True, ""))
    except DocumentError as problem:
        return problem.place or str(problem)
    return ""


CPU = [
    ("<cpu mode='custom'/>", "domain/cpu"),
    ("<cpu><feature policy='require' name='sse'/></cpu>", "domain/cpu/feature[1]"),
    ("<cpu><vendor>Intel</vendor></cpu>", "domain/cpu/vendor"),
    ("<cpu mode='maximum'><cache mode='emulate' level='2'/></cpu>", "domain/cpu/cache/@level"),
    ("<cpu mode='maximum'><cache mode='disable' level='3'/></cpu>", "domain/cpu/cache/@level"),
    ("<cpu><model>qemu64</model><cache mode='passthrough'/></cpu>", "domain/cpu/cache/@mode"),
    ("<cpu><model>qemu64</model><maxphysaddr mode='passthrough'/></cpu>", "domain/cpu/maxphysaddr/@mode"),
    ("<cpu migratable='on'><model>qemu64</model></cpu>", "domain/cpu/@migratable"),
    ("<cpu><model vendor_id='short'>qemu64</model></cpu>", "domain/cpu/model/@vendor_id"),
    (
        "<cpu><model>qemu64</model><feature policy='require' name='a'/><feature policy='force' name='a'/></cpu>",
        "domain/cpu/feature[2]/@name",
    ),
    ("<vcpus><vcpu id='2' enabled='yes'/></vcpus>", "domain/vcpus/vcpu[1]/@id"),
    ("<vcpus><vcpu id='0' enabled='no'/></vcpus>", "domain/vcpus/vcpu[1]/@enabled"),
    ("<vcpus><vcpu id='0' enabled='yes' order='2'/></vcpus>", "domain/vcpus/vcpu[1]/@order"),
    ("<vcpus><vcpu id='1' enabled='yes' order='9'/></vcpus>", "domain/vcpus/vcpu[1]/@order"),
]
TUNING = [
    ("<cputune><period>10</period></cputune>", "domain/cputune/period"),
    ("<cputune><emulator_quota>10</emulator_quota></cputune>", "domain/cputune/emulator_quota"),
    (
        "<cputune><vcpupin vcpu='0' cpuset='0'/><vcpupin vcpu='0' cpuset='1'/></cputune>",
        "domain/cputune/vcpupin[2]/@vcpu",
    ),
    ("<cputune><emulatorpin cpuset='0'/><emulatorpin cpuset='1'/></cputune>", "domain/cputune/emulatorpin[2]"),
    ("<cputune><iothreadpin iothread='1' cpuset='0'/></cputune>", "domain/cputune/iothreadpin[1]/@iothread"),
    ("<cputune><vcpusched vcpus='0' scheduler='rr'/></cputune>", "domain/cputune/vcpusched[1]"),
    ("<iothreadids><iothread id='0'/></iothreadids>", "domain/iothreadids/iothread[1]/@id"),
    (
        "<iothreads>1</iothreads><iothreadids><iothread id='1' thread_pool_min='4' thread_pool_max='2'/></iothreadids>",
        "domain/iothreadids/iothread[1]/@thread_pool_min",
    ),
    ("<perf><event name='cmt' enabled='yes'/><event name='cmt' enabled='no'/></perf>", "domain/perf/event[2]/@name"),
    ("<keywrap><cipher name='aes' state='on'/></keywrap>", "domain/keywrap"),
]
FEATURES = [
    ("<features><smm state='on'/></features>", "domain/features/smm"),
    ("<features><gic version='3'/></features>", "domain/features/gic"),
    ("<features><hyperv><stimer state='on'/></hyperv></features>", "domain/features/hyperv/stimer"),
    (
        "<features><hyperv><spinlocks state='on' retries='1'/></hyperv></features>",
        "domain/features/hyperv/spinlocks/@retries",
    ),
    (
        "<features><hyperv><vendor_id state='on' value='a,b'/></hyperv></features>",
        "domain/features/hyperv/vendor_id/@value",
    ),
    ("<features><kvm><dirty-ring state='on' size='1000'/></kvm></features>", "domain/features/kvm/dirty-ring/@size"),
    ("<clock><timer name='platform'/></clock>", "domain/clock/timer[1]/@name"),
    ("<clock><timer name='rtc' tickpolicy='merge'/></clock>", "domain/clock/timer[1]/@tickpolicy"),
    ("<clock><timer name='rtc' track='boot'/></clock>", "domain/clock/timer[1]/@track"),
    ("<clock><timer name='armvtimer'/></clock>", "domain/clock/timer[1]/@name"),
]
NUMA = "<cpu><numa><cell cpus='0' memory='32' unit='MiB'/><cell cpus='{}' memory='32' unit='MiB'/></numa></cpu>"
MEMORY = [
    (NUMA.format("0-1"), "domain/cpu/numa/cell[2]/@cpus"),
    (
        NUMA.format("1") + "<numatune><memnode cellid='1' nodeset='0'/><memnode cellid='1' nodeset='1'/></numatune>",
        "domain/numatune/memnode[2]/@cellid",
    ),
    (
        "<memoryBacking><hugepages><page size='0'/></hugepages></memoryBacking>",
        "domain/memoryBacking/hugepages/page[1]",
    ),
]
LABELS = [
    ("<seclabel type='static'><label>a</label></seclabel>", "domain/seclabel[1]/@model"),
    ("<sysinfo type='fwcfg'><entry name='mine'>x</entry></sysinfo>", "domain/sysinfo[1]/entry[1]/@name"),
    ("<sysinfo type='fwcfg'><entry name='opt/a/b' file='/f'>x</entry></sysinfo>", "domain/sysinfo[1]/entry[1]"),
]


@pytest.mark.parametrize(("head", "place"), CPU + TUNING + FEATURES + MEMORY + LABELS)
def test_what_the_machine_cannot_be_is_refused(caps: Capabilities, head: str, place: str) -> None:
    assert refused(caps, head=head).startswith(place)


DEVICES = [
    ("<controller type='ide' index='1'/>", "controller[1]/@index"),
    ("<controller type='fdc' index='1'/>", "controller[1]/@index"),
    ("<controller type='usb' model='none'/><controller type='usb' index='1' model='qemu-xhci'/>", "controller[2]"),
    ("<disk type='file' device='cdrom'><target dev='vda' bus='virtio'/></disk>", "disk[1]/@device"),
    ("<hub type='pci'/>", "hub/@type"),
    ("<redirdev bus='pci' type='spicevmc'/>", "redirdev/@bus"),
    ("<controller type='sata' index='0' model='fast'/>", "controller[1]/@model"),
    ("<controller type='usb' index='0' model='piix3-uhci' ports='4'/>", "controller[1]/@ports"),
    ("<controller type='scsi' model='lsilogic'><driver queues='2'/></controller>", "controller[1]/driver/@queues"),
    (
        "<controller type='scsi' model='virtio-scsi'><driver iothread='3'/></controller>",
        "controller[1]/driver/@iothread",
    ),
    ("<graphics type='vnc'/><graphics type='vnc'/>", "graphics[2]/@type"),
    ("<graphics type='rdp'/>", "graphics[1]/@type"),
    ("<graphics type='vnc' port='80'/>", "graphics[1]/@port"),
    ("<graphics type='vnc' passwd='far too long'/>", "graphics[1]/@passwd"),
    ("<graphics type='dbus' p2p='yes' address='unix:path=/a'/>", "graphics[1]/@address"),
    ("<graphics type='spice'><gl enable='yes'/></graphics><graphics type='egl-headless'/>", "graphics"),
    ("<audio id='1' type='none'/><audio id='1' type='none'/>", "audio[2]/@id"),
    ("<audio id='1' type='none'/><sound model='ac97'><audio id='2'/></sound>", "sound[1]/audio/@id"),
    ("<sound model='ich7'/>", "sound[1]/@model"),
    ("<video><model type='qxl'/></video><video><model type='vga'/></video>", "video[2]/model/@type"),
    ("<video><model type='gop'/></video>", "video[1]/model/@type"),
    ("<video><model type='qxl' vgamem='5000'/></video>", "video[1]/model/@vgamem"),
    ("<video><model type='vga' ram='5000'/></video>", "video[1]/model/@ram"),
    ("<video><model type='vga' blob='on'/></video>", "video[1]/model/@blob"),
    ("<video><model type='vga'><acceleration accel3d='yes'/></model></video>", "video[1]/model/acceleration/@accel3d"),
    (
        "<serial type='pty'><target type='usb-serial'><model name='isa-serial'/></target></serial>",
        "serial[1]/target/model",
    ),
    (
        "<serial type='pty'><target type='pci-serial'/><address type='isa' iobase='0x3f8'/></serial>",
        "serial[1]/address",
    ),
    ("<console type='pty'/><console type='pty'><target type='serial'/></console>", "console[2]/target/@type"),
    ("<console type='pty'><target type='lxc'/></console>", "console[1]/target/@type"),
    ("<channel type='pty'><target type='guestfwd' port='1'/></channel>", "channel[1]/target/@address"),
    ("<channel type='pty'><target type='xen' name='a'/></channel>", "channel[1]/target/@type"),
    (
        "<channel type='pty'><target type='virtio' name='a'/><address type='pci' bus='0' slot='9'/></channel>",
        "channel[1]/address/@type",
    ),
    ("<input type='tablet' bus='ps2'/>", "input[1]/@bus"),
    ("<input type='evdev'/>", "input[1]/source"),
    ("<input type='mouse' bus='usb' model='virtio'/>", "input[1]/@model"),
    ("<input type='mouse' bus='virtio' model='virtio-transitional'/>", "input[1]/@model"),
    ("<watchdog model='i6300esb'/><watchdog model='ib700'/>", "watchdog[2]"),
    ("<watchdog model='diag288'/>", "watchdog/@model"),
    ("<memballoon model='xen'/>", "memballoon/@model"),
    ("<panic model='isa'/><panic model='isa'/>", "panic[2]/@model"),
    ("<panic model='pseries'/>", "panic[1]/@model"),
    ("<panic model='hyperv'><address type='isa' iobase='0x505'/></panic>", "panic[1]/address"),
    ("<disk type='file'><source file='/a'/><target dev='vda' tray='open'/></disk>", "disk[1]/target/@tray"),
    ("<disk type='file' model='virtio'><source file='/a'/><target dev='sda' bus='sata'/></disk>", "disk[1]/@model"),
]


@pytest.mark.parametrize(("devices", "place"), DEVICES)
def test_devices_that_the_machine_cannot_have_are_refused(caps: Capabilities, devices: str, place: str) -> None:
    assert refused(caps, devices).startswith(f"domain/devices/{place}")


def test_a_modern_board_has_no_ide(caps: Capabilities) -> None:
    disk = "<disk type='file'><source file='/a'/><target dev='hda' bus='ide'/></disk>"
    assert refused(caps, disk) == ""
    assert refused(caps, disk, machine="q35").startswith("domain/devices/controller")


def test_emulations_cache_is_not_for_kvm(caps: Capabilities) -> None:
    cache = "<features><tcg><tb-cache unit='MiB'>64</tb-cache></tcg></features>"
    assert refused(caps, head=cache) == ""
    assert refused(caps, head=cache, kind="kvm") == "domain/features/tcg"


def test_names_of_variables_for_qemu_are_names(caps: Capabilities) -> None:
    env = "<qemu:commandline><qemu:env name='1a' value='x'/></qemu:commandline>"
    assert refused(caps, head=env) == "domain/qemu:commandline/qemu:env[1]/@name"


@pytest.mark.parametrize(
    ("label", "written"),
    [
        ("<seclabel type='none'/>", "<seclabel type='none' model='none'/>"),
        ("<seclabel type='dynamic' relabel='yes'/>", "<seclabel type='none' model='none'/>"),
        ("<seclabel type='dynamic' model='dac'/>", "<seclabel type='dynamic' model='dac'"),
    ],
)
def test_a_label_for_any_security_driver_is_for_the_hosts_which_is_none(
    caps: Capabilities, label: str, written: str
) -> None:
    domain = parse_domain(
        f"<domain type='qemu'><name>a</name><memory>1</memory><os><type>hvm</type></os>{label}</domain>"
    )
    complete.complete(domain, caps)
    assert written in render(domain)
