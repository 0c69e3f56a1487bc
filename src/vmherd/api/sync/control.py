"""What there is to a domain besides its document and its life: metadata, jobs, the hypervisor's monitor, sleep.

Generated from aio/control.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.api import aio, bridge
from vmherd.driver.agent import AddressSource, GuestInterface
from vmherd.driver.control import ControlInfo, JobStats
from vmherd.driver.host import SuspendTarget
from vmherd.driver.params import Params
from vmherd.driver.types import CURRENT, Scope
from vmherd.events import MetadataType


class Control:
    """Of one domain."""

    def __init__(self, wrapped: aio.Control) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()

    def metadata(self, kind: MetadataType, *, uri: str | None = None, scope: Scope = CURRENT) -> str:
        """The title, the description, or the element of <metadata> in the namespace ``uri``.

        Raises MetadataNotFound where there is none.
        """
        return self._loop.run(self._wrapped.metadata(kind, uri=uri, scope=scope))

    def set_metadata(
        self,
        kind: MetadataType,
        text: str | None,
        *,
        key: str | None = None,
        uri: str | None = None,
        scope: Scope = CURRENT,
    ) -> None:
        """Set or, with None, remove what ``metadata`` tells; an element is written with the prefix ``key``."""
        self._loop.run(self._wrapped.set_metadata(kind, text, key=key, uri=uri, scope=scope))

    def job_stats(self, *, completed: bool = False, keep: bool = False) -> JobStats:
        """The job that the domain has now, in libvirt's names, or with ``completed`` the last that was done.

        That is told once, unless it is to be ``keep``-t.
        """
        return self._loop.run(self._wrapped.job_stats(completed=completed, keep=keep))

    def info(self) -> ControlInfo:
        """Whether the hypervisor of the running domain can be talked to."""
        return self._loop.run(self._wrapped.info())

    def monitor_command(self, command: str, *, human: bool = False, files: Sequence[int] = ()) -> str:
        """Send the hypervisor's monitor a command, JSON or one for ``human`` monitors, and return its whole answer.

        ``files`` are descriptors that go along with it, one at most.  It can break what is known of the guest.
        """
        return self._loop.run(self._wrapped.monitor_command(command, human=human, files=files))

    def launch_security(self) -> Params:
        """What attests to the encryption of the guest's memory, by libvirt's names; nothing for one without."""
        return self._loop.run(self._wrapped.launch_security())

    def set_launch_security(self, params: Params) -> None:
        """Give a paused guest with encrypted memory its secret."""
        self._loop.run(self._wrapped.set_launch_security(params))

    def sleep(self, target: SuspendTarget) -> None:
        """Ask the guest, by its agent, to go to sleep."""
        self._loop.run(self._wrapped.sleep(target))

    def wake_up(self) -> None:
        """Wake the sleeping guest."""
        self._loop.run(self._wrapped.wake_up())

    def hostname(self, source: AddressSource | None = None) -> str:
        """The name the guest has given itself, or has asked for; NoHostname if there is none.

        Without ``source`` the hypervisor's driver asks whom it trusts most.
        """
        return self._loop.run(self._wrapped.hostname(source))

    def addresses(self, source: AddressSource = AddressSource.LEASE) -> list[GuestInterface]:
        """The addresses of the guest's interfaces, as ``source`` knows them."""
        return self._loop.run(self._wrapped.addresses(source))
