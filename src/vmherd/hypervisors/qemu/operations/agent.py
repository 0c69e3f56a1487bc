"""What the guest agent does."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmherd.driver.agent import AddressSource, AgentTimeout, GuestFilesystem, GuestInfo, GuestInterface
from vmherd.driver.network import Lease, NetworkDriver
from vmherd.driver.params import Params
from vmherd.errors import InvalidArgument, InvalidState, NetworkNotFound, NoHostname
from vmherd.events import DomainEvent
from vmherd.hypervisors.qemu.connection import QemuConnection
from vmherd.state.domains import Entry

if TYPE_CHECKING:
    from vmherd.conf.domain import Domain


class QemuAgent(QemuConnection):
    """What the guest agent does."""

    async def domain_agent_command(self, uuid: str, command: str, *, timeout: int = AgentTimeout.DEFAULT) -> str:
        try:
            message = json.loads(command)
        except ValueError as problem:
            raise InvalidArgument(f"this is no JSON: {problem}", hint='write {"execute": "guest-ping"}') from None
        if not isinstance(message, dict) or "execute" not in message:
            raise InvalidArgument("a command of the agent is a JSON object with an 'execute'")
        async with self._agent(uuid, timeout=_seconds(timeout)) as agent:
            answer = await agent.exchange(message)
        agent.require_value(str(message["execute"]), answer)
        return json.dumps(answer, separators=(",", ":"))

    async def domain_set_agent_timeout(self, uuid: str, timeout: int) -> None:
        self.require_writable()
        _seconds(timeout)

        def note(entry: Entry) -> list[DomainEvent]:
            entry.record.agent_timeout = timeout
            return []

        self.table.change(uuid, note)

    async def domain_guest_info(self, uuid: str, groups: GuestInfo | None = None) -> Params:
        async with self._agent(uuid) as agent:
            from vmherd.hypervisors.qemu.inside import everything

            return await everything.tell(agent, self._document(uuid), groups)

    async def domain_hostname(self, uuid: str, source: AddressSource | None = None) -> str:
        if source in (None, AddressSource.AGENT):
            async with self._agent(uuid) as agent:
                from vmherd.hypervisors.qemu.inside import HostName

                return (await agent.ask("guest-get-host-name", HostName)).host_name
        self.require_writable()
        entry = self.table.get(uuid)
        self._alive(entry)
        if source is AddressSource.LEASE:
            from vmherd.hypervisors.qemu.inside import interfaces

            if name := interfaces.leased_name(document := self._document(uuid), await self._leases(document)):
                return name
        raise NoHostname(f"no hostname found for domain {entry.name}", hint="ask its agent")

    async def domain_addresses(self, uuid: str, source: AddressSource = AddressSource.LEASE) -> list[GuestInterface]:
        from vmherd.hypervisors.qemu.inside import interfaces

        if source is AddressSource.AGENT:
            async with self._agent(uuid) as agent:
                return await interfaces.ask(agent)
        self._alive(self.table.get(uuid))
        if source is AddressSource.ARP:
            return interfaces.from_neighbours(self._document(uuid))
        document = self._document(uuid)
        return interfaces.from_leases(document, await self._leases(document))

    async def _leases(self, document: Domain) -> dict[str, list[Lease]]:
        """What the networks of a guest's cards have given away, by their names."""
        from vmherd.hypervisors.qemu.inside import interfaces

        named = {name for each in document.devices.interfaces if (name := interfaces.network(each))}
        networks = await self.resource(NetworkDriver) if named else None
        return {name: await _leases(networks, name) for name in named if networks}

    async def domain_filesystems(self, uuid: str) -> list[GuestFilesystem]:
        async with self._agent(uuid) as agent:
            from vmherd.hypervisors.qemu.inside import storage

            return await storage.filesystems(agent, self._document(uuid))

    async def domain_freeze(self, uuid: str, mountpoints: Sequence[str] = ()) -> int:
        async with self._agent(uuid) as agent:
            if mountpoints:
                return await agent.ask("guest-fsfreeze-freeze-list", int, {"mountpoints": list(mountpoints)})
            return await agent.ask("guest-fsfreeze-freeze", int)

    async def domain_thaw(self, uuid: str) -> int:
        async with self._agent(uuid) as agent:
            return await agent.ask("guest-fsfreeze-thaw", int)

    async def domain_trim(self, uuid: str, *, minimum: int = 0) -> None:
        async with self._agent(uuid) as agent:
            await agent.execute("guest-fstrim", {"minimum": minimum})

    async def domain_time(self, uuid: str) -> int:
        async with self._agent(uuid) as agent:
            return await agent.ask("guest-get-time", int)

    async def domain_set_time(self, uuid: str, nanoseconds: int | None) -> None:
        async with self._agent(uuid) as agent:
            await agent.execute("guest-set-time", None if nanoseconds is None else {"time": nanoseconds})
        # Else the guest would be given all the ticks that it missed, and its clock be wrong again (x86 only).
        async with self._monitor(uuid) as monitor:
            await monitor.attempt("rtc-reset-reinjection")

    async def domain_set_user_password(self, uuid: str, user: str, password: str, *, encrypted: bool = False) -> None:
        hidden = b64encode(password.encode()).decode()
        async with self._agent(uuid) as agent:
            arguments: dict[str, object] = {"username": user, "password": hidden, "crypted": encrypted}
            await agent.execute("guest-set-user-password", arguments)

    async def domain_guest_vcpus(self, uuid: str) -> Params:
        async with self._agent(uuid) as agent:
            from vmherd.hypervisors.qemu.inside import processors

            return await processors.tell(agent)

    async def domain_set_guest_vcpus(self, uuid: str, vcpus: str, *, online: bool) -> None:
        from vmherd.hypervisors.qemu.inside import processors

        wanted = processors.parse(vcpus)
        async with self._agent(uuid) as agent:
            await processors.switch(agent, wanted, online=online)

    async def domain_ssh_keys(self, uuid: str, user: str) -> list[str]:
        async with self._agent(uuid) as agent:
            found = await agent.ask("guest-ssh-get-authorized-keys", dict[str, list[str]], {"username": user})
            return found.get("keys", [])

    async def domain_set_ssh_keys(self, uuid: str, user: str, keys: Sequence[str], *, append: bool = False) -> None:
        async with self._agent(uuid) as agent:
            arguments: dict[str, object] = {"username": user, "keys": list(keys), "reset": not append}
            await agent.execute("guest-ssh-add-authorized-keys", arguments)

    async def domain_remove_ssh_keys(self, uuid: str, user: str, keys: Sequence[str]) -> None:
        async with self._agent(uuid) as agent:
            await agent.execute("guest-ssh-remove-authorized-keys", {"username": user, "keys": list(keys)})


async def _leases(networks: NetworkDriver, name: str) -> list[Lease]:
    """What a network has given away; nothing, if it is no more."""
    try:
        return await networks.network_leases((await networks.network_find(name)).uuid)
    except (NetworkNotFound, InvalidState):
        return []


def _seconds(timeout: int) -> int:
    if timeout < AgentTimeout.BLOCK:
        raise InvalidArgument(f"guest agent timeout '{timeout}' is less than the minimum '{int(AgentTimeout.BLOCK)}'")
    return timeout
