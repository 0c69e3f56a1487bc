"""The documents that vmherd knows, by the name of their root: a new one has a line in ``KNOWN``, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from vmherd.conf import backup, checkpoint, domain, interface, network, nodedev, nwfilter, secret, snapshot, storage
from vmherd.conf.capabilities import HostCapabilities
from vmherd.conf.domaincaps import DomainCapabilities
from vmherd.conf.status import DomainStatus
from vmherd.util.xmlmodel import Element, parse


class Known(NamedTuple):
    """One kind of document.

    ``cls`` declares it and ``parse`` reads it.  ``check`` completes it and raises one DocumentError with everything
    that contradicts itself.
    """

    cls: type[Element]
    parse: Callable[[str | bytes], Any]
    check: Callable[[Any], None]


def _domain(document: domain.Domain) -> None:
    domain.complete(document)
    domain.check(document)


def _snapshot(document: snapshot.Snapshot) -> None:
    snapshot.complete(document)
    snapshot.check(document)


def _checkpoint(document: checkpoint.Checkpoint) -> None:
    checkpoint.complete(document)
    checkpoint.check(document)


def _volume(text: str | bytes) -> storage.Volume:
    """A volume whose pool is not told: read as one in a folder."""
    return storage.parse_volume(text, storage.Pool(type=storage.PoolType.DIR))


def _complete(_: Element) -> None:
    """Nothing is left to check: reading it completes it and refuses what contradicts itself."""


def _reported(_: Element) -> None:
    """Nothing to check: hypervisors write it, people read it."""


KNOWN: dict[str, Known] = {
    "domain": Known(domain.Domain, domain.parse_domain, _domain),
    "domainsnapshot": Known(snapshot.Snapshot, snapshot.parse_snapshot, _snapshot),
    "domaincheckpoint": Known(checkpoint.Checkpoint, checkpoint.parse_checkpoint, _checkpoint),
    "domainbackup": Known(backup.Backup, backup.parse_backup, backup.check),
    "pool": Known(storage.Pool, storage.parse_pool, _complete),
    "volume": Known(storage.Volume, _volume, _complete),
    "network": Known(network.Network, network.parse_network, _complete),
    "networkport": Known(network.NetworkPort, network.parse_port, _complete),
    "device": Known(nodedev.Device, nodedev.parse_device, _complete),
    "interface": Known(interface.Interface, interface.parse_interface, _complete),
    "filter": Known(nwfilter.Filter, nwfilter.parse_filter, _complete),
    "filterbinding": Known(nwfilter.Binding, nwfilter.parse_binding, _complete),
    "secret": Known(secret.Secret, secret.parse_secret, _complete),
    "capabilities": Known(HostCapabilities, partial(parse, HostCapabilities), _reported),
    "domstatus": Known(DomainStatus, partial(parse, DomainStatus), _reported),
    "domainCapabilities": Known(DomainCapabilities, partial(parse, DomainCapabilities), _reported),
}
