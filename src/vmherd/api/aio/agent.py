"""The inside of a guest, as far as the agent in it tells and does."""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.driver.agent import AddressSource, AgentTimeout, GuestFilesystem, GuestInfo, GuestInterface
from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.params import Params


class Agent:
    """The agent of one guest.

    Everything raises InvalidState where the guest does not run, ArgumentUnsupported where it has no channel for an
    agent, NotResponding where none is there or it does not answer in time, HypervisorError for what it refuses.
    """

    def __init__(self, driver: HypervisorDriver, uuid: str) -> None:
        self._driver = driver
        self._uuid = uuid

    async def command(self, command: str, *, timeout: int = AgentTimeout.DEFAULT) -> str:
        """Send a command as JSON text, and return the whole answer; ``timeout`` in seconds."""
        return await self._driver.domain_agent_command(self._uuid, command, timeout=timeout)

    async def set_timeout(self, timeout: int) -> None:
        """How many seconds all the others here wait for an answer, from now on; AgentTimeout.BLOCK at first."""
        await self._driver.domain_set_agent_timeout(self._uuid, timeout)

    async def info(self, groups: GuestInfo | None = None) -> Params:
        """What the guest tells of itself, by libvirt's names; of ``groups``, or all that its agent can tell."""
        return await self._driver.domain_guest_info(self._uuid, groups)

    async def hostname(self) -> str:
        """The name the guest has given itself."""
        return await self._driver.domain_hostname(self._uuid, AddressSource.AGENT)

    async def interfaces(self) -> list[GuestInterface]:
        """The network interfaces as the guest sees them."""
        return await self._driver.domain_addresses(self._uuid, AddressSource.AGENT)

    async def filesystems(self) -> list[GuestFilesystem]:
        """What the guest has mounted."""
        return await self._driver.domain_filesystems(self._uuid)

    async def freeze(self, mountpoints: Sequence[str] = ()) -> int:
        """Flush the file systems and hold all writes, on these or on all; how many there are."""
        return await self._driver.domain_freeze(self._uuid, mountpoints)

    async def thaw(self) -> int:
        """Let writes go on; how many file systems were frozen."""
        return await self._driver.domain_thaw(self._uuid)

    async def trim(self, *, minimum: int = 0) -> None:
        """Give back what the file systems do not use, in pieces of ``minimum`` bytes at least."""
        await self._driver.domain_trim(self._uuid, minimum=minimum)

    async def time(self) -> int:
        """The guest's clock: nanoseconds since the epoch."""
        return await self._driver.domain_time(self._uuid)

    async def set_time(self, nanoseconds: int | None) -> None:
        """Set the guest's clock, or with None have it read its hardware clock."""
        await self._driver.domain_set_time(self._uuid, nanoseconds)

    async def set_password(self, user: str, password: str, *, encrypted: bool = False) -> None:
        """Give a user of the guest a password; ``encrypted``: as it stands in its shadow file."""
        await self._driver.domain_set_user_password(self._uuid, user, password, encrypted=encrypted)

    async def vcpus(self) -> Params:
        """The vCPUs the guest has, uses and can do without: "vcpus", "online" and "offlinable", lists like "0-3"."""
        return await self._driver.domain_guest_vcpus(self._uuid)

    async def set_vcpus(self, vcpus: str, *, online: bool) -> None:
        """Have the guest use these of its vCPUs, or do without them; InvalidArgument for what it has not."""
        await self._driver.domain_set_guest_vcpus(self._uuid, vcpus, online=online)

    async def ssh_keys(self, user: str) -> list[str]:
        """The keys that let in as a user of the guest, as lines of its authorized_keys."""
        return await self._driver.domain_ssh_keys(self._uuid, user)

    async def set_ssh_keys(self, user: str, keys: Sequence[str], *, append: bool = False) -> None:
        """Let these keys in as a user of the guest, and no others, unless they are ``append``-ed."""
        await self._driver.domain_set_ssh_keys(self._uuid, user, keys, append=append)

    async def remove_ssh_keys(self, user: str, keys: Sequence[str]) -> None:
        """Let these keys in no more."""
        await self._driver.domain_remove_ssh_keys(self._uuid, user, keys)
