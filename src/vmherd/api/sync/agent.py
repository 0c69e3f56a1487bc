"""The inside of a guest, as far as the agent in it tells and does.

Generated from aio/agent.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.api import aio, bridge
from vmherd.driver.agent import AgentTimeout, GuestFilesystem, GuestInfo, GuestInterface
from vmherd.driver.params import Params


class Agent:
    """The agent of one guest.

    Everything raises InvalidState where the guest does not run, ArgumentUnsupported where it has no channel for an
    agent, NotResponding where none is there or it does not answer in time, HypervisorError for what it refuses.
    """

    def __init__(self, wrapped: aio.Agent) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()

    def command(self, command: str, *, timeout: int = AgentTimeout.DEFAULT) -> str:
        """Send a command as JSON text, and return the whole answer; ``timeout`` in seconds."""
        return self._loop.run(self._wrapped.command(command, timeout=timeout))

    def set_timeout(self, timeout: int) -> None:
        """How many seconds all the others here wait for an answer, from now on; AgentTimeout.BLOCK at first."""
        self._loop.run(self._wrapped.set_timeout(timeout))

    def info(self, groups: GuestInfo | None = None) -> Params:
        """What the guest tells of itself, by libvirt's names; of ``groups``, or all that its agent can tell."""
        return self._loop.run(self._wrapped.info(groups))

    def hostname(self) -> str:
        """The name the guest has given itself."""
        return self._loop.run(self._wrapped.hostname())

    def interfaces(self) -> list[GuestInterface]:
        """The network interfaces as the guest sees them."""
        return self._loop.run(self._wrapped.interfaces())

    def filesystems(self) -> list[GuestFilesystem]:
        """What the guest has mounted."""
        return self._loop.run(self._wrapped.filesystems())

    def freeze(self, mountpoints: Sequence[str] = ()) -> int:
        """Flush the file systems and hold all writes, on these or on all; how many there are."""
        return self._loop.run(self._wrapped.freeze(mountpoints))

    def thaw(self) -> int:
        """Let writes go on; how many file systems were frozen."""
        return self._loop.run(self._wrapped.thaw())

    def trim(self, *, minimum: int = 0) -> None:
        """Give back what the file systems do not use, in pieces of ``minimum`` bytes at least."""
        self._loop.run(self._wrapped.trim(minimum=minimum))

    def time(self) -> int:
        """The guest's clock: nanoseconds since the epoch."""
        return self._loop.run(self._wrapped.time())

    def set_time(self, nanoseconds: int | None) -> None:
        """Set the guest's clock, or with None have it read its hardware clock."""
        self._loop.run(self._wrapped.set_time(nanoseconds))

    def set_password(self, user: str, password: str, *, encrypted: bool = False) -> None:
        """Give a user of the guest a password; ``encrypted``: as it stands in its shadow file."""
        self._loop.run(self._wrapped.set_password(user, password, encrypted=encrypted))

    def vcpus(self) -> Params:
        """The vCPUs the guest has, uses and can do without: "vcpus", "online" and "offlinable", lists like "0-3"."""
        return self._loop.run(self._wrapped.vcpus())

    def set_vcpus(self, vcpus: str, *, online: bool) -> None:
        """Have the guest use these of its vCPUs, or do without them; InvalidArgument for what it has not."""
        self._loop.run(self._wrapped.set_vcpus(vcpus, online=online))

    def ssh_keys(self, user: str) -> list[str]:
        """The keys that let in as a user of the guest, as lines of its authorized_keys."""
        return self._loop.run(self._wrapped.ssh_keys(user))

    def set_ssh_keys(self, user: str, keys: Sequence[str], *, append: bool = False) -> None:
        """Let these keys in as a user of the guest, and no others, unless they are ``append``-ed."""
        self._loop.run(self._wrapped.set_ssh_keys(user, keys, append=append))

    def remove_ssh_keys(self, user: str, keys: Sequence[str]) -> None:
        """Let these keys in no more."""
        self._loop.run(self._wrapped.remove_ssh_keys(user, keys))
