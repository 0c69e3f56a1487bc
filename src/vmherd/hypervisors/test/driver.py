"""The ``test`` driver: domains that live in memory only, for trying out tools without a hypervisor.

``test:///default`` has one running domain, ``test``, shared by every connection of the process;
``test:///FILE.xml`` has the domains of a file, for this connection alone.  Both as libvirt's test driver does it
(https://libvirt.org/drvtest.html).
"""

from __future__ import annotations

from typing import Self, TypeVar

from vmherd import __version__
from vmherd.conf.domain import Domain, check, complete
from vmherd.driver.base import Driver
from vmherd.driver.tuning import VcpuInfo
from vmherd.driver.types import (
    BalloonStats,
    DomainInfo,
    JobInfo,
    PausedReason,
    RunningReason,
    ShutdownMode,
    ShutoffReason,
    State,
)
from vmherd.driver.uri import ConnectURI
from vmherd.errors import DocumentError, InvalidState
from vmherd.events import DomainEvent, Lifecycle
from vmherd.hypervisors.test import node
from vmherd.hypervisors.test.blocks import TestBlocks
from vmherd.hypervisors.test.devices import TestDevices
from vmherd.hypervisors.test.host import TestHost
from vmherd.hypervisors.test.inside import TestInside
from vmherd.hypervisors.test.life import alive, follow, running
from vmherd.hypervisors.test.saving import TestSaving
from vmherd.hypervisors.test.screen import TestScreen
from vmherd.state.domains import Entry, set_state
from vmherd.state.tuning.operations import LocalTuning

R = TypeVar("R", bound=Driver)


class TestDriver(TestHost, TestDevices, TestBlocks, TestInside, TestSaving, TestScreen, LocalTuning):
    """Guests that are nothing but their state."""

    __test__ = False  # not a test case, whatever pytest thinks of the name
    name = "test"
    _shared: TestDriver | None = None
    _users = 0

    @classmethod
    async def open(cls, uri: ConnectURI, *, readonly: bool = False) -> Self:
        if uri.path != "/default":
            guests = node.load(uri.path)
            driver = cls(uri)
            await driver._populate(guests)
            driver.readonly = readonly
            return driver
        if TestDriver._shared is None:
            TestDriver._shared = TestDriver(uri)
            await TestDriver._shared._populate(node.default())
        TestDriver._users += 1
        driver = cls(uri, readonly=readonly)
        driver.store.close()
        shared = TestDriver._shared
        driver.store, driver.hub, driver.table = shared.store, shared.hub, shared.table
        return driver

    async def resource(self, kind: type[R]) -> R:
        self._unsupported(kind.name)  # those of the host are not its guests'

    async def close(self) -> None:
        shared = TestDriver._shared
        if shared is None or self.store is not shared.store:
            await super().close()
            return
        TestDriver._users -= 1
        if TestDriver._users == 0:
            TestDriver._shared = None
            await super().close()

    async def _populate(self, guests: list[node.Guest]) -> None:
        for guest in guests:
            if guest.transient:
                await self.domain_create(guest.xml)
                continue
            info = await self.domain_define(guest.xml)
            if guest.state is not State.SHUTOFF:
                await self.domain_start(info.uuid, paused=guest.state is State.PAUSED)

    async def accept(self, domain: Domain) -> None:
        if domain.type != "test":
            raise DocumentError(
                f"the test driver cannot run domains of type {str(domain.type)!r}",
                place="domain/@type",
                hint="write <domain type='test'>",
            )
        complete(domain)
        check(domain)

    async def version(self) -> dict[str, str]:
        return {"test": __version__}

    async def domain_info(self, uuid: str) -> DomainInfo:
        return self.table.get(uuid).info

    async def domain_job(self, uuid: str) -> JobInfo | None:
        self.table.get(uuid)
        return None  # nothing here takes time

    async def domain_memory_stats(self, uuid: str) -> BalloonStats:
        entry = self.table.get(uuid)
        summary = alive(entry).summary
        return BalloonStats(current=summary.memory, maximum=summary.max_memory)

    async def domain_vcpu_info(self, uuid: str) -> list[VcpuInfo]:
        alive(self.table.get(uuid))
        pins = await self.domain_vcpu_pins(uuid)
        count = await self.domain_vcpu_count(uuid)
        return [VcpuInfo(number=number, cpu=pins[number][0], affinity=pins[number]) for number in range(count)]

    async def domain_create(self, xml: str, *, paused: bool = False) -> DomainInfo:
        self.require_writable()
        domain = await self.read(xml)
        return self.boot(None, domain, paused=paused)

    async def domain_start(
        self,
        uuid: str,
        *,
        paused: bool = False,
        force_boot: bool = False,
        bypass_cache: bool = False,
        reset_nvram: bool = False,
    ) -> None:
        self.require_writable()
        entry = self.table.get(uuid)
        self.boot(entry, self.definition(entry), paused=paused, restored=entry.record.saved and not force_boot)

    async def domain_shutdown(self, uuid: str, *, mode: ShutdownMode = ShutdownMode.DEFAULT) -> None:
        self.require_writable()

        def obey(entry: Entry) -> list[DomainEvent]:
            live = alive(entry)  # libvirt's lets paused guests obey, too
            return follow(entry, live.on_poweroff, ShutoffReason.SHUTDOWN)

        self.table.change(uuid, obey)

    async def domain_reboot(self, uuid: str, *, mode: ShutdownMode = ShutdownMode.DEFAULT) -> None:
        self.require_writable()

        def obey(entry: Entry) -> list[DomainEvent]:
            live = alive(entry)
            return follow(entry, live.on_reboot, ShutoffReason.SHUTDOWN)

        self.table.change(uuid, obey)

    async def domain_reset(self, uuid: str) -> None:
        self.require_writable()

        def press(entry: Entry) -> list[DomainEvent]:
            set_state(running(entry), State.RUNNING, RunningReason.BOOTED)
            return []

        self.table.change(uuid, press)

    async def domain_poweroff(self, uuid: str, *, graceful: bool = False) -> None:
        self.require_writable()

        def unplug(entry: Entry) -> list[DomainEvent]:
            alive(entry)
            return follow(entry, "destroy", ShutoffReason.DESTROYED)

        self.table.change(uuid, unplug)

    async def domain_suspend(self, uuid: str) -> None:
        self.require_writable()

        def freeze(entry: Entry) -> list[DomainEvent] | None:
            live = alive(entry)
            if live.state is State.PAUSED:
                return None
            set_state(live, State.PAUSED, PausedReason.USER)
            return [entry.event(Lifecycle.SUSPENDED)]

        self.table.change(uuid, freeze)

    async def domain_resume(self, uuid: str) -> None:
        self.require_writable()

        def thaw(entry: Entry) -> list[DomainEvent]:
            live = alive(entry)
            if live.state is not State.PAUSED:
                raise InvalidState(f"domain {entry.name!r} is not paused")
            set_state(live, State.RUNNING, RunningReason.UNPAUSED)
            return [entry.event(Lifecycle.RESUMED)]

        self.table.change(uuid, thaw)
