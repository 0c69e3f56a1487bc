"""Snapshots, checkpoints and backups: reading, completing, aligning to the guest's disks, writing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tried import untried

from vmherd.conf import backup, checkpoint, snapshot
from vmherd.conf.backup import Backup, parse_backup
from vmherd.conf.checkpoint import Checkpoint, parse_checkpoint
from vmherd.conf.domain import Domain, parse_domain
from vmherd.conf.domain import complete as complete_domain
from vmherd.conf.moments import Origin
from vmherd.conf.snapshot import Location, Snapshot, parse_snapshot
from vmherd.errors import DocumentError

DATA = Path(__file__).parent.parent / "data" / "moments"
NOW = 1_700_000_000

DISKS = """
<disk><source file='/images/root.qcow2'/><target dev='vda' bus='virtio'/></disk>
<disk type='block' snapshot='internal'><source dev='/dev/vg/data'/><target dev='vdb' bus='virtio'/></disk>
<disk snapshot='no'><source file='/images/swap'/><target dev='vdc' bus='virtio'/></disk>
<disk><source file='/images/ro.img'/><target dev='vdd' bus='virtio'/><readonly/></disk>
<disk device='cdrom'><target dev='sda' bus='sata'/></disk>
"""


def guest(disks: str = DISKS) -> Domain:
    text = f"<domain type='test'><name>web</name><memory>1</memory><os><type>hvm</type></os><devices>{disks}</devices>"
    domain = parse_domain(text + "</domain>")
    complete_domain(domain, arch="x86_64")
    return domain


def request(disks: str = "", head: str = "<name>s1</name>") -> Snapshot:
    found = parse_snapshot(f"<domainsnapshot>{head}<disks>{disks}</disks></domainsnapshot>")
    snapshot.complete(found)
    return found


def asked(disks: str = "", head: str = "", mode: str = "push") -> Backup:
    return parse_backup(f"<domainbackup mode='{mode}'>{head}<disks>{disks}</disks></domainbackup>")


def read(path: Path) -> Snapshot | Checkpoint | Backup:
    text = path.read_text()
    if path.stem.startswith("snapshot"):
        return parse_snapshot(text, Origin.FILE)
    if path.stem.startswith("checkpoint"):
        return parse_checkpoint(text, Origin.REDEFINED)
    return parse_backup(text, Origin.FILE)


def written(document: Snapshot | Checkpoint | Backup) -> str:
    match document:
        case Snapshot():
            return snapshot.render(document, internal=True)
        case Checkpoint():
            return checkpoint.render(document)
        case _:
            return backup.render(document, internal=True)


GOLDEN = sorted(DATA.glob("*.xml"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_document_reads_and_writes_back_unchanged(path: Path) -> None:
    document = read(path)
    assert written(document) == path.read_text()
    assert msgspec.json.decode(msgspec.json.encode(document), type=type(document)) == document


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_finished_document_is_accepted_and_completion_adds_nothing(path: Path) -> None:
    document = read(path)
    if isinstance(document, Snapshot):
        snapshot.complete(document)
        snapshot.check(document, Origin.FILE)
    elif isinstance(document, Checkpoint):
        checkpoint.complete(document)
        checkpoint.check(document, Origin.REDEFINED)
    else:
        backup.check(document, Origin.FILE if document.disks and document.disks[0].state else Origin.REQUEST)
    assert written(document) == path.read_text()


def test_golden_files_use_every_field_of_their_own() -> None:
    documents = [read(path) for path in GOLDEN]
    missing = {
        field for cls in (Snapshot, Checkpoint, Backup) for field in untried(cls, documents, "vmherd.conf.domain")
    }
    assert missing == {"CheckpointDisk.size"}  # told, so never read


# Snapshots


def test_a_new_snapshot_is_named_after_its_second_and_tells_no_state() -> None:
    found = parse_snapshot(
        "<domainsnapshot><state>nonsense</state><creationTime>1</creationTime><parent><name>p</name></parent>"
        "<domain><uuid>no</uuid></domain></domainsnapshot>"
    )
    snapshot.complete(found, now=NOW)
    snapshot.check(found)
    assert snapshot.render(found).split() == [
        "<domainsnapshot>",
        f"<name>{NOW}</name>",
        f"<creationTime>{NOW}</creationTime>",
        "</domainsnapshot>",
    ]


def test_a_guest_that_is_not_described_is_told_by_uuid() -> None:
    text = (
        "<domainsnapshot><name>old</name><state>shutoff</state><creationTime>1</creationTime>"
        "<domain><uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid></domain></domainsnapshot>"
    )
    found = parse_snapshot(text, Origin.REDEFINED)
    snapshot.complete(found)
    assert found.domain is None
    assert "<uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>" in snapshot.render(
        found, uuid="6695eb01-f6a4-8304-79aa-97f2502e193f"
    )


@pytest.mark.parametrize(
    ("state", "head", "memory"),
    [
        ("running", "", "<memory snapshot='internal'/>"),
        ("shutoff", "", "<memory snapshot='no'/>"),
        ("disk-snapshot", "", "<memory snapshot='no'/>"),
        ("paused", "<memory file='/m'/>", "<memory snapshot='external' file='/m'/>"),
    ],
)
def test_memory_follows_the_state_of_the_guest(state: str, head: str, memory: str) -> None:
    text = f"<name>a</name><state>{state}</state><creationTime>1</creationTime>{head}"
    found = parse_snapshot(f"<domainsnapshot>{text}</domainsnapshot>", Origin.REDEFINED)
    snapshot.complete(found)
    snapshot.check(found, Origin.REDEFINED)
    assert memory in snapshot.render(found)


@pytest.mark.parametrize(
    ("disk", "expected"),
    [
        ("<disk name='vda'><source file='/new'/></disk>", "<disk name='vda' snapshot='external' type='file'>"),
        ("<disk name='vda'><driver type='qed'/></disk>", "<disk name='vda' snapshot='external' type='file'>"),
        ("<disk name='vda' type='block'><source/><driver/></disk>", "<disk name='vda'/>"),
        ("<disk name='vda' type='network'><source protocol='nbd'/></disk>", "<disk name='vda'/>"),
        (
            "<disk name='vda'><source file='/n' index='2' startupPolicy='optional' dev='/d'/></disk>",
            "<source file='/n'/>",
        ),
        (
            "<disk name='vda'><source file='/n'><seclabel model='x'/></source></disk>",
            "<seclabel model='x' relabel='yes'/>",
        ),
        (
            "<disk name='a' type='network'><source protocol='rbd' name='i'><host name='h' transport='tcp'/></source>"
            "</disk>",
            "<host name='h'/>",
        ),
    ],
)
def test_what_means_nothing_for_a_new_image_is_dropped(disk: str, expected: str) -> None:
    found = request(disk)
    snapshot.check(found)
    assert expected in snapshot.render(found)
    again = parse_snapshot(snapshot.render(found))
    snapshot.complete(again)
    assert again == found


REDEFINED = "<name>a</name><creationTime>1</creationTime><state>{}</state>"


@pytest.mark.parametrize(
    ("text", "origin", "place"),
    [
        ("<name>a/b</name>", Origin.REQUEST, "name"),
        ("<name>.a</name>", Origin.REQUEST, "name"),
        ("<state>running</state><creationTime>1</creationTime>", Origin.REDEFINED, "name"),
        ("<name>a</name><state>running</state>", Origin.REDEFINED, "creationTime"),
        ("<name>a</name><creationTime>1</creationTime>", Origin.REDEFINED, "state"),
        (REDEFINED.format("running") + "<parent><name>a</name></parent>", Origin.REDEFINED, "parent/name"),
        (REDEFINED.format("running"), Origin.FILE, "active"),
        (REDEFINED.format("shutoff") + "<memory snapshot='internal'/>", Origin.REDEFINED, "memory/@snapshot"),
        ("<memory snapshot='manual'/>", Origin.REQUEST, "memory/@snapshot"),
        ("<memory snapshot='internal' file='/m'/>", Origin.REQUEST, "memory/@file"),
        ("<memory snapshot='external'/>", Origin.REQUEST, "memory/@file"),
        ("<memory file='m'/>", Origin.REQUEST, "memory/@file"),
        ("<memory snapshot='default'/>", Origin.REQUEST, "memory/@snapshot"),
        ("<disks><disk/></disks>", Origin.REQUEST, "disks/disk"),
        ("<disks><disk name='a' snapshot='later'/></disks>", Origin.REQUEST, "disks/disk/@snapshot"),
        ("<disks><disk name='a' type='dir'/></disks>", Origin.REQUEST, "disks/disk[1]/@type"),
        ("<disks><disk name='a' type='volume'/></disks>", Origin.REQUEST, "disks/disk[1]/@type"),
        ("<disks><disk name='a'><source file='b'/></disk></disks>", Origin.REQUEST, "disks/disk[1]/source"),
        ("<disks><disk name='a'><driver type='x'/></disk></disks>", Origin.REQUEST, "disks/disk/driver/@type"),
    ],
)
def test_a_snapshot_that_cannot_be_is_refused_with_its_place(text: str, origin: Origin, place: str) -> None:
    with pytest.raises(DocumentError) as caught:
        found = parse_snapshot(f"<domainsnapshot>{text}</domainsnapshot>", origin)
        snapshot.complete(found)
        snapshot.check(found, origin)
    assert caught.value.place == f"domainsnapshot/{place}"


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("<source name='x'/>", "/@protocol"),
        ("<source protocol='rbd'/>", "/@name"),
        ("<source protocol='nbd' name='x'><host transport='unix'/></source>", "/host[1]/@socket"),
        ("<source protocol='nbd' name='x'><host name='h' socket='/s'/></source>", "/host[1]/@socket"),
        ("<source protocol='nbd' name='x'><host port='1'/></source>", "/host[1]/@name"),
        (
            "<source protocol='nbd' name='x'><seclabel model='a'/><seclabel model='a'/></source>",
            "/seclabel[2]",
        ),
        (
            "<source protocol='nbd' name='x'><seclabel model='a' relabel='no'><label>l</label></seclabel></source>",
            "/seclabel[1]/label",
        ),
    ],
)
def test_a_source_that_cannot_be_reached_or_labelled_is_refused(source: str, place: str) -> None:
    with pytest.raises(DocumentError) as caught:
        snapshot.check(request(f"<disk name='vda' type='network'>{source}</disk>"))
    assert caught.value.place == f"domainsnapshot/disks/disk[1]/source{place}"


def test_disk_only_snapshots_keep_no_memory() -> None:
    found = request(head="<memory snapshot='internal'/>")
    snapshot.check(found)
    with pytest.raises(DocumentError, match="no memory to keep"):
        snapshot.check(found, disk_only=True)


def test_all_problems_come_at_once() -> None:
    with pytest.raises(DocumentError) as caught:
        snapshot.check(request("<disk name='vda'><source file='x'/></disk>", "<name>.</name><memory file='y'/>"))
    assert "3 problems" in str(caught.value)
    assert "domainsnapshot/disks/disk[1]/source" in str(caught.value)


def test_a_snapshot_takes_in_every_disk_in_the_guests_order() -> None:
    found = request("<disk name='/images/swap' snapshot='internal'/>")
    snapshot.align(found, guest(), Location.INTERNAL)
    assert [(disk.name, disk.snapshot) for disk in found.disks] == [
        ("vda", "internal"),
        ("vdb", "internal"),
        ("vdc", "internal"),  # named by path; the request goes before the guest's own wish
        ("vdd", "no"),  # only read
        ("sda", "no"),  # empty
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/images/root.qcow2", "/images/root.s1"),
        ("/images/root", "/images/root.s1"),
        ("/images.d/root", "/images.d/root.s1"),
        ("/images/root.s0", "/images/root.s1"),
    ],
)
def test_a_new_image_is_named_like_the_old_one_and_the_snapshot(path: str, expected: str) -> None:
    found = request()
    snapshot.align(found, guest(f"<disk><source file='{path}'/><target dev='vda'/></disk>"), Location.EXTERNAL)
    assert found.disks[0].source is not None
    assert found.disks[0].source.file == expected


TWINS = "".join(f"<disk><source file='/i/a.{n}'/><target dev='vd{n}'/></disk>" for n in "ab")
REMOTE = "<disk type='network'><source protocol='nbd' name='x'><host name='h'/></source><target dev='vda'/></disk>"


@pytest.mark.parametrize(
    ("disks", "on", "words"),
    [
        ("<disk name='vdx'/>", DISKS, "no disk 'vdx'"),
        ("<disk name='/nowhere'/>", DISKS, "no disk '/nowhere'"),
        ("<disk name='vda'/><disk name='/images/root.qcow2'/>", DISKS, "is there twice"),
        ("<disk name='vda' snapshot='no'><source file='/x'/></disk>", DISKS, "only when the snapshot is external"),
        ("<disk name='vda' type='block'><driver type='qcow2'/></disk>", DISKS, "names are made for files"),
        ("<disk name='vda' snapshot='external'/>", REMOTE, "no file here"),
        (
            "<disk name='vda' snapshot='external'/><disk name='vdb' snapshot='external'/>",
            TWINS,
            "the image of 'vda' too",
        ),
    ],
)
def test_a_request_that_does_not_fit_the_guest_is_refused(disks: str, on: str, words: str) -> None:
    found = request(disks)
    with pytest.raises(DocumentError, match=words):
        snapshot.align(found, guest(on), Location.INTERNAL)


def test_internal_snapshots_can_be_asked_to_be_all_internal() -> None:
    disks = "<disk name='vda' snapshot='external'><source file='/x'/></disk>"
    snapshot.align(request(disks), guest(), Location.INTERNAL)
    with pytest.raises(DocumentError, match="kept internal like the others"):
        snapshot.align(request(disks), guest(), Location.INTERNAL, uniform=True)


def test_a_path_that_several_disks_share_names_none() -> None:
    twins = "".join(f"<disk><source file='/i/a'/><target dev='vd{n}'/><shareable/></disk>" for n in "ab")
    with pytest.raises(DocumentError, match="no disk '/i/a'"):
        snapshot.align(request("<disk name='/i/a'/>"), guest(twins), Location.INTERNAL)


@pytest.mark.parametrize("render", [snapshot.render, checkpoint.render])
def test_passwords_stay_inside_unless_asked_for(render: Callable[..., str]) -> None:
    domain = guest("<graphics type='vnc' passwd='s3cr3t'/>")
    found = Snapshot(domain=domain) if render is snapshot.render else Checkpoint(domain=domain)
    assert "s3cr3t" not in render(found)
    assert "s3cr3t" in render(found, secure=True)


# Checkpoints


def test_a_checkpoint_without_disks_tracks_all_that_change() -> None:
    found = parse_checkpoint("<domaincheckpoint/>")
    checkpoint.complete(found, now=NOW)
    checkpoint.check(found)
    checkpoint.align(found, guest())
    assert [(disk.name, disk.checkpoint, disk.bitmap) for disk in found.disks] == [
        ("vda", "bitmap", str(NOW)),
        ("vdb", "bitmap", str(NOW)),
        ("vdc", "bitmap", str(NOW)),
        ("vdd", "no", None),
        ("sda", "no", None),
    ]


def test_a_checkpoint_with_disks_tracks_only_those() -> None:
    disks = "<disk name='/dev/vg/data' bitmap='mine'/><disk name='vdc' checkpoint='no'/>"
    found = parse_checkpoint(f"<domaincheckpoint><name>c</name><disks>{disks}</disks></domaincheckpoint>")
    checkpoint.align(found, guest())
    assert [disk.bitmap for disk in found.disks] == [None, "mine", None, None, None]


def test_the_size_of_a_checkpoint_is_told_only_when_asked_for() -> None:
    text = "<domaincheckpoint><name>c</name><disks><disk name='vda' bitmap='c' size='7'/></disks></domaincheckpoint>"
    found = parse_checkpoint(text)
    assert found.disks[0].size is None
    found.disks[0].size = 4096
    assert "size" not in checkpoint.render(found)
    assert "size='4096'" in checkpoint.render(found, sizes=True)


@pytest.mark.parametrize(
    ("text", "origin", "place"),
    [
        ("<name>a/b</name>", Origin.REQUEST, "name"),
        ("<name>.a</name>", Origin.REQUEST, "name"),
        ("<creationTime>1</creationTime>", Origin.REDEFINED, "name"),
        ("<name>a</name>", Origin.REDEFINED, "creationTime"),
        (
            "<name>a</name><creationTime>1</creationTime><parent><name>a</name></parent>",
            Origin.REDEFINED,
            "parent/name",
        ),
        ("<state>running</state>", Origin.REQUEST, "state"),
        ("<disks></disks>", Origin.REQUEST, "disks"),
        ("<disks><disk/></disks>", Origin.REQUEST, "disks/disk"),
        ("<disks><disk name='nvme0'/></disks>", Origin.REQUEST, "disks/disk[1]/@name"),
        ("<disks><disk name='vda' checkpoint='yes'/></disks>", Origin.REQUEST, "disks/disk/@checkpoint"),
        ("<disks><disk name='vda' checkpoint='no' bitmap='b'/></disks>", Origin.REQUEST, "disks/disk[1]/@bitmap"),
        ("<disks><disk name='vda' mode='x'/></disks>", Origin.REQUEST, "disks/disk/@mode"),
    ],
)
def test_a_checkpoint_that_cannot_be_is_refused_with_its_place(text: str, origin: Origin, place: str) -> None:
    with pytest.raises(DocumentError) as caught:
        found = parse_checkpoint(f"<domaincheckpoint>{text}</domaincheckpoint>", origin)
        checkpoint.complete(found)
        checkpoint.check(found, origin)
    assert caught.value.place == f"domaincheckpoint/{place}"


@pytest.mark.parametrize(
    ("disks", "on", "words"),
    [
        ("<disk name='vdx'/>", DISKS, "no disk 'vdx'"),
        ("<disk name='vda'/><disk name='vda'/>", DISKS, "is there twice"),
        ("<disk name='sda'/>", DISKS, "empty or only read"),
        ("<disk name='vdd'/>", DISKS, "empty or only read"),
        ("<disk name='vda'/>", "", "without disks"),
    ],
)
def test_a_checkpoint_that_does_not_fit_the_guest_is_refused(disks: str, on: str, words: str) -> None:
    found = parse_checkpoint(f"<domaincheckpoint><name>c</name><disks>{disks}</disks></domaincheckpoint>")
    with pytest.raises(DocumentError, match=words):
        checkpoint.align(found, guest(on))


# Backups


def test_a_backup_without_disks_copies_all_that_change_to_named_files() -> None:
    found = parse_backup("<domainbackup/>")
    backup.check(found)
    backup.align(
        found, guest(DISKS.replace("type='block'", "").replace("dev='/dev/vg/data'", "file='/d'")), suffix="42"
    )
    written = [(disk.name, disk.backup, disk.image and disk.image.file) for disk in found.disks]
    assert written == [
        ("vda", True, "/images/root.qcow2.42"),
        ("vdb", True, "/d.42"),
        ("vdc", True, "/images/swap.42"),
        ("vdd", False, None),
        ("sda", False, None),
    ]
    assert {disk.backupmode for disk in found.disks if disk.backup} == {"full"}


@pytest.mark.parametrize(
    ("attributes", "head", "mode", "since"),
    [
        ("", "", "full", None),
        ("", "<incremental>c</incremental>", "incremental", "c"),
        ("incremental='d'", "", "incremental", "d"),
        ("incremental='d'", "<incremental>c</incremental>", "incremental", "d"),
        ("backupmode='incremental'", "<incremental>c</incremental>", "incremental", "c"),
        ("backupmode='full'", "<incremental>c</incremental>", "full", None),
    ],
)
def test_how_much_is_copied_follows_the_checkpoint(attributes: str, head: str, mode: str, since: str | None) -> None:
    found = asked(f"<disk name='vda' type='file' {attributes}/>", head)
    backup.check(found)
    backup.align(found, guest(), suffix="1")
    assert (found.disks[0].backupmode, found.disks[0].incremental) == (mode, since)


def test_a_pulled_backup_gets_scratch_files() -> None:
    found = asked("<disk name='vda'/>", "<server name='localhost' port='10809'/>", mode="pull")
    backup.check(found)
    backup.align(found, guest(), suffix="1")
    text = backup.render(found)
    assert "<server transport='tcp' name='localhost' port='10809'/>" in text
    assert "<disk name='vda' backup='yes' type='file' backupmode='full'>" in text
    assert "<scratch file='/images/root.qcow2.1'/>" in text
    assert "<disk name='vdb' backup='no'/>" in text
    assert parse_backup(text) == found


def test_what_the_daemon_knows_of_a_job_is_for_its_own_files() -> None:
    found = parse_backup((DATA / "backup-job.xml").read_text(), Origin.FILE)
    text = backup.render(found)
    assert "privateData" not in text
    assert "state=" not in text
    backup.check(parse_backup(text.replace(" index='3'", "")))


LUKS = "<encryption format='luks'><secret type='passphrase' usage='u'/></encryption>"
SERVER = "<server name='h' port='1'/>"


@pytest.mark.parametrize(
    ("mode", "text", "place"),
    [
        ("both", "", "@mode"),
        ("pull", "", "server"),
        ("push", SERVER, "server"),
        ("pull", "<server transport='rdma' name='h'/>", "server/@transport"),
        ("pull", "<server transport='unix'/>", "server/@socket"),
        ("pull", "<server transport='unix' socket='s'/>", "server/@socket"),
        ("pull", "<server transport='unix' socket='/s' port='1'/>", "server"),
        ("pull", "<server name='h' socket='/s'/>", "server/@socket"),
        ("pull", "<server/>", "server/@name"),
        ("pull", "<server name='a b'/>", "server/@name"),
        ("pull", "<server name='h' port='70000'/>", "server/@port"),
        ("push", "<disks/>", "disks"),
        ("push", "<disks><disk/></disks>", "disks/disk"),
        ("push", "<disks><disk name='/images/root.qcow2'/></disks>", "disks/disk[1]/@name"),
        ("push", "<disks><disk name='vda' type='network'/></disks>", "disks/disk[1]/@type"),
        ("push", "<disks><disk name='vda' backup='no' type='file'/></disks>", "disks/disk[1]"),
        ("push", "<disks><disk name='vda' backupmode='full' incremental='c'/></disks>", "disks/disk[1]/@incremental"),
        ("push", "<disks><disk name='vda' exportname='e'/></disks>", "disks/disk[1]"),
        ("push", "<disks><disk name='vda' state='running'/></disks>", "disks/disk[1]/@state"),
        ("push", "<disks><disk name='vda'><scratch file='/s'/></disk></disks>", "disks/disk[1]/scratch"),
        ("push", "<disks><disk name='vda'><target file='s'/></disk></disks>", "disks/disk[1]/target/@file"),
        ("push", "<disks><disk name='vda'><target dev='/s' file='/f'/></disk></disks>", "disks/disk[1]/target/@dev"),
        ("push", "<disks><disk name='vda' type='block'><target/></disk></disks>", "disks/disk[1]/target/@dev"),
        ("push", "<disks><disk name='vda'><target file='/f' index='1'/></disk></disks>", "disks/disk[1]/target/@index"),
        ("push", "<disks><disk name='vda'><target file='/f' pool='p'/></disk></disks>", "disks/disk/target/@pool"),
        ("push", "<privateData/>", "privateData"),
        (
            "push",
            "<disks><disk name='vda'><target file='/f'><privateData/></target></disk></disks>",
            "disks/disk[1]/target/privateData",
        ),
        (
            "push",
            f"<disks><disk name='vda'><target file='/f'>{LUKS.replace('luks', 'qcow')}</target></disk></disks>",
            "disks/disk[1]/target/encryption/@format",
        ),
        (
            "push",
            "<disks><disk name='vda'><target file='/f'><encryption format='luks'/></target></disk></disks>",
            "disks/disk[1]/target/encryption/secret",
        ),
        (
            "push",
            f"<disks><disk name='vda'><target file='/f'>{LUKS.replace('luks', 'luks2')}</target></disk></disks>",
            "disks/disk[1]/target/encryption/@format",
        ),
        ("pull", SERVER + "<disks><disk name='vda'><target file='/t'/></disk></disks>", "disks/disk[1]/target"),
        (
            "pull",
            SERVER + "<disks><disk name='vda'><driver type='raw'/></disk></disks>",
            "disks/disk[1]/driver/@type",
        ),
    ],
)
def test_a_backup_that_cannot_be_is_refused_with_its_place(mode: str, text: str, place: str) -> None:
    with pytest.raises(DocumentError) as caught:
        backup.check(parse_backup(f"<domainbackup mode='{mode}'>{text}</domainbackup>"))
    assert caught.value.place == f"domainbackup/{place}"


def test_a_job_that_was_kept_tells_how_far_it_is() -> None:
    with pytest.raises(DocumentError) as caught:
        backup.check(asked("<disk name='vda' backup='yes'/>"), Origin.FILE)
    assert caught.value.place == "domainbackup/disks/disk[1]/@state"


@pytest.mark.parametrize(
    ("disks", "words"),
    [
        ("<disk name='vdx'/>", "no disk 'vdx'"),
        ("<disk name='vda'/><disk name='vda'/>", "is there twice"),
        ("<disk name='sda'/>", "empty or only read"),
        ("<disk name='vdd'/>", "empty or only read"),
        ("<disk name='vdb'/>", "names are made for files"),
        ("<disk name='vda' type='block'/>", "names are made for files"),
        ("<disk name='vda' backupmode='incremental'/>", "since which checkpoint"),
    ],
)
def test_a_backup_that_does_not_fit_the_guest_is_refused(disks: str, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        backup.align(asked(disks), guest(), suffix="1")
