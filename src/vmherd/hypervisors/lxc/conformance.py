"""Documents and configurations of containers, on the made-up hosts of conformance cases."""

from __future__ import annotations

from vmherd.conf.domain import parse_domain
from vmherd.conf.domain.conformance import written
from vmherd.conf.domain.text import render
from vmherd.conformance import Case
from vmherd.hypervisors.lxc import complete, native, validate


def documents(case: Case) -> str:
    """A domain document completed and checked by the driver."""
    domain = parse_domain(case.input)
    complete.complete(domain, emulator=case.host["emulator"], arch=case.host["arch"])
    validate.check(domain, {guest["arch"] for guest in case.host["guests"]})
    return written(domain, case)


def configurations(case: Case) -> str:
    """The document that stands for a container's configuration."""
    domain = native.read(case.input).domain
    domain.uuid = case.host["uuid"]
    complete.complete(domain, emulator=case.host["emulator"])
    return render(domain)
