"""What there is to a domain besides its document and its life: metadata, jobs, the hypervisor's monitor, sleep."""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.driver.agent import AddressSource, GuestInterface
from vmherd.driver.control import ControlInfo, JobStats
from vmherd.driver.host import SuspendTarget
from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.params import Params
from vmherd.driver.types import CURRENT, Scope
from vmherd.events import MetadataType


class Control:
    """Of one domain."""

    def __init__(self, driver: HypervisorDriver, uuid: str) -> None:
        self._driver = driver
        self._uuid = uuid

    async def metadata(self, kind: MetadataType, *, uri: str | None = None, scope: Scope = CURRENT) -> str:
        """The title, the description, or the element of <metadata> in the namespace ``uri``.

        Raises MetadataNotFound where there is none.
        """
        return await self._driver.domain_metadata(self._uuid, kind, uri=uri, scope=scope)

    async def set_metadata(
        self,
        kind: MetadataType,
        text: str | None,
        *,
        key: str | None = None,
        uri: str | None = None,
        scope: Scope = CURRENT,
    ) -> None:
        """Set or, with None, remove what ``metadata`` tells; an element is written with the prefix ``key``."""
        await self._driver.domain_set_metadata(self._uuid, kind, text, key=key, uri=uri, scope=scope)

    async def job_stats(self, *, completed: bool = False, keep: bool = False) -> JobStats:
        """The job that the domain has now, in libvirt's names, or with ``completed`` the last that was done.

        That is told once, unless it is to be ``keep``-t.
        """
        return await self._driver.domain_job_stats(self._uuid, completed=completed, keep=keep)

    async def info(self) -> ControlInfo:
        """Whether the hypervisor of the running domain can be talked to."""
        return await self._driver.domain_control_info(self._uuid)

    async def monitor_command(self, command: str, *, human: bool = False, files: Sequence[int] = ()) -> str:
        """Send the hypervisor's monitor a command, JSON or one for ``human`` monitors, and return its whole answer.

        ``files`` are descriptors that go along with it, one at most.  It can break what is known of the guest.
        """
        return await self._driver.domain_monitor_command(self._uuid, command, human=human, files=files)

    async def launch_security(self) -> Params:
        """What attests to the encryption of the guest's memory, by libvirt's names; nothing for one without."""
        return await self._driver.domain_launch_security_info(self._uuid)

    async def set_launch_security(self, params: Params) -> None:
        """Give a paused guest with encrypted memory its secret."""
        await self._driver.domain_set_launch_security_state(self._uuid, params)

    async def sleep(self, target: SuspendTarget) -> None:
        """Ask the guest, by its agent, to go to sleep."""
        await self._driver.domain_pm_suspend(self._uuid, target)

    async def wake_up(self) -> None:
        """Wake the sleeping guest."""
        await self._driver.domain_pm_wakeup(self._uuid)

    async def hostname(self, source: AddressSource | None = None) -> str:
        """The name the guest has given itself, or has asked for; NoHostname if there is none.

        Without ``source`` the hypervisor's driver asks whom it trusts most.
        """
        return await self._driver.domain_hostname(self._uuid, source)

    async def addresses(self, source: AddressSource = AddressSource.LEASE) -> list[GuestInterface]:
        """The addresses of the guest's interfaces, as ``source`` knows them."""
        return await self._driver.domain_addresses(self._uuid, source)
