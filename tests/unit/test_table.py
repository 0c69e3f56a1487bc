"""The table of domains: what it keeps in memory is what the store has, whoever wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmherd.driver.types import State
from vmherd.errors import AlreadyExists, DomainNotFound
from vmherd.events import DomainEvent
from vmherd.state.domains import DomainRecord, DomainTable, Entry, Live, Summary
from vmherd.state.store import Store

A = "11111111-1111-1111-1111-11111111111a"
B = "22222222-2222-2222-2222-222222222222"


@pytest.fixture
def ours(tmp_path: Path) -> DomainTable:
    return DomainTable(Store(tmp_path / "state.db"))


@pytest.fixture
def theirs(tmp_path: Path) -> DomainTable:
    """Another process's table of the same store."""
    return DomainTable(Store(tmp_path / "state.db"))


def add(table: DomainTable, uuid: str = A, name: str = "web", config: str = "<domain/>") -> Entry:
    return table.insert(Entry(uuid, name, DomainRecord(config=config)), [])


def begin(entry: Entry) -> list[DomainEvent]:
    entry.record.live = Live(id=7, xml="", summary=Summary(), state=State.RUNNING)
    return []


def remove(entry: Entry) -> list[DomainEvent]:
    entry.record.config = entry.record.live = None
    return []


def rewrite(entry: Entry) -> list[DomainEvent]:
    entry.record.config = "<domain>new</domain>"
    return []


def names(table: DomainTable) -> list[str]:
    return [entry.name for entry in table.all()]


def test_what_others_add_change_and_remove_is_seen(ours: DomainTable, theirs: DomainTable) -> None:
    assert names(ours) == []
    add(theirs)
    add(theirs, B, "db")
    assert names(ours) == ["db", "web"]
    theirs.change(A, begin)
    assert ours.find("7").info.state is State.RUNNING
    theirs.change(A, remove)
    assert names(ours) == ["db"]
    with pytest.raises(DomainNotFound):
        ours.find("7")


def test_our_own_changes_are_seen_together_with_those_of_others(ours: DomainTable, theirs: DomainTable) -> None:
    add(ours)
    theirs.change(A, rewrite)
    ours.change(A, begin)
    found = ours.get(A).record
    assert (found.config, found.live and found.live.id) == ("<domain>new</domain>", 7)
    assert theirs.get(A).record == found


def test_one_that_was_removed_and_made_anew_is_another_one(ours: DomainTable, theirs: DomainTable) -> None:
    before = add(ours)
    before.derived["xml"] = "old"
    theirs.change(A, remove)
    add(theirs, config="<domain>other</domain>")
    after = ours.get(A)
    assert after.revision != before.revision
    assert after.record.config == "<domain>other</domain>"
    assert not after.derived


def test_an_entry_stays_the_same_object_until_it_changes(ours: DomainTable, theirs: DomainTable) -> None:
    add(ours)
    add(ours, B, "db")
    first = ours.get(A)
    theirs.change(B, rewrite)
    assert ours.get(A) is ours.find("web") is first
    assert ours.get(A).info is first.info
    ours.change(A, rewrite)
    assert ours.get(A) is not first
    assert first.record.config == "<domain/>"


def test_what_was_undone_is_not_remembered(ours: DomainTable) -> None:
    add(ours)
    with pytest.raises(AlreadyExists), ours.store.transaction():
        ours.change(A, begin)
        ours.change(A, rewrite)
        add(ours, B, "web")
    assert names(ours) == ["web"]
    assert ours.get(A).live is None
    assert ours.get(A).record.config == "<domain/>"


@pytest.mark.parametrize("key", ["web", A, A.upper(), A.replace("-", ""), "7"])
def test_a_domain_is_found_by_name_uuid_and_id(ours: DomainTable, key: str) -> None:
    add(ours)
    ours.change(A, begin)
    assert ours.find(key).uuid == A


def test_a_name_goes_before_an_id(ours: DomainTable) -> None:
    add(ours)
    ours.change(A, begin)
    add(ours, B, "7")
    assert ours.find("7").uuid == B
