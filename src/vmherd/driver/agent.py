"""What only somebody inside the guest can do: the guest agent."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, IntFlag

import msgspec

from vmherd.driver.base import Driver
from vmherd.driver.params import Params


class GuestInfo(IntFlag):
    """virDomainGuestInfoTypes: what there is to be told of a guest's inside."""

    USERS = 1
    OS = 2
    TIMEZONE = 4
    HOSTNAME = 8
    FILESYSTEM = 16
    DISKS = 32
    INTERFACES = 64


class AddressSource(IntEnum):
    """virDomainInterfaceAddressesSource: who tells the addresses of a guest's interfaces."""

    LEASE = 0
    AGENT = 1
    ARP = 2


class AgentTimeout(IntEnum):
    """virDomainQemuAgentCommandTimeoutValues; any other is in seconds."""

    BLOCK = -2
    DEFAULT = -1
    NOWAIT = 0


class GuestFilesystem(msgspec.Struct, frozen=True, kw_only=True):
    """A file system that the guest has mounted; ``disks`` are the targets of the disks it is on, as far as known."""

    mountpoint: str
    name: str
    type: str
    disks: tuple[str, ...] = ()


class GuestAddress(msgspec.Struct, frozen=True, kw_only=True):
    """``family`` is 4 or 6."""

    family: int
    address: str
    prefix: int


class GuestInterface(msgspec.Struct, frozen=True, kw_only=True):
    """A network interface as the guest sees it, or as the host does where the host is asked."""

    name: str
    mac: str = ""
    addresses: tuple[GuestAddress, ...] = ()


class AgentOperations(Driver):
    """What only somebody inside the guest can do: the guest agent.

    Each raises InvalidState where the guest does not run, ArgumentUnsupported where it has no channel for an agent,
    NotResponding where no agent is there, or it does not answer in time, and HypervisorError for what it refuses.
    """

    async def domain_agent_command(self, uuid: str, command: str, *, timeout: int = AgentTimeout.DEFAULT) -> str:
        """Send the agent a command as JSON text, and return its whole answer; ``timeout`` in seconds."""
        self._unsupported("domain_agent_command")

    async def domain_set_agent_timeout(self, uuid: str, timeout: int) -> None:
        """How many seconds all the others here wait for an answer, from now on; BLOCK at first."""
        self._unsupported("domain_set_agent_timeout")

    async def domain_guest_info(self, uuid: str, groups: GuestInfo | None = None) -> Params:
        """What the guest tells of itself, by libvirt's names ("os.id", "user.0.name", ...).

        Of ``groups``, or everything that its agent can tell.
        """
        self._unsupported("domain_guest_info")

    async def domain_hostname(self, uuid: str, source: AddressSource | None = None) -> str:
        """The name the guest has given itself, or has asked for; NoHostname if there is none.

        Without ``source`` the driver asks whom it trusts most.
        """
        self._unsupported("domain_hostname")

    async def domain_addresses(self, uuid: str, source: AddressSource = AddressSource.LEASE) -> list[GuestInterface]:
        """The addresses of the guest's interfaces."""
        self._unsupported("domain_addresses")

    async def domain_filesystems(self, uuid: str) -> list[GuestFilesystem]:
        """What the guest has mounted."""
        self._unsupported("domain_filesystems")

    async def domain_freeze(self, uuid: str, mountpoints: Sequence[str] = ()) -> int:
        """Flush the guest's file systems and hold all writes, on these or on all; how many there are."""
        self._unsupported("domain_freeze")

    async def domain_thaw(self, uuid: str) -> int:
        """Let writes go on; how many file systems were frozen."""
        self._unsupported("domain_thaw")

    async def domain_trim(self, uuid: str, *, minimum: int = 0) -> None:
        """Give back what the guest's file systems do not use, in pieces of ``minimum`` bytes at least."""
        self._unsupported("domain_trim")

    async def domain_time(self, uuid: str) -> int:
        """The guest's clock: nanoseconds since the epoch."""
        self._unsupported("domain_time")

    async def domain_set_time(self, uuid: str, nanoseconds: int | None) -> None:
        """Set the guest's clock, since the epoch, or with None by its own hardware clock."""
        self._unsupported("domain_set_time")

    async def domain_set_user_password(self, uuid: str, user: str, password: str, *, encrypted: bool = False) -> None:
        """Give a user of the guest a password; ``encrypted``: as it stands in its shadow file."""
        self._unsupported("domain_set_user_password")

    async def domain_guest_vcpus(self, uuid: str) -> Params:
        """The vCPUs the guest has, uses and can do without: "vcpus", "online" and "offlinable", as lists like "0-3"."""
        self._unsupported("domain_guest_vcpus")

    async def domain_set_guest_vcpus(self, uuid: str, vcpus: str, *, online: bool) -> None:
        """Have the guest use these of its vCPUs, or do without them; InvalidArgument for what it has not."""
        self._unsupported("domain_set_guest_vcpus")

    async def domain_ssh_keys(self, uuid: str, user: str) -> list[str]:
        """The keys that let in as a user of the guest, as lines of its authorized_keys."""
        self._unsupported("domain_ssh_keys")

    async def domain_set_ssh_keys(self, uuid: str, user: str, keys: Sequence[str], *, append: bool = False) -> None:
        """Let these keys in as a user of the guest, and no others, unless they are ``append``-ed."""
        self._unsupported("domain_set_ssh_keys")

    async def domain_remove_ssh_keys(self, uuid: str, user: str, keys: Sequence[str]) -> None:
        """Let these keys in no more."""
        self._unsupported("domain_remove_ssh_keys")
