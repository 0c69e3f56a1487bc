"""The learner: one small process per state that listens while there are cards whose addresses are learned.

It outlives a daemon, so that no lease is missed while that is restarted, and is there where no daemon is.  What it
learns is in the store; one that was killed is started again by whoever attends to the filters next.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from pathlib import Path

import msgspec

from vmherd.driver.uri import parse_uri
from vmherd.errors import HostError, VmherdError
from vmherd.resources.nwfilter import listening, packets
from vmherd.resources.nwfilter.driver import LocalFilters
from vmherd.resources.nwfilter.learning import Learning
from vmherd.resources.nwfilter.records import CardEntry
from vmherd.resources.nwfilter.sniffing import Sniffer
from vmherd.state.notify import Listener
from vmherd.state.places import of_uri

#: Seconds without anything to learn after which the learner leaves.
IDLE = 1.0
#: Seconds in which changes are looked at together.
_TOGETHER = 0.05
#: Seconds after which it is looked whether devices are gone.
_LOOK = 5.0
#: So many frames are looked at in one go, and so long is a pause after as many: a guest that floods gains nothing.
_MOST, _PAUSE = 50, 0.1
#: A server's clock and ours may differ, and a renewal may be on its way.
_GRACE = 2.0

log = logging.getLogger("vmherd.learner")


class _Watch(msgspec.Struct):
    """One device that is listened to."""

    sniffer: Sniffer
    how: Learning
    mac: bytes
    index: int


class Learner:
    """Listens on behalf of all cards of one driver."""

    def __init__(self, driver: LocalFilters) -> None:
        self._driver = driver
        self._watches: dict[str, _Watch] = {}
        self._wake = asyncio.Event()
        self._heard: asyncio.Queue[str] = asyncio.Queue()

    async def run(self, listeners: Path) -> None:
        """Learn until there was nothing to learn for a while."""
        listener = Listener(listeners, self._wake.set)
        hearing = asyncio.create_task(self._hear())
        try:
            idle_since = time.monotonic()
            while self._watches or time.monotonic() - idle_since < IDLE:
                self._wake.clear()
                if hearing.done():
                    hearing.result()  # raises what ended it: who attends next starts another learner
                await self._look()
                if self._watches:
                    idle_since = time.monotonic()
                await self._sleep()
        finally:
            hearing.cancel()
            listener.close()
            for device in list(self._watches):
                self._drop(device)

    async def _sleep(self) -> None:
        """Until somebody changes something, a lease ends, or it is time to look whether devices are gone."""
        waiting = not self._watches or len(self._watches) < len(self._driver.cards.learning())
        patience = IDLE / 2 if waiting else _LOOK
        if ends := self._driver.cards.next_end():
            patience = min(patience, max(0.05, ends + _GRACE - time.time()))
        try:
            async with asyncio.timeout(patience):
                await self._wake.wait()
                await asyncio.sleep(_TOGETHER)
        except TimeoutError:
            pass

    async def _look(self) -> None:
        """Listen to what is to be learned, and to nothing else."""
        await self._driver.attend()
        await self._driver.cards.expire(time.time() - _GRACE)
        wanted = {card.uuid: (card, how) for card, how in self._driver.cards.learning()}
        for device, watch in list(self._watches.items()):
            card, how = wanted.get(device, (None, Learning.NOTHING))
            if card is None or how is not watch.how or card.record.index != watch.index:
                self._drop(device)
        for device, (card, how) in wanted.items():
            if device not in self._watches and card.record.index:
                self._watch(card, how)

    def _watch(self, card: CardEntry, how: Learning) -> None:
        device, mac = card.uuid, self._driver.cards.mac_of(card)
        try:
            sniffer = Sniffer(device, dhcp_only=how is Learning.DHCP)
        except HostError as problem:
            log.warning("%s", problem)
            return
        self._watches[device] = _Watch(sniffer, how, bytes.fromhex(mac.replace(":", "")), card.record.index)
        self._listen(device)

    def _listen(self, device: str) -> None:
        if watch := self._watches.get(device):
            loop = asyncio.get_running_loop()
            loop.add_reader(watch.sniffer.fileno(), self._readable, device)

    def _readable(self, device: str) -> None:
        """Leave the socket alone until its frames are looked at."""
        asyncio.get_running_loop().remove_reader(self._watches[device].sniffer.fileno())
        self._heard.put_nowait(device)

    def _drop(self, device: str) -> None:
        watch = self._watches.pop(device)
        asyncio.get_running_loop().remove_reader(watch.sniffer.fileno())
        watch.sniffer.close()

    async def _hear(self) -> None:
        while True:
            device = await self._heard.get()
            if watch := self._watches.get(device):
                try:
                    full = await self._read(device, watch)
                except VmherdError as problem:
                    log.error("%s: %s", device, problem)
                    full = True
                asyncio.get_running_loop().call_later(_PAUSE if full else 0.0, self._listen, device)

    async def _read(self, device: str, watch: _Watch) -> bool:
        """Look at what waits; whether there may be more."""
        frames = watch.sniffer.frames(_MOST)
        for frame, sent in frames:
            if told := packets.told(frame, watch.mac, sent=sent):
                log.info("%s: %s", device, told)
                await self._driver.cards.learn(device, watch.index, told)
        return len(frames) == _MOST


async def _main(uri: str, lock: int | None) -> None:
    """Be the learner that holds ``lock``."""
    places = of_uri(parse_uri(uri), "nwfilters")
    driver = await LocalFilters.open(parse_uri(uri))
    try:
        while lock is not None:
            try:
                await Learner(driver).run(places.run / "listeners")
            finally:
                os.close(lock)
            # A card that was noted after the last look, before the lock was gone, relied on us: hence once more.
            lock = listening.lock(places.run) if driver.cards.learning() else None
    finally:
        await driver.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
