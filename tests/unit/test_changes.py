"""What a change reaches, and that it reaches all of it or nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NoReturn

import pytest

from vmherd.conf.domain import Domain
from vmherd.driver.types import CURRENT, Scope
from vmherd.driver.uri import parse_uri
from vmherd.errors import DocumentError, InvalidArgument, InvalidState
from vmherd.hypervisors.test.driver import TestDriver
from vmherd.state.changes import change_running, described, resolve
from vmherd.state.domains import Entry

LIVE, CONFIG, BOTH = Scope(live=True), Scope(config=True), Scope(live=True, config=True)
GUEST = "<domain type='test'><name>{}</name><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>"


@pytest.fixture
async def driver() -> AsyncIterator[TestDriver]:
    driver = await TestDriver.open(parse_uri("test:///default"))
    yield driver
    await driver.close()


async def domain(driver: TestDriver, kind: str) -> Entry:
    """A domain that is "off", "running" or "transient"."""
    if kind == "transient":
        info = await driver.domain_create(GUEST.format(kind))
    else:
        info = await driver.domain_define(GUEST.format(kind))
    if kind == "running":
        await driver.domain_start(info.uuid)
    return driver.table.get(info.uuid)


@pytest.mark.parametrize(
    ("kind", "asked", "meant"),
    [
        ("off", CURRENT, CONFIG),
        ("off", CONFIG, CONFIG),
        ("off", LIVE, "domain is not running"),
        ("off", BOTH, "domain is not running"),
        ("running", CURRENT, LIVE),
        ("running", CONFIG, CONFIG),
        ("running", BOTH, BOTH),
        ("transient", CURRENT, LIVE),
        ("transient", CONFIG, "transient domains"),
        ("transient", BOTH, "transient domains"),
    ],
)
async def test_a_scope_is_settled_by_what_the_domain_is(
    driver: TestDriver, kind: str, asked: Scope, meant: Scope | str
) -> None:
    entry = await domain(driver, kind)
    if isinstance(meant, Scope):
        assert resolve(entry, asked) == meant
    else:
        with pytest.raises(InvalidState, match=meant):
            resolve(entry, asked)


def test_scopes_are_libvirts_bits() -> None:
    assert [Scope.from_flags(flags).flags for flags in range(8)] == [0, 1, 2, 3, 0, 1, 2, 3]


async def test_what_runs_and_what_is_kept_change_apart(driver: TestDriver) -> None:
    entry = await domain(driver, "running")
    assert entry.live

    def retitle(domain: Domain) -> None:
        domain.title = f"{domain.title or ''}new"

    assert change_running(driver.table, entry.uuid, entry.live.id, retitle)
    entry = driver.table.get(entry.uuid)
    assert (described(entry, CURRENT).title, described(entry, CONFIG).title) == ("new", None)
    assert entry.info.title == "new"
    await driver.change_definition(entry.uuid, retitle)
    await driver.change_definition(entry.uuid, retitle)
    assert described(driver.table.get(entry.uuid), CONFIG).title == "newnew"
    with pytest.raises(InvalidArgument):
        described(entry, BOTH)


async def test_a_run_that_is_over_is_not_changed(driver: TestDriver) -> None:
    entry = await domain(driver, "transient")
    assert entry.live
    await driver.domain_poweroff(entry.uuid)

    def never(_: Domain) -> NoReturn:
        pytest.fail("asked for a run that is over")

    assert not change_running(driver.table, entry.uuid, entry.live.id, never)


async def test_a_definition_the_driver_refuses_is_not_kept(driver: TestDriver) -> None:
    entry = await domain(driver, "off")

    def too_few(domain: Domain) -> None:
        domain.vcpu.count, domain.vcpu.current = 1, 2

    with pytest.raises(DocumentError):
        await driver.change_definition(entry.uuid, too_few)
    assert driver.table.get(entry.uuid).record == entry.record
