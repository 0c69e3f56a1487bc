"""What changes of a network card while the guest runs: its cable, its place in a network, its bandwidth, its filter.

A card of a network gets a port of its own where it shall be before the old one is given back.
Source: qemuDomainChangeNet and qemuDomainChangeNetBridge of libvirt; set_link in QEMU's qapi/net.json.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

from vmherd.conf.domain.net import Interface, InterfaceSource, InterfaceType, LinkState
from vmherd.errors import OperationUnsupported
from vmherd.hypervisors.qemu.cards.checks import check
from vmherd.hypervisors.qemu.cards.hostend import HostEnds
from vmherd.hypervisors.qemu.command.device import alias
from vmherd.hypervisors.qemu.hotplug.running import Means, Running

_BRIDGED = (InterfaceType.NETWORK, InterfaceType.BRIDGE)


async def change(running: Running, means: Means, old: Interface, new: Interface) -> None:
    """Bring the card to what ``new`` says, which learns what it is in its network.

    Raises OperationUnsupported where it would be another card; all is as it was then, as after any other error.
    """
    ends = HostEnds(running.domain, running.folder, running.folders.ports, means.uri)
    async with AsyncExitStack() as undo:
        left = await ends.move_port(old, new, undo)
        check(new)
        _check_same_kind(old, new)
        if _place(old) != _place(new):
            await ends.move(old, new)
            undo.push_async_callback(ends.move, new, old)
        if old.bandwidth != new.bandwidth:
            await ends.limit(old, new)
            undo.push_async_callback(ends.limit, new, old)
        if old.filterref != new.filterref:
            await ends.guard(old, new)
            undo.push_async_callback(ends.guard, new, old)
        if _is_up(old) != _is_up(new):
            async with running.monitor() as monitor:
                await monitor.execute("set_link", {"name": alias(old), "up": _is_up(new)})
        undo.pop_all()
    if left:
        await ends.leave(left)


def _check_same_kind(old: Interface, new: Interface) -> None:
    before, after = old.source or InterfaceSource(), new.source or InterfaceSource()
    bridged = old.type in _BRIDGED and new.type in _BRIDGED
    if bridged:
        changes = dict.fromkeys(("bridge", "network", "portgroup", "portid", "mac_table_manager"))
    else:
        changes = dict.fromkeys(("network", "portgroup", "portid"))
    if before.replace(**changes) != after.replace(**changes) or (old.type is not new.type and not bridged):
        raise OperationUnsupported(f"unable to change config on '{old.type}' network type", hint=_HINT)
    if _kind_of_port(old) != _kind_of_port(new):
        raise OperationUnsupported("cannot move a card between kinds of switches", hint=_HINT)
    if not bridged and (old.port != new.port or old.vlan != new.vlan):
        raise OperationUnsupported("cannot modify the port of a card that is in no bridge", hint=_HINT)


def _kind_of_port(interface: Interface) -> str | None:
    return interface.virtualport.type if interface.virtualport else None


def _place(interface: Interface) -> object:
    """Where in which bridge the card is, and what it may do there."""
    source = interface.source or InterfaceSource()
    parameters = interface.virtualport.parameters if interface.virtualport else None
    return source.bridge, source.mac_table_manager, interface.port, interface.vlan, parameters


def _is_up(interface: Interface) -> bool:
    return interface.link is None or interface.link.state is LinkState.UP


_HINT = "detach the card, and attach another one"
