"""Makes what was committed survive a power cut, without keeping the event loop waiting for the disk.

A transaction is written to SQLite's write-ahead log first.  Once that is synced it is durable: so one sync in a thread
does it for all who committed before it began.  Where the disk is quicker than a thread (one with a battery, or a
virtual one), it is done at once.  Source: "Performance Considerations" of SQLite's documentation of WAL.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from pathlib import Path

#: Transactions after which the log is written back to the database here, so that no commit has to do it.
_CHECKPOINT = 500
#: Seconds of the last sync below which the next one needs no thread; to and fro takes about as long on a busy machine.
_QUICK = 0.001


class WriteAheadLog:
    """The log of one database."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = f"{database}-wal"
        self._committed = self._durable = self._written_back = 0
        self._took = 1.0
        self._syncing: asyncio.Future[None] | None = None

    def note(self) -> None:
        """A transaction was committed."""
        self._committed += 1

    async def synced(self) -> None:
        """Return when everything committed so far is on the disk.  Raises OSError where that fails."""
        wanted = self._committed
        while self._durable < wanted:
            # One that has begun before our commit may have missed it, so the next one is waited for, too.
            if self._syncing is not None:
                await asyncio.shield(self._syncing)
            elif self._took < _QUICK and wanted - self._written_back < _CHECKPOINT:
                self._write(self._committed)
            else:
                self._syncing = asyncio.ensure_future(self._sync(self._committed))

    async def _sync(self, committed: int) -> None:
        try:
            await asyncio.to_thread(self._write, committed)
        finally:
            self._syncing = None

    def _write(self, committed: int) -> None:
        began = time.monotonic()
        with contextlib.suppress(FileNotFoundError):  # whoever closed the database has written all of it back
            log = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(log)
            finally:
                os.close(log)
        self._took = time.monotonic() - began
        self._durable = max(self._durable, committed)
        if committed - self._written_back >= _CHECKPOINT:
            self._written_back = committed
            self._write_back()

    def _write_back(self) -> None:
        # On a connection of its own: that of the loop would be locked meanwhile.
        connection = sqlite3.connect(self._database, isolation_level=None)
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            connection.close()
