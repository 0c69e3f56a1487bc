"""The store: what is kept, what is refused, and what other processes see."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from vmherd.errors import AlreadyExists, HostError
from vmherd.events import (
    AddressFamily,
    BlockThresholdEvent,
    DomainEvent,
    GraphicsAddress,
    GraphicsEvent,
    GraphicsPhase,
    Lifecycle,
    LifecycleEvent,
    QemuMonitorEvent,
    RebootEvent,
    TunableEvent,
)
from vmherd.state.store import Store

A = "11111111-1111-1111-1111-111111111111"
B = "22222222-2222-2222-2222-222222222222"

FORMAT_1 = """
CREATE TABLE object (
    kind TEXT NOT NULL, uuid TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (kind, uuid), UNIQUE (kind, name));
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL,
    uuid TEXT NOT NULL, name TEXT NOT NULL, event INTEGER NOT NULL, detail INTEGER NOT NULL);
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
PRAGMA user_version=1;
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state.db")


def test_an_object_is_found_by_name_and_by_uuid(store: Store) -> None:
    store.insert("domain", A, "web", b"body")
    assert store.get("domain", A) == store.find("domain", "web")
    assert store.all("domain")[0].body == b"body"
    assert store.all("network") == []


def test_a_change_raises_the_revision(store: Store) -> None:
    store.insert("domain", A, "web", b"1")
    store.replace("domain", A, b"2")
    record = store.get("domain", A)
    assert record is not None
    assert (record.revision, record.body) == (2, b"2")
    store.delete("domain", A)
    assert store.insert("domain", A, "web", b"3") > 2


@pytest.mark.parametrize(("uuid", "name"), [(A, "other"), (B, "web")])
def test_a_taken_name_or_uuid_is_refused_and_the_taker_named(store: Store, uuid: str, name: str) -> None:
    store.insert("domain", A, "web", b"")
    with pytest.raises(AlreadyExists, match="'web'"):
        store.insert("domain", uuid, name, b"")


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.transaction():
        store.insert("domain", A, "web", b"")
        store.record_events([LifecycleEvent(uuid=A, name="web", event=Lifecycle.DEFINED)])
        raise RuntimeError
    assert store.all("domain") == []
    assert store.events_after(0) == []


def test_listeners_are_called_once_per_transaction_and_after_it(store: Store) -> None:
    seen: list[int] = []
    store.committed = lambda: seen.append(len(store.all("domain")))
    with store.transaction():
        store.insert("domain", A, "web", b"")
        store.insert("domain", B, "db", b"")
    assert seen == [2]


def test_events_are_numbered_and_kept_for_readers_who_come_later(store: Store) -> None:
    store.record_events([LifecycleEvent(uuid=A, name="web", event=Lifecycle.STARTED)])
    store.record_events([LifecycleEvent(uuid=A, name="web", event=Lifecycle.STOPPED, detail=1)])
    first, second = store.events_after(0)
    assert isinstance(first, LifecycleEvent)
    assert isinstance(second, LifecycleEvent)
    assert (first.event, second.event, second.detail_name) == (Lifecycle.STARTED, Lifecycle.STOPPED, "destroyed")
    assert store.events_after(first.seq) == [second]
    assert store.last_seq() == second.seq


SCREEN = GraphicsAddress(family=AddressFamily.IPV4, node="127.0.0.1", service="5900")
KINDS: list[DomainEvent] = [
    LifecycleEvent(uuid=A, name="web", event=Lifecycle.STOPPED, detail=1),
    RebootEvent(uuid=A, name="web"),
    TunableEvent(uuid=A, name="web", params={"cputune.cpu_shares": 1 << 63, "blkdeviotune.disk": "vda"}),
    BlockThresholdEvent(uuid=A, name="web", device="vda", path=None, threshold=1 << 40, excess=1),
    GraphicsEvent(
        uuid=A, name="web", phase=GraphicsPhase.CONNECT, local=SCREEN, remote=SCREEN, subject=(("saslUsername", "me"),)
    ),
    QemuMonitorEvent(uuid=A, name="web", event="STOP", seconds=1, micros=2, details='{"a":[]}'),
]


def test_every_kind_of_event_comes_back_as_it_was(store: Store) -> None:
    store.record_events(KINDS)
    found = store.events_after(0)
    assert [msgspec.structs.replace(event, seq=0, time=0.0) for event in found] == KINDS
    assert [event.seq for event in found] == [1, 2, 3, 4, 5, 6]
    assert all(event.time for event in found)


def test_a_store_of_the_first_format_goes_on_working_also_for_its_own_writers(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with sqlite3.connect(path, isolation_level=None) as old:
        old.executescript(FORMAT_1)
        old.execute("INSERT INTO object VALUES ('domain', ?, 'web', 7, 'body')", (A,))
        old.execute("INSERT INTO event VALUES (41, 1.5, ?, 'web', 2, 4)", (A,))
        store = Store(path)
        old.execute("INSERT INTO event (time, uuid, name, event, detail) VALUES (2.5, ?, 'web', 5, 1)", (A,))
    store.record_events([RebootEvent(uuid=A, name="web")])
    woken, stopped, reboot = store.events_after(0)
    assert woken == LifecycleEvent(uuid=A, name="web", seq=41, time=1.5, event=Lifecycle.STARTED, detail=4)
    assert isinstance(stopped, LifecycleEvent)
    assert (stopped.seq, stopped.event) == (42, Lifecycle.STOPPED)
    assert (reboot.seq, type(reboot)) == (43, RebootEvent)
    record = store.find("domain", "web")
    assert record is not None
    assert record.revision == 7
    Store(path).close()  # once more, with nothing left to do


def test_another_process_sees_the_change_at_once(store: Store, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from vmherd.state.store import Store\n"
        f"Store(Path({str(store.path)!r})).insert('domain', {A!r}, 'web', b'')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert store.find("domain", "web")


def test_a_writer_that_is_killed_in_a_transaction_leaves_the_old_state(store: Store) -> None:
    store.insert("domain", A, "web", b"old")
    code = (
        "import sys, time; from pathlib import Path; from vmherd.state.store import Store\n"
        f"store = Store(Path({str(store.path)!r}))\n"
        "with store.transaction():\n"
        f"    store.replace('domain', {A!r}, b'new')\n"
        "    print('inside', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"inside\n"
        os.kill(writer.pid, signal.SIGKILL)
    record = store.get("domain", A)
    assert record is not None
    assert record.body == b"old"
    store.replace("domain", A, b"newer")  # the lock went with the process


def test_counters_never_give_a_number_twice(store: Store) -> None:
    other = Store(store.path)
    assert [store.count("id"), other.count("id"), store.count("id")] == [1, 2, 3]


def test_a_damaged_file_is_reported_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(HostError, match="damaged") as caught:
        Store(path)
    assert caught.value.hint


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(HostError, match="newer"):
        Store(path)


def test_a_folder_that_is_missing_is_a_host_error(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="state database"):
        Store(tmp_path / "nowhere" / "state.db")
