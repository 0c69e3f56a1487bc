"""The drivers behind the daemon, each opened once and shared by every client."""

from __future__ import annotations

import asyncio

import msgspec

from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.registry import REMOTE, open_driver
from vmherd.driver.uri import parse_uri
from vmherd.errors import ConnectFailed


class _Shared(msgspec.Struct):
    driver: HypervisorDriver
    users: int = 0


class Hosts:
    """Opens drivers by URI.  ``main`` is what a client gets that names none; ``close`` closes them all."""

    def __init__(self, main: str) -> None:
        self.main = main
        self._open: dict[str, _Shared] = {}
        self._lock = asyncio.Lock()
        self._closing: set[asyncio.Future[None]] = set()

    async def acquire(self, text: str) -> HypervisorDriver:
        """The driver of a URI, for one more user.  Raises ConnectFailed for one that is not this daemon's."""
        text = self._meant(text)
        async with self._lock:
            shared = self._open.get(text)
            if shared is None:
                shared = self._open[text] = _Shared(await self._opened(text))
            shared.users += 1
            return shared.driver

    def _meant(self, text: str) -> str:
        """A daemon with an embedded driver is the system and the session to whoever finds its socket."""
        if not text:
            return self.main
        uri, main = parse_uri(text), parse_uri(self.main)
        stands_in = main.path == "/embed" and uri.path in ("/system", "/session")
        return self.main if stands_in and uri.scheme == main.scheme and not uri.host else text

    async def _opened(self, text: str) -> HypervisorDriver:
        uri, main = parse_uri(text), parse_uri(self.main)
        # Through us a client would be whom the daemon runs as, at the other end.
        if uri.transport or uri.host or uri.scheme == REMOTE:
            raise ConnectFailed(f"{text!r} is not on this host", hint="connect to that host itself")
        if uri.scheme == main.scheme and (uri.path, uri.params) != (main.path, main.params):
            raise ConnectFailed(f"this daemon serves {self.main!r}, not {text!r}", hint=f"ask for {self.main}")
        return await open_driver(uri)

    def release(self, driver: HypervisorDriver) -> None:
        """One user less; the main driver stays open, for its guests and its next user."""
        shared = self._open.get(driver.uri.text)
        if shared is None:
            return
        shared.users -= 1
        if not shared.users and driver.uri.text != self.main:
            del self._open[driver.uri.text]
            closing = asyncio.ensure_future(driver.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        for shared in self._open.values():
            await shared.driver.close()
        self._open.clear()
