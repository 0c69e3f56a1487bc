"""Pools and volumes as conformance cases ask for them."""

from __future__ import annotations

from vmherd.conf.storage import parse_pool, parse_volume, render, render_pool
from vmherd.conformance import Case


def pools(case: Case) -> str:
    """A pool read and written."""
    return render_pool(parse_pool(case.input))


def volumes(case: Case) -> str:
    """A volume of the pool that comes along, read and written."""
    pool = parse_pool(case.aux["pool"])
    return render(parse_volume(case.input, pool, need_capacity="no-capacity" not in case.flags))
