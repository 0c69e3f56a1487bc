"""Guests whose memory AMD's processors encrypt (SEV): proof that they are, and their secrets.

Source: query-sev, query-sev-launch-measure and sev-inject-launch-secret in QEMU's qapi/misc-target.json; the names
are VIR_DOMAIN_LAUNCH_SECURITY_SEV_*.
"""

from __future__ import annotations

from vmherd.conf.domain import parse_domain
from vmherd.conf.domain.launch import Sev
from vmherd.driver.params import Params
from vmherd.driver.types import State
from vmherd.errors import InvalidArgument, InvalidState, OperationUnsupported
from vmherd.hypervisors.qemu.monitor import Monitor
from vmherd.state.domains import Live

_SECRET, _HEADER, _ADDRESS = "sev-secret", "sev-secret-header", "sev-secret-set-address"


def wanted(xml: str) -> bool:
    """Whether the guest of a document has its memory encrypted so."""
    return isinstance(parse_domain(xml).launch_security, Sev)


async def attestation(monitor: Monitor) -> Params:
    """What attests to it."""
    told = await monitor.execute("query-sev")
    measured = await monitor.execute("query-sev-launch-measure")
    return {
        "sev-measurement": measured["data"],
        "sev-api-major": told["api-major"],
        "sev-api-minor": told["api-minor"],
        "sev-build-id": told["build-id"],
        "sev-policy": told["policy"],
    }


async def inject(live: Live, params: Params, monitor: Monitor) -> None:
    """Give the guest its secret before it runs.

    Raises OperationUnsupported where nothing is encrypted, InvalidArgument for half a secret, InvalidState where the
    guest runs.
    """
    if not wanted(live.xml):
        raise OperationUnsupported("setting a launch secret is only supported in SEV-enabled domains")
    if not (params.get(_SECRET) and params.get(_HEADER)):
        raise InvalidArgument("Both secret and the secret header are required")
    if live.state is not State.PAUSED:
        raise InvalidState("domain must be in a paused state")
    arguments: dict[str, object] = {"secret": params[_SECRET], "packet-header": params[_HEADER]}
    if _ADDRESS in params:
        arguments["gpa"] = params[_ADDRESS]
    await monitor.execute("sev-inject-launch-secret", arguments)
