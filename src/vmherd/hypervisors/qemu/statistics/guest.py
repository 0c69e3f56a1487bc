"""One guest whose counters are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from vmherd.driver.blocks import BlockInfo, NetStats
from vmherd.driver.params import Value
from vmherd.hypervisors.qemu.exchange import Question
from vmherd.hypervisors.qemu.outline import Outline
from vmherd.state.domains import Entry, Live

KIB = 1024
NANOSECONDS = 1_000_000_000


class Guest(msgspec.Struct, frozen=True):
    """A guest, and what all guests of one round have in common.

    ``cards`` are the counters of the host's network devices, ``images`` the sizes of images by path.
    """

    entry: Entry
    outline: Outline
    backing: bool
    cards: Callable[[], Mapping[str, NetStats]]
    images: Mapping[str, BlockInfo]

    @property
    def live(self) -> Live | None:
        return self.entry.live

    @property
    def pid(self) -> int:
        return self.entry.live.pid if self.entry.live else 0


#: The value of each question, None where QEMU refused it; nothing at all from one that does not answer.
Replies = Sequence[Any]
Params = Iterator[tuple[str, Value]]


def nothing(_: Guest) -> list[Question]:
    """Of a group for which QEMU need not be asked."""
    return []
