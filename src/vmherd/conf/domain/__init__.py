"""The domain document: what a guest is made of, as libvirt writes it.

    domain = parse_domain(text)     syntax only; DocumentError says what, where and in which line
    complete(domain)                what libvirt fills in for every hypervisor
    check(domain)                   one DocumentError with everything that contradicts itself
    render(domain)                  text again, without passwords unless secure=True

Each element has a class in the module of its family: ``disk``, ``net``, ``cpu``, ...
"""

from vmherd.conf.domain.completion import complete
from vmherd.conf.domain.domain import Devices, Domain, DomainType
from vmherd.conf.domain.problem import Problem
from vmherd.conf.domain.text import parse_domain, render, stored, without_passwords
from vmherd.conf.domain.validate import check, problems

__all__ = [
    "Devices",
    "Domain",
    "DomainType",
    "Problem",
    "check",
    "complete",
    "parse_domain",
    "problems",
    "render",
    "stored",
    "without_passwords",
]
