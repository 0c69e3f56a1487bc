"""The vCPUs as the guest has them: which it uses, and which it could do without.

Source: guest-get-vcpus and guest-set-vcpus in QEMU's qga/qapi-schema.json; qemuDomainGetGuestVcpusParams and
qemuDomainSetGuestVcpus of libvirt.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

import msgspec

from vmherd.driver.params import Params
from vmherd.errors import HypervisorError, InvalidArgument
from vmherd.hypervisors.qemu.agent import Agent
from vmherd.hypervisors.qemu.inside import Told
from vmherd.util.xmlmodel.scalars import format_cpus, parse_cpus


class _Vcpu(Told, frozen=True):
    logical_id: Annotated[int, msgspec.Meta(ge=0, lt=1 << 14)]
    online: bool
    can_offline: bool = False


def parse(vcpus: str) -> frozenset[int]:
    """The numbers of a list like "0-3,7"; raises InvalidArgument for text that is none."""
    try:
        wanted = frozenset(parse_cpus(vcpus))
    except ValueError as problem:
        raise InvalidArgument(f"{vcpus!r} is no list of vCPUs: {problem}", hint="write it like 0-3,7") from None
    if not wanted:
        raise InvalidArgument("at least one vCPU must be named")
    return wanted


async def tell(agent: Agent) -> Params:
    """Lists of vCPUs, by libvirt's names."""
    found = await agent.ask("guest-get-vcpus", list[_Vcpu])
    groups = {
        "vcpus": found,
        "online": [each for each in found if each.online],
        "offlinable": [each for each in found if each.can_offline],
    }
    return {name: format_cpus(tuple(sorted(each.logical_id for each in group))) for name, group in groups.items()}


async def switch(agent: Agent, wanted: Collection[int], *, online: bool) -> None:
    """Raises InvalidArgument for vCPUs that the guest has not, or cannot do without."""
    found = {each.logical_id: each for each in await agent.ask("guest-get-vcpus", list[_Vcpu])}
    if missing := sorted(set(wanted) - found.keys()):
        raise InvalidArgument(f"guest is missing vCPUs '{format_cpus(tuple(missing))}'")
    change = [number for number in sorted(wanted) if found[number].online is not online]
    if fixed := [number for number in change if not found[number].can_offline]:
        raise InvalidArgument(f"the guest cannot do without vCPUs '{format_cpus(tuple(fixed))}'")
    while change:
        # It may do only the first of them, and then tells how many.
        asked = [{"logical-id": number, "online": online} for number in change]
        done = await agent.ask("guest-set-vcpus", int, {"vcpus": asked})
        if not 0 < done <= len(change):
            raise HypervisorError(f"the guest agent changed {done} of {len(change)} vCPUs")
        change = change[done:]
