"""The daemon: its doors, the servers behind them, and how it starts, reads its settings anew, and ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from vmherd.daemon import notify
from vmherd.daemon.access import Holder, known_names
from vmherd.daemon.admin import ADMIN, MAIN, Manager
from vmherd.daemon.config import Access, Config
from vmherd.daemon.doors import Door, Doors, Kind, claimed
from vmherd.daemon.logs import Logs
from vmherd.daemon.places import Place
from vmherd.daemon.policy import Policy, Who
from vmherd.daemon.tls import TlsDoor
from vmherd.daemon.wire.dispatch import PROGRAMS
from vmherd.daemon.wire.gate import ServerLimits
from vmherd.daemon.wire.hosts import Hosts
from vmherd.daemon.wire.server import Server
from vmherd.daemon.wire.terms import Identity, Limits, Service
from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.errors import HostError, InvalidArgument, InvalidState, VmherdError
from vmherd.rpc import protocol

log = logging.getLogger("vmherd.daemon")

#: Seconds that calls under way have to be answered when the daemon ends.
PATIENCE = 15.0
#: Seconds for those who waited for the daemon to ask what they want.
_FIRST_CALLS = 0.3
#: New objects after which garbage is looked for: a document is thousands, and goes without that when it is done with.
_GARBAGE = 10_000
#: Seconds between looks after guests whose keeper may have been killed.
_TENDING = 5.0
#: Open files, as the unit for systemd has it.
_FILES = 65536
#: Seconds that a daemon waits for the one before it to be gone.
_SUCCESSION = 2.0


class Daemon:
    """The daemon of one place; ``read`` gives its settings, as they are now in the file ``path``."""

    def __init__(self, place: Place, path: Path, read: Callable[[], Config]) -> None:
        config = read()
        self._place = place
        self._path = path
        self._read = read
        self._config = config
        self._logs = Logs(config.log)
        self._policy = self._decided(config)
        self._hosts = Hosts(config.uri or place.uri)
        self._idle = config.idle_exit or 0
        self._stop, self._wake = asyncio.Event(), asyncio.Event()
        service = Service(hosts=self._hosts, programs=PROGRAMS, admit=self._admit)
        self.server = Server(service, limits=_limits(config), client_limits=_client_limits(config))
        self.admins = self._admin_server(config)
        self._tls = TlsDoor(self.server, config.tls) if config.tls.listen else None

    def _admin_server(self, config: Config) -> Server:
        """For those who manage the daemon: whoever can open its socket may do everything there."""
        servers = {MAIN: self.server}
        manager = Manager(servers, self._logs, renew_tls=self._renew_tls, stay=self._stay)
        admit = Policy(known_names(), Access()).holder
        service = Service(
            hosts=self._hosts,
            programs=frozenset({protocol.program("admin").number}),
            admit=lambda who, readonly: admit(Who(uid=who.uid), readonly=readonly),
            manager=manager,
        )
        servers[ADMIN] = Server(service, limits=_admin_limits(config), client_limits=_client_limits(config))
        return servers[ADMIN]

    async def run(self) -> None:
        """Serve until somebody ends it, or nobody needs it any more.

        Raises Busy where another daemon serves this place, HostError for what the host does not give it.
        """
        with claimed(self._place, patience=_SUCCESSION), self._signals():
            driver = await self._hosts.acquire("")
            try:
                with Doors(self._place, self._config) as doors:
                    self._listen(doors.open)
                    tending = asyncio.create_task(_tend(driver))
                    try:
                        await self._serve(doors)
                    finally:
                        tending.cancel()
                        self.server.stop_listening()
                        self.admins.stop_listening()
            finally:
                notify.stopping()
                log.info("leaving; guests run on")
                await self.admins.close()
                await self.server.close(patience=PATIENCE)
                self._hosts.release(driver)
                await self._hosts.close()

    def _listen(self, doors: Iterable[Door]) -> None:
        for door in doors:
            if door.kind is Kind.ADMIN:
                self.admins.listen(door.socket)
            elif door.kind is not Kind.TLS:
                self.server.listen(door.socket, readonly=door.kind is Kind.READ_ONLY)
            elif self._tls:
                self.server.gate(local=False).listen(door.socket, self._tls.take)
            log.info("listening at %s", door.name)
        notify.ready(f"serving {self._hosts.main}")

    async def _serve(self, doors: Doors) -> None:
        while not self._stop.is_set():
            await self._needed()
            doors.hide()
            # Who found the way before it was hidden is let in.
            await asyncio.sleep(0.05)
            if self._stop.is_set() or not self.server.clients:
                return
            self._listen(doors.show())

    async def _needed(self) -> None:
        """Return when the daemon shall end, or nobody has needed it for a while."""
        since = time.monotonic()
        while not self._stop.is_set():
            idle = self._idle
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(idle / 4 if idle else None):
                    await self._wake.wait()
                    self._wake.clear()
            if not idle or self.server.clients or (time.monotonic() - since >= idle and await self._guests_run()):
                since = time.monotonic()
            elif time.monotonic() - since >= idle and not self._stop.is_set():
                log.info("nobody has needed this daemon for %d seconds", idle)
                return

    async def _guests_run(self) -> bool:
        driver = await self._hosts.acquire("")
        try:
            return any(info.active for info in await driver.domain_list())
        finally:
            self._hosts.release(driver)

    # What the system asks for

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        actions = {signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGHUP: self._reload_by_signal}
        for number, action in actions.items():
            loop.add_signal_handler(number, action)
        try:
            yield
        finally:
            for number in actions:
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """Leave: calls under way are answered before, streams end, guests run on."""
        self._stop.set()
        self._wake.set()

    def _stay(self, seconds: int) -> None:
        """Leave after that many seconds without need; 0: never."""
        self._idle = seconds
        self._wake.set()

    def _reload_by_signal(self) -> None:
        notify.reloading()
        try:
            self.reload()
        except VmherdError as problem:
            log.error("the settings stay as they were: %s%s", problem, f" ({problem.hint})" if problem.hint else "")
        notify.ready(f"serving {self._hosts.main}")

    def reload(self) -> None:
        """Read the settings anew.  Raises HostError if they are wrong; then nothing has changed."""
        config = self._read()
        policy = self._decided(config)
        if self._tls:
            self._tls.apply(config.tls)
        self._logs.apply(config.log)
        self._policy = policy
        self.server.limits = _limits(config)
        self.admins.limits = _admin_limits(config)
        self.server.client_limits = _client_limits(config)
        for client in self.server.clients.values():
            client.admit_anew()
        for name in _changed_for_later(self._config, config):
            log.warning("the change of %s needs a restart", name)
        if config.idle_exit != self._config.idle_exit:
            self._stay(config.idle_exit or 0)
        self._config = config
        log.info("read %s anew", self._path)

    def _renew_tls(self) -> None:
        if self._tls is None:
            raise InvalidState("the daemon does not listen for TLS", hint="tls.listen in daemon.toml makes it")
        self._tls.apply(self._config.tls)

    # Who may do what

    def _decided(self, config: Config) -> Policy:
        try:
            policy = Policy(known_names(), config.access)
            policy.role(config.tcp.role, "tcp.role")
        except InvalidArgument as problem:
            raise HostError(f"{self._path}: {problem.message}", hint=problem.hint) from None
        return policy

    def _admit(self, identity: Identity, readonly: bool) -> Holder:
        # Plain TCP does not tell who somebody is: they have what everybody has who comes that way.
        role = self._config.tcp.role if identity.transport == "tcp" else ""
        who = Who(uid=identity.uid, gids=identity.groups, certificate=identity.name, role=role)
        return self._policy.holder(who, readonly=readonly)


def _limits(config: Config) -> ServerLimits:
    limits = config.limits
    return ServerLimits(
        clients=limits.clients, unopened=limits.waiting_clients, unopened_seconds=float(limits.waiting_seconds)
    )


def _admin_limits(config: Config) -> ServerLimits:
    return ServerLimits(clients=config.limits.admin_clients, unopened=config.limits.admin_clients)


def _client_limits(config: Config) -> Limits:
    limits = config.limits
    return Limits(
        calls=limits.calls_per_client,
        message=limits.message_bytes,
        keepalive_interval=float(limits.keepalive_interval),
        keepalive_count=limits.keepalive_count,
    )


def _changed_for_later(old: Config, new: Config) -> list[str]:
    """The settings that are looked at only when the daemon starts, and have changed."""
    pairs = {
        "uri": (old.uri, new.uri),
        "sockets": (old.sockets, new.sockets),
        "tcp.listen": (old.tcp.listen, new.tcp.listen),
        "tls.listen": (old.tls.listen, new.tls.listen),
    }
    return [name for name, (before, after) in pairs.items() if before != after]


async def _tend(driver: HypervisorDriver) -> None:
    """What a driver needs of a program that stays."""
    await _warm_up(driver)
    while True:
        await asyncio.sleep(_TENDING)
        try:
            await driver.attend()
        except VmherdError as problem:
            log.error("cannot look after the guests: %s", problem)


async def _warm_up(driver: HypervisorDriver) -> None:
    """Load what the first calls would wait for, once those are answered that wait already.

    What is loaded stays: looking through it again and again for garbage would keep everybody waiting.
    """
    await asyncio.sleep(_FIRST_CALLS)
    with contextlib.suppress(VmherdError):  # whoever needs what is amiss hears of it
        await driver.warm_up()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE)


def run(place: Place, path: Path, read: Callable[[], Config]) -> None:
    """Be the daemon of a place until it ends."""
    import uvloop

    _allow_files()
    if folder := read().sockets.folder:
        place = msgspec.structs.replace(place, folder=Path(folder))

    async def serve() -> None:
        await Daemon(place, path, read).run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


def _allow_files() -> None:
    """Each client, console and guest is an open file or some: take what the host gives, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
