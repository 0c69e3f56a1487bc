"""Past the documents: the hypervisor's own monitor, metadata, jobs, names, sleep."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import msgspec

from vmherd.driver.base import Driver
from vmherd.driver.host import SecurityLabel, SuspendTarget
from vmherd.driver.params import Params
from vmherd.driver.types import CURRENT, Scope
from vmherd.events import MetadataType


class JobType(IntEnum):
    """virDomainJobType."""

    NONE = 0
    BOUNDED = 1
    UNBOUNDED = 2
    COMPLETED = 3
    FAILED = 4
    CANCELLED = 5


class JobStats(msgspec.Struct, frozen=True, kw_only=True):
    """A job in libvirt's names and units: "operation" is a virDomainJobOperation, times are milliseconds."""

    type: JobType = JobType.NONE
    params: Params = {}


class End(IntEnum):
    """virDomainLifecycle: an end of the guest that the document has an action for."""

    POWEROFF = 0
    REBOOT = 1
    CRASH = 2


class ControlState(IntEnum):
    """virDomainControlState: what becomes of who asks the hypervisor something about a domain."""

    OK = 0
    JOB = 1
    OCCUPIED = 2
    ERROR = 3


class ControlInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``reason`` tells a virDomainControlErrorReason, ``duration`` the seconds that it has been so."""

    state: ControlState
    reason: int = 0
    duration: float = 0.0


class ControlOperations(Driver):
    """Past the documents: the hypervisor's own monitor, metadata, jobs, names, sleep."""

    async def domain_metadata(
        self, uuid: str, kind: MetadataType, *, uri: str | None = None, scope: Scope = CURRENT
    ) -> str:
        """The title, the description, or the element of <metadata> in the namespace ``uri``.

        Raises MetadataNotFound where there is none.
        """
        self._unsupported("domain_metadata")

    async def domain_set_metadata(
        self,
        uuid: str,
        kind: MetadataType,
        text: str | None,
        *,
        key: str | None = None,
        uri: str | None = None,
        scope: Scope = CURRENT,
    ) -> None:
        """Set or, with None, remove what ``domain_metadata`` tells; an element is written with the prefix ``key``.

        Raises InvalidArgument for a title of several lines, or an element without namespace or prefix.
        """
        self._unsupported("domain_set_metadata")

    async def domain_rename(self, uuid: str, name: str) -> None:
        """Give a domain that does not run another name; InvalidState for one that runs, or a name that is taken."""
        self._unsupported("domain_rename")

    async def domain_job_stats(self, uuid: str, *, completed: bool = False, keep: bool = False) -> JobStats:
        """The job that the domain has now, or with ``completed`` the last that ended.

        That is told once, unless it is to be ``kept``.
        """
        self._unsupported("domain_job_stats")

    async def domain_control_info(self, uuid: str) -> ControlInfo:
        """Whether the hypervisor of a running domain can be talked to."""
        self._unsupported("domain_control_info")

    async def domain_monitor_command(
        self, uuid: str, command: str, *, human: bool = False, files: Sequence[int] = ()
    ) -> str:
        """Send the monitor a command, JSON or one for ``human`` monitors, and return its whole answer.

        ``files`` are descriptors that go along with it, one at most.  It can break what is known of the guest.
        """
        self._unsupported("domain_monitor_command")

    async def domain_launch_security_info(self, uuid: str) -> Params:
        """What attests to the encryption of a guest's memory, by libvirt's names; nothing for one without."""
        self._unsupported("domain_launch_security_info")

    async def domain_set_launch_security_state(self, uuid: str, params: Params) -> None:
        """Give a paused guest with encrypted memory its secret."""
        self._unsupported("domain_set_launch_security_state")

    async def domain_pm_suspend(self, uuid: str, target: SuspendTarget) -> None:
        """Ask the guest, by its agent, to go to sleep."""
        self._unsupported("domain_pm_suspend")

    async def domain_pm_wakeup(self, uuid: str) -> None:
        """Wake a sleeping guest."""
        self._unsupported("domain_pm_wakeup")

    async def domain_set_end_action(self, uuid: str, end: End, action: str, *, scope: Scope = CURRENT) -> None:
        """What becomes of the domain at an ``end`` of its guest: a word of <on_poweroff>, <on_reboot>, <on_crash>."""
        self._unsupported("domain_set_end_action")

    async def domain_taints(self, uuid: str) -> list[str]:
        """What makes a running domain one that only its owner can answer for, such as arguments of its own."""
        self._unsupported("domain_taints")

    async def domain_measure_dirty_rate(self, uuid: str, seconds: int, *, mode: str = "page-sampling") -> None:
        """Begin to measure how fast the guest writes to its memory; the statistics tell it once it is over.

        ``mode`` is "page-sampling", "dirty-bitmap" or "dirty-ring".
        """
        self._unsupported("domain_measure_dirty_rate")

    async def domain_security_labels(self, uuid: str) -> list[SecurityLabel]:
        """What a domain runs as, by each model in force; that of the host's first model comes first."""
        self._unsupported("domain_security_labels")
