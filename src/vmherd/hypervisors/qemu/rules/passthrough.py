"""What a document hands to QEMU as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.problem import numbered

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def environment(domain: Domain) -> Iterator[Problem]:
    """Names of environment variables.  Source: POSIX.1-2017, chapter 8.1"""
    for number, each in numbered(domain.qemu_commandline.envs if domain.qemu_commandline else []):
        if not _NAME.fullmatch(each.name):
            text = f"{each.name!r} is no name of a variable"
            yield Problem(f"domain/qemu:commandline/qemu:env[{number}]/@name", text, "use letters, digits and _")


RULES = (environment,)
