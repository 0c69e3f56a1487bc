"""Networks as conformance cases ask for them."""

from __future__ import annotations

from pathlib import Path

from vmherd.conf.network import parse_network
from vmherd.conformance import Case, Result
from vmherd.resources.network import dnsmasq


def dnsmasq_files(case: Case) -> Result:
    """The configuration of dnsmasq, and the hosts file if there are hosts."""
    network, host = parse_network(case.input), case.host
    pid_file = Path(host["pidfile"]) if host.get("pidfile") else None
    text = dnsmasq.configuration(network, Path(host["config_dir"]), pid_file=pid_file, loopback=host["loopback"])
    hosts = dnsmasq.hosts_file(network)
    return Result(text, {"hostsfile": hosts} if hosts else {})
