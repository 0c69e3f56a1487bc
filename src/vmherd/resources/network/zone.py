"""The firewalld zone of a bridge, where that firewall runs.

Source: networkAddFirewallRules of src/network/bridge_driver_linux.c of libvirt 9.0
"""

from __future__ import annotations

from vmherd.conf.network import Network
from vmherd.errors import HostError, Unsupported
from vmherd.util.command import run


async def join(network: Network) -> None:
    """Put the bridge into the zone that the document names.  Raises Unsupported where there is no firewalld."""
    bridge = network.bridge
    if bridge is None or bridge.zone is None:
        return
    try:
        await run(["firewall-cmd", "--state"], patience=10)
    except HostError:
        raise Unsupported(
            f"zone {bridge.zone} requested for network {network.name} but firewalld is not active",
            place="network/bridge/@zone",
            hint="start firewalld, or leave the zone out",
        ) from None
    await run(["firewall-cmd", f"--zone={bridge.zone}", f"--change-interface={bridge.name}"], patience=10)
