"""Names and metadata: what is kept of a domain beside what runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.registry import open_driver
from vmherd.driver.types import CURRENT, Scope
from vmherd.driver.uri import parse_uri
from vmherd.errors import (
    DocumentError,
    DomainNotFound,
    InvalidArgument,
    InvalidState,
    MetadataNotFound,
    ReadOnly,
    VmherdError,
)
from vmherd.events import DomainEvent, Lifecycle, LifecycleEvent, MetadataChangeEvent, MetadataType
from vmherd.state.store import Store

ELEMENT, TITLE, DESCRIPTION = MetadataType.ELEMENT, MetadataType.TITLE, MetadataType.DESCRIPTION
URI = "http://example.org/notes"
LIVE, CONFIG = Scope(live=True), Scope(config=True)
GUEST = "<domain type='test'><name>web</name><memory>1024</memory><os><type>hvm</type></os></domain>"


@pytest.fixture
async def driver() -> AsyncIterator[HypervisorDriver]:
    driver = await open_driver(parse_uri("test:///default"))
    yield driver
    await driver.close()


@pytest.fixture
async def guest(driver: HypervisorDriver) -> str:
    return (await driver.domain_define(GUEST)).uuid


async def test_an_element_is_kept_under_its_namespace_and_told_without(driver: HypervisorDriver, guest: str) -> None:
    text = "<note n='1'><line>a &amp; b</line><q:other xmlns:q='urn:q'/></note>"
    await driver.domain_set_metadata(guest, ELEMENT, text, key="n", uri=URI)
    await driver.domain_set_metadata(guest, ELEMENT, "<x/>", key="x", uri="urn:x")
    xml = await driver.domain_xml(guest)
    assert f'<n:note xmlns:n="{URI}" n="1">' in xml
    assert "<n:line>a &amp; b</n:line>" in xml
    assert await driver.domain_metadata(guest, ELEMENT, uri=URI) == (
        '<note n="1">\n  <line>a &amp; b</line>\n  <q:other xmlns:q="urn:q"/>\n</note>'
    )
    await driver.domain_set_metadata(guest, ELEMENT, "<other/>", key="n", uri=URI)
    assert await driver.domain_metadata(guest, ELEMENT, uri=URI) == "<other/>"
    await driver.domain_set_metadata(guest, ELEMENT, None, uri=URI)
    with pytest.raises(MetadataNotFound):
        await driver.domain_metadata(guest, ELEMENT, uri=URI)
    assert await driver.domain_metadata(guest, ELEMENT, uri="urn:x") == "<x/>"


async def test_the_running_guest_and_its_definition_have_titles_of_their_own(
    driver: HypervisorDriver, guest: str
) -> None:
    await driver.domain_set_metadata(guest, TITLE, "kept")
    await driver.domain_start(guest)
    await driver.domain_set_metadata(guest, TITLE, "now")
    assert await driver.domain_metadata(guest, TITLE) == "now"
    assert await driver.domain_metadata(guest, TITLE, scope=CONFIG) == "kept"
    await driver.domain_set_metadata(guest, DESCRIPTION, "both", scope=Scope(live=True, config=True))
    assert [await driver.domain_metadata(guest, DESCRIPTION, scope=each) for each in (LIVE, CONFIG)] == ["both"] * 2
    assert (await driver.domain_find(guest)).title == "now"


async def test_a_change_of_metadata_is_told(driver: HypervisorDriver, guest: str) -> None:
    async with await driver.events() as events:
        await driver.domain_set_metadata(guest, TITLE, "new")
        await driver.domain_set_metadata(guest, ELEMENT, "<x/>", key="x", uri=URI)
        told: list[DomainEvent] = [await anext(events), await anext(events)]
    assert [(each.type, each.uri) for each in told if isinstance(each, MetadataChangeEvent)] == [
        (TITLE, None),
        (ELEMENT, URI),
    ]


@pytest.mark.parametrize(
    ("kind", "text", "key", "uri", "scope", "problem"),
    [
        (TITLE, "two\nlines", None, None, CURRENT, InvalidArgument),
        (TITLE, "x", "k", None, CURRENT, InvalidArgument),
        (ELEMENT, "<x/>", None, URI, CURRENT, InvalidArgument),
        (ELEMENT, "<x/>", "k", None, CURRENT, InvalidArgument),
        (ELEMENT, "<x/>", "not a prefix", URI, CURRENT, VmherdError),
        (ELEMENT, "<x", "k", URI, CURRENT, DocumentError),
        (ELEMENT, "<k:x xmlns:k='urn:other'/>", "k", URI, CURRENT, DocumentError),
        (ELEMENT, "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>", "k", URI, CURRENT, DocumentError),
        (TITLE, "x", None, None, LIVE, InvalidState),
    ],
)
async def test_what_makes_no_sense_is_refused_and_changes_nothing(
    driver: HypervisorDriver,
    guest: str,
    kind: MetadataType,
    text: str,
    key: str | None,
    uri: str | None,
    scope: Scope,
    problem: type[VmherdError],
) -> None:
    before = await driver.domain_xml(guest)
    with pytest.raises(problem):
        await driver.domain_set_metadata(guest, kind, text, key=key, uri=uri, scope=scope)
    assert await driver.domain_xml(guest) == before


async def test_a_new_name_is_told_as_libvirt_tells_it(driver: HypervisorDriver, guest: str) -> None:
    async with await driver.events() as events:
        await driver.domain_rename(guest, "new")
        told: list[DomainEvent] = [await anext(events), await anext(events)]
    assert [(each.name, each.event, each.detail_name) for each in told if isinstance(each, LifecycleEvent)] == [
        ("web", Lifecycle.UNDEFINED, "renamed"),
        ("new", Lifecycle.DEFINED, "renamed"),
    ]
    assert (await driver.domain_find("new")).uuid == guest
    assert "<name>new</name>" in await driver.domain_xml(guest)
    with pytest.raises(DomainNotFound):
        await driver.domain_find("web")
    with pytest.raises(InvalidState, match="'test' already exists"):
        await driver.domain_rename(guest, "test")
    with pytest.raises(InvalidState, match="active"):
        await driver.domain_rename((await driver.domain_find("test")).uuid, "other")
    for bad in ("", "a/b"):
        with pytest.raises(InvalidArgument):
            await driver.domain_rename(guest, bad)


async def test_a_reader_renames_and_annotates_nothing() -> None:
    driver = await open_driver(parse_uri("test:///default"), readonly=True)
    uuid = (await driver.domain_find("test")).uuid
    with pytest.raises(ReadOnly):
        await driver.domain_rename(uuid, "x")
    with pytest.raises(ReadOnly):
        await driver.domain_set_metadata(uuid, TITLE, "x")
    await driver.close()


def test_a_name_that_is_taken_meanwhile_keeps_both_as_they_were(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    for uuid, name in (("1", "a"), ("2", "b")):
        store.insert("domain", uuid, name, b"")
    with pytest.raises(VmherdError, match="exists already"):
        store.rename("domain", "1", "b")
    assert [record.name for record in store.all("domain")] == ["a", "b"]


async def test_guests_of_the_test_driver_have_an_inside_as_libvirts_do(driver: HypervisorDriver) -> None:
    devices = (
        "<disk type='file' device='disk'><source file='/x'/><target dev='vda' bus='virtio'/></disk>"
        "<interface type='network'><mac address='aa:bb:cc:dd:ee:ff'/><source network='n'/>"
        "<target dev='n0'/></interface>"
    )
    xml = GUEST.replace("<name>web", "<name>full").replace("</domain>", f"<devices>{devices}</devices></domain>")
    uuid = (await driver.domain_create(xml)).uuid
    assert await driver.domain_hostname(uuid) == "fullhost"
    assert [(each.mountpoint, each.disks) for each in await driver.domain_filesystems(uuid)] == [
        ("/", ("vda",)),
        ("/boot", ("vda",)),
    ]
    frozen = [await driver.domain_freeze(uuid, ["/"]), await driver.domain_freeze(uuid), await driver.domain_thaw(uuid)]
    assert frozen == [1, 1, 2]
    assert await driver.domain_thaw(uuid) == 0
    (card,) = await driver.domain_addresses(uuid)
    assert (card.name, card.mac, card.addresses[0].address) == ("n0", "aa:bb:cc:dd:ee:ff", "192.168.122.3")
    assert await driver.domain_time(uuid) // 1_000_000_000 == 627319920
    await driver.domain_poweroff(uuid)
