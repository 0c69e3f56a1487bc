"""The domain document alone, without a driver, as conformance cases ask for it."""

from __future__ import annotations

from vmherd.conf.domain import check, complete, parse_domain, render, stored
from vmherd.conf.domain.backing import parse_backing
from vmherd.conf.domain.domain import Domain
from vmherd.conformance import Case
from vmherd.util import xmlmodel


def generic(case: Case) -> str:
    """Read, complete what every hypervisor completes, check, write."""
    domain = parse_domain(case.input)
    complete(domain, arch=str(case.host.get("arch", "x86_64")))
    check(domain)
    return written(domain, case)


def written(domain: Domain, case: Case) -> str:
    """With its secrets; as a running guest's, or as its definition."""
    inactive = case.params.get("state") == "inactive"
    return render(stored(domain) if inactive else domain, secure=True)


def backing_store(case: Case) -> str:
    """The source that a backing file string stands for."""
    return xmlmodel.render(parse_backing(case.input.rstrip("\n")))
