"""What changes of a network card while the guest runs: its cable, the bridge that it is plugged into, its bandwidth.

Source: qemuDomainChangeNet and qemuDomainChangeNetBridge of libvirt; set_link in QEMU's qapi/net.json.
"""

from __future__ import annotations

from vmherd.conf.domain.net import Interface, InterfaceSource, InterfaceType, LinkState
from vmherd.errors import OperationUnsupported
from vmherd.hypervisors.qemu.command.device import alias
from vmherd.hypervisors.qemu.host import taps
from vmherd.hypervisors.qemu.hotplug.running import Running
from vmherd.hypervisors.qemu.tuning import bandwidth


async def change(running: Running, old: Interface, new: Interface) -> None:
    """Bring the card to what ``new`` says.  Raises OperationUnsupported where it would be another card."""
    before, after = old.source or InterfaceSource(), new.source or InterfaceSource()
    bridged = old.type is InterfaceType.BRIDGE
    if before.replace(bridge=None) != after.replace(bridge=None) or (before.bridge != after.bridge and not bridged):
        raise OperationUnsupported(f"unable to change config on '{old.type}' network type", hint=_HINT)
    if before.bridge != after.bridge or old.port != new.port:
        if not bridged:
            raise OperationUnsupported("cannot modify isolation of a port that is in no bridge", hint=_HINT)
        await taps.move(new)
    if old.bandwidth != new.bandwidth:
        await bandwidth.change(old, new)
    if _is_up(old) != _is_up(new):
        async with running.monitor() as monitor:
            await monitor.execute("set_link", {"name": alias(old), "up": _is_up(new)})


def _is_up(interface: Interface) -> bool:
    return interface.link is None or interface.link.state is LinkState.UP


_HINT = "detach the card, and attach another one"
