"""Where objects are kept: (kind, uuid) -> document, with revisions, unique names and a log of events.

SQLite in WAL mode.  Every change is one transaction, so a process that is killed at any instant leaves the old
state or the new one.  Several processes may use one store; each hears the events of all (``notify``).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from vmherd.errors import AlreadyExists, Busy, HostError, InvalidState, VmherdError
from vmherd.events import AnyEvent, AnyResourceEvent, Event, Lifecycle, LifecycleEvent
from vmherd.state.durability import WriteAheadLog
from vmherd.util.files import on_host

EVENTS_KEPT = 10_000
_LOCK_WAIT = 15.0

_SCHEMA = (
    """CREATE TABLE object (
        kind TEXT NOT NULL, uuid TEXT NOT NULL, name TEXT NOT NULL,
        revision INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (kind, uuid), UNIQUE (kind, name))""",
    """CREATE TABLE event (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL,
        uuid TEXT NOT NULL, name TEXT NOT NULL, event INTEGER NOT NULL, detail INTEGER NOT NULL)""",
    "CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
)
#: What makes a format out of the one before it.  A keeper of the version before may still run, and write its own
#: format: the columns it knows stay, and those it does not know have a default.
_UPGRADES = {2: ("ALTER TABLE event ADD COLUMN body BLOB",)}
_VERSION = 2


class Record(msgspec.Struct, frozen=True):
    """One kept object.  ``revision`` grows with each change, and none of its UUID ever has the same one again."""

    kind: str
    uuid: str
    name: str
    revision: int
    body: bytes


def _keep_private(path: Path) -> None:
    """Documents have passwords in them: nobody else reads the file, nor those that SQLite makes like it beside it.

    It is made without being opened: to close it would undo the locks of other connections of this process (fcntl(2)).
    What keeps us from making it SQLite says, too.
    """
    with contextlib.suppress(OSError):
        os.mknod(path, stat.S_IFREG | 0o600)
    for each in (path, *(path.with_name(f"{path.name}-{suffix}") for suffix in ("wal", "shm"))):
        with contextlib.suppress(OSError):
            if each.stat().st_mode & 0o077:
                each.chmod(0o600)


class Store:
    """The objects of one driver in one folder; ``path`` None keeps them in memory, for this process alone.

    ``committed`` is called after each transaction of this process, ``undone`` after one that was undone.  Raises
    HostError where the disk is full, read-only or damaged, Busy where another process keeps the file locked for 15 s.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.committed: Callable[[], None] = lambda: None
        self.undone: Callable[[], None] = lambda: None
        self._log = WriteAheadLog(path) if path else None
        self._told = _ToldPlainly(path)
        self._durable = False
        with self._told:
            if path:
                _keep_private(path)
            self._db = sqlite3.connect(
                path or ":memory:", timeout=_LOCK_WAIT, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            # NORMAL survives the death of any process; definitions are also synced, see `insert` and `synced`.
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._migrate()

    def close(self) -> None:
        self._db.close()

    def _migrate(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise HostError(
                f"{self.path} was written by a newer vmherd (format {version}, known {_VERSION})",
                hint="upgrade vmherd, or use another state folder",
            )
        if version == _VERSION:
            return
        with self.transaction():
            # Another process may have won the race to do it.
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            statements = list(_SCHEMA) if version == 0 else []
            for step in range(max(version, 1) + 1, _VERSION + 1):
                statements += _UPGRADES[step]
            for statement in statements:
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={_VERSION}")

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[None]:
        """Everything inside happens, or nothing.  A transaction inside another one is part of that one.

        ``durable``: also a power cut does not undo it; this waits for the disk, with ``synced`` afterwards a task does.
        """
        if self._db.in_transaction:
            yield
            return
        with self._told:
            if durable is not self._durable:
                self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite undoes it by itself where the disk is full
                    self._db.execute("ROLLBACK")
                self.undone()
                raise
        if self._log:
            self._log.note()
        self.committed()

    async def synced(self) -> None:
        """Return once a power cut does not undo what this process has committed; others can go on meanwhile.

        Raises HostError where the disk fails.
        """
        if self._log:
            with self._told, on_host("make a change survive a power cut"):
                await self._log.synced()

    def foreign_changes(self) -> int:
        """A number that is another one after each transaction of anybody else; it costs a microsecond."""
        return self._value("PRAGMA data_version")

    def all(self, kind: str) -> list[Record]:
        """Every object of a kind, ordered by name."""
        with self._told:
            rows = self._db.execute(f"{_SELECT} WHERE kind=? ORDER BY name", (kind,)).fetchall()
        return [Record(*row) for row in rows]

    def revisions(self, kind: str) -> dict[str, int]:
        """The revision of every object of a kind, by UUID."""
        with self._told:
            return dict(self._db.execute("SELECT uuid, revision FROM object WHERE kind=?", (kind,)))

    def get(self, kind: str, uuid: str) -> Record | None:
        return self._one(f"{_SELECT} WHERE kind=? AND uuid=?", kind, uuid)

    def find(self, kind: str, name: str) -> Record | None:
        return self._one(f"{_SELECT} WHERE kind=? AND name=?", kind, name)

    def _one(self, query: str, *args: str) -> Record | None:
        with self._told:
            row = self._db.execute(query, args).fetchone()
        return Record(*row) if row else None

    def _value(self, query: str, *args: object) -> int:
        with self._told:
            row = self._db.execute(query, args).fetchone()
        return int(row[0] or 0)

    def insert(self, kind: str, uuid: str, name: str, body: bytes) -> int:
        """Keep a new object; its revision.  Raises AlreadyExists if the name or the UUID is taken."""
        with self.transaction(durable=True):
            revision = self.count("revision")
            try:
                self._db.execute("INSERT INTO object VALUES (?,?,?,?,?)", (kind, uuid, name, revision, body))
            except sqlite3.IntegrityError:
                taken = self.find(kind, name) or self.get(kind, uuid)
                assert taken is not None  # nothing else can be wrong
                raise AlreadyExists(
                    f"{kind} {taken.name!r} exists already, with UUID {taken.uuid}",
                    hint=f"choose another name and UUID; with <uuid>{taken.uuid}</uuid> it is replaced",
                ) from None
        return revision

    def replace(self, kind: str, uuid: str, body: bytes) -> int:
        """Change an object that is there; its new revision."""
        with self.transaction():
            old = self._value("SELECT revision FROM object WHERE kind=? AND uuid=?", kind, uuid)
            revision = self.count("revision", above=old)
            self._db.execute(
                "UPDATE object SET body=?, revision=? WHERE kind=? AND uuid=?", (body, revision, kind, uuid)
            )
        return revision

    def rename(self, kind: str, uuid: str, name: str) -> None:
        """Give an object another name; raises AlreadyExists if that is taken.  Its body is the caller's to replace."""
        with self.transaction(durable=True):
            if taken := self.find(kind, name):
                raise AlreadyExists(f"{kind} {name!r} exists already, with UUID {taken.uuid}")
            self._db.execute("UPDATE object SET name=? WHERE kind=? AND uuid=?", (name, kind, uuid))

    def delete(self, kind: str, uuid: str) -> None:
        """Forget an object; none of that UUID is fine too."""
        with self.transaction(durable=True):
            self._db.execute("DELETE FROM object WHERE kind=? AND uuid=?", (kind, uuid))

    def count(self, name: str, *, above: int = 0) -> int:
        """The next number of a counter that is greater than ``above``; the first is 1."""
        with self.transaction():
            return self._value(
                "INSERT INTO counter VALUES (?1, ?2 + 1) "
                "ON CONFLICT(name) DO UPDATE SET value = max(value, ?2) + 1 RETURNING value",
                name,
                above,
            )

    def record_events(self, events: Sequence[Event]) -> None:
        """Append to the event log; the newest EVENTS_KEPT stay."""
        if not events:
            return
        with self.transaction():
            self._db.executemany(
                "INSERT INTO event (time, uuid, name, event, detail, body) VALUES (?,?,?,?,?,?)",
                [(time.time(), each.uuid, each.name, *_columns(each)) for each in events],
            )
            self._db.execute("DELETE FROM event WHERE seq <= (SELECT max(seq) FROM event) - ?", (EVENTS_KEPT,))

    def last_seq(self) -> int:
        """The number of the newest event, 0 if there was none."""
        return self._value("SELECT max(seq) FROM event")

    def events_after(self, seq: int) -> list[Event]:
        """The events numbered above ``seq``, oldest first."""
        with self._told:
            rows = self._db.execute(
                "SELECT seq, time, uuid, name, event, detail, body FROM event WHERE seq>? ORDER BY seq", (seq,)
            ).fetchall()
        return [_event(*row) for row in rows]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AnyEvent | AnyResourceEvent).decode


def _columns(event: Event) -> tuple[int, int, bytes | None]:
    """Lifecycle events as format 1 has them; the body of all others."""
    if isinstance(event, LifecycleEvent):
        return int(event.event), event.detail, None
    return 0, 0, _encode(event)


def _event(seq: int, when: float, uuid: str, name: str, event: int, detail: int, body: bytes | None) -> Event:
    if body is None:
        return LifecycleEvent(seq=seq, time=when, uuid=uuid, name=name, event=Lifecycle(event), detail=detail)
    known: Event = _decode(body)
    return msgspec.structs.replace(known, seq=seq, time=when)


_SELECT = "SELECT kind, uuid, name, revision, body FROM object"


class _ToldPlainly:
    """A context in which SQLite's exceptions become ours; entered so often that it is no generator."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if isinstance(problem, sqlite3.Error):
            raise _plainly(problem, self._path) from problem


def _plainly(problem: sqlite3.Error, path: Path | None) -> VmherdError:
    text = str(problem)
    if isinstance(problem, sqlite3.ProgrammingError):
        return InvalidState("this connection is closed", hint="open another one")
    if isinstance(problem, sqlite3.OperationalError) and "locked" in text:
        return Busy(f"{path} is locked by another process", hint="try again; 'fuser' shows who has it")
    if isinstance(problem, sqlite3.OperationalError):
        return HostError(
            f"cannot use the state database {path}: {text}",
            hint="make room on the disk" if "full" in text else "check that the folder exists and is yours to write",
        )
    return HostError(
        f"the state database {path} is damaged: {problem}",
        hint="move it away; running guests go on, their definitions can be saved with 'vmherd dumpxml' before",
    )
