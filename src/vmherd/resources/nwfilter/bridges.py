"""Bridges that show their packets to connection tracking: br_netfilter, told for single bridges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vmherd.errors import HostError

_ALL = Path("/proc/sys/net/bridge")
_SWITCHES = ("nf_call_iptables", "nf_call_ip6tables")
_HINT = "modprobe br_netfilter; sysctl net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1"


def show_packets(devices: Sequence[str]) -> None:
    """See to it that connections over the bridges of ``devices`` are tracked.

    Raises HostError where they cannot be, such as for a device in no bridge where not all bridges do so.
    """
    if not _ALL.is_dir():
        raise HostError("this kernel does not track connections on bridges", hint=_HINT)
    if all(_on(_ALL / f"bridge-{name.replace('_', '-')}") for name in _SWITCHES):
        return
    for device in devices:
        bridge = Path("/sys/class/net") / device / "master" / "bridge"
        for name in _SWITCHES:
            _switch_on(bridge / name, device)


def _on(path: Path) -> bool:
    try:
        return path.read_text().strip() == "1"
    except OSError:
        return False


def _switch_on(path: Path, device: str) -> None:
    if _on(path):
        return
    try:
        path.write_text("1")
    except OSError as problem:
        raise HostError(f"connections of {device} cannot be tracked: {path}: {problem.strerror}", hint=_HINT) from None
