"""Talking to a guest through its serial console, as a person at a terminal would: wait, type, read."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from vmherd.driver.types import Console
from vmherd.errors import HypervisorError, NotResponding

#: Characters of what the guest said that are kept while nothing in it is waited for.
_KEPT = 256 * 1024

#: Colours, cursor movements and the like (ECMA-48 control sequences), and carriage returns.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-Z\\-_]|\r")

_PROMPT = re.compile(r"[#$] $")

#: The end of a command line as the guest's shell echoes it, which may break it anywhere to fit a terminal.
_TYPED = re.compile(r"\[\s*\$\s*\?\s*\]\s*\"\s*\n")


class Session:
    """A conversation with a guest.  ``echo`` hears everything the guest says, as it comes."""

    def __init__(self, console: Console, *, echo: Callable[[bytes], None] | None = None) -> None:
        self._console = console
        self._echo = echo
        self._heard = ""

    async def expect(self, pattern: str | re.Pattern[str], *, patience: float = 60.0) -> str:
        """Wait until the guest says ``pattern``; what it said up to there, without control sequences.

        Raises NotResponding with its last words after ``patience`` seconds, HypervisorError if it ends.
        """
        wanted = re.compile(pattern)
        try:
            async with asyncio.timeout(patience):
                while not (found := wanted.search(self._heard)):
                    await self._listen(wanted.pattern)
        except TimeoutError:
            raise NotResponding(
                f"the guest did not say {wanted.pattern!r} within {patience:g} s; last: {self._last_words()!r}",
                hint="look at its console: 'vmherd console NAME'",
            ) from None
        text, self._heard = self._heard[: found.end()], self._heard[found.end() :]
        return text

    async def _listen(self, wanted: str) -> None:
        part = await self._console.read()
        if not part:
            raise HypervisorError(f"the guest ended before it said {wanted!r}; last: {self._last_words()!r}")
        if self._echo:
            self._echo(part)
        self._heard = _CONTROL.sub("", self._heard + part.decode(errors="replace"))[-_KEPT:]

    def _last_words(self) -> str:
        return self._heard.strip()[-200:]

    async def send(self, text: str) -> None:
        """Type ``text``."""
        await self._console.write(text.encode())

    async def follow(self) -> None:
        """Listen until the guest ends."""
        while part := await self._console.read():
            if self._echo:
                self._echo(part)

    async def login(self, user: str, password: str, *, patience: float = 120.0) -> None:
        """Log in at a getty and wait for the shell's prompt; raises NotResponding if the guest does not let us."""
        await self.expect(r"login: $", patience=patience)
        await self.send(f"{user}\n")
        await self.expect(r"[Pp]assword: $")
        await self.send(f"{password}\n")
        await self.expect(_PROMPT)

    async def run(self, command: str, *, patience: float = 60.0) -> str:
        """Run a shell command in a session that is logged in; what it printed.

        Raises HypervisorError if it fails.
        """
        await self.send(f'{command}; echo "[$?]"\n')
        await self.expect(_TYPED)  # the echo of what we typed
        said = await self.expect(r"\[(\d+)\]\n", patience=patience)
        await self.expect(_PROMPT)
        output, _, status = said.rstrip("\n").rpartition("[")
        if status != "0]":
            raise HypervisorError(f"{command!r} ended with status {status[:-1]} in the guest: {output.strip()[-500:]}")
        return output
