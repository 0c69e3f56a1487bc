"""Which guests answer, so that nobody waits for one that does not, and nobody waits for it twice.

A guest that was asked and stays silent is not asked again: the question that it owes an answer to stays open, and once
it is answered the guest counts as well again.  So there is never more than one question pending per guest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from vmherd.errors import NotResponding
from vmherd.hypervisors.qemu.exchange import Answers, Question, ask
from vmherd.hypervisors.qemu.folders import Folders
from vmherd.state.domains import Live
from vmherd.util.process import is_stopped

#: Seconds a guest gets to answer where others wait for their turn.
PATIENCE = 1.0


class Pulse:
    """What this process knows of the guests of one set of folders."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._turns: dict[str, asyncio.Lock] = {}
        #: Questions whose asker is gone, and the guests among these that were given their time.
        self._owed: dict[str, asyncio.Task[Answers]] = {}
        self._silent: set[str] = set()

    def silent(self, uuid: str, live: Live) -> str:
        """Why a guest would not answer now, "" if nothing speaks against it."""
        if is_stopped(live.pid):
            return f"its QEMU, process {live.pid}, is stopped"
        if uuid in self._silent:
            return "its QEMU was asked before, and has not answered yet"
        return ""

    def require(self, uuid: str, live: Live) -> None:
        """Raise NotResponding for a guest that would not answer."""
        if why := self.silent(uuid, live):
            raise NotResponding(why, hint=_HINT)

    async def ask(self, uuid: str, live: Live, questions: Sequence[Question], *, patience: float = PATIENCE) -> Answers:
        """What the guest's QEMU answers, in order; None where it refused.

        Raises NotResponding, at once for a guest that is known not to; HypervisorError if QEMU went away.
        """
        turn = self._turns.setdefault(uuid, asyncio.Lock())
        try:
            async with asyncio.timeout(patience), turn:
                self.require(uuid, live)
                if uuid in self._owed:
                    await asyncio.wait((self._owed[uuid],))
                return await self._put(uuid, questions)
        except TimeoutError:
            if uuid in self._owed:
                self._silent.add(uuid)
            raise NotResponding(f"its QEMU did not answer within {patience:g} s", hint=_HINT) from None

    async def _put(self, uuid: str, questions: Sequence[Question]) -> Answers:
        question = asyncio.create_task(ask(self._folders.query(uuid), questions))
        try:
            return await asyncio.shield(question)
        except asyncio.CancelledError:
            # Whoever asked does not wait any longer, but the question stands.
            self._owed[uuid] = question
            question.add_done_callback(lambda done: self._paid(uuid, done))
            raise

    def _paid(self, uuid: str, question: asyncio.Task[Answers]) -> None:
        del self._owed[uuid]
        self._silent.discard(uuid)
        if not question.cancelled():
            question.exception()  # heard, so that nobody complains; who asked has given up

    def forget(self, known: set[str]) -> None:
        """Keep nothing of guests but these."""
        for uuid in self._turns.keys() - known:
            if not self._turns[uuid].locked():
                del self._turns[uuid]

    def close(self) -> None:
        """Ask nothing any more."""
        for question in list(self._owed.values()):
            question.cancel()


_HINT = "it goes on once whatever holds it lets go; 'vmherd poweroff' ends it"
