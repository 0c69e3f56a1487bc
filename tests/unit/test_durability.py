"""What was acknowledged is on the disk, and waiting for the disk keeps nobody else."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path

import pytest

from vmherd.state.store import Store

A = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Syncs take as long as those of a busy disk; the files that were synced."""
    synced: list[Path] = []

    def slow(fd: int) -> None:
        time.sleep(0.05)
        synced.append(Path(f"/proc/self/fd/{fd}").resolve())

    monkeypatch.setattr("os.fdatasync", slow)
    return synced


def insert(store: Store, name: str) -> None:
    with store.transaction():
        store.insert("domain", name, name, b"body")


async def test_one_sync_serves_all_who_committed_before_it(tmp_path: Path, disk: list[Path]) -> None:
    store = Store(tmp_path / "state.db")

    async def change(name: str) -> None:
        insert(store, name)
        await store.synced()

    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await asyncio.gather(*(change(str(number)) for number in range(20)))
    ticking.cancel()
    # The first began with what the first task had committed, the second has all the others.
    assert disk == [tmp_path / "state.db-wal"] * 2
    assert ticks > 5
    await store.synced()
    assert len(disk) == 2


async def test_the_log_holds_what_was_committed_when_it_is_synced(tmp_path: Path, disk: list[Path]) -> None:
    """What a power cut leaves at the moment of the sync is enough to find everything again."""
    store = Store(tmp_path / "state.db")
    insert(store, A)
    syncing = asyncio.create_task(store.synced())
    await asyncio.sleep(0.02)
    left = tmp_path / "left"
    left.mkdir()
    for name in ("state.db", "state.db-wal"):
        shutil.copy(tmp_path / name, left / name)
    await syncing
    assert [each.name for each in Store(left / "state.db").all("domain")] == [A]


async def test_the_log_does_not_grow_without_end(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    for number in range(1500):
        insert(store, f"guest{number}")
        if number % 50 == 0:
            await store.synced()
    assert (tmp_path / "state.db-wal").stat().st_size < 8 << 20
