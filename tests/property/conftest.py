"""A run of ``./x test --fuzz``: the same properties, tried again and again until the time is up.

Each test function has the same share of the time, and each case of it the same part of that.
"""

from __future__ import annotations

import os
import resource
import time

import pytest
from hypothesis import settings

#: Seconds for all tests; 0 in every other run, where each property is tried with some examples.
SECONDS = float(os.environ.get("VMHERD_FUZZ", "0"))

# Chance is for fuzz runs: any other tries the same examples each time, so that a change is judged by what it changes.
settings.register_profile("steady", derandomize=not SECONDS)
settings.load_profile("steady")

#: Bytes of address space; a document of some kilobytes needs nothing like that.
_MEMORY = 4 << 30


def pytest_sessionstart() -> None:
    if SECONDS:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


@pytest.fixture
def share(request: pytest.FixtureRequest) -> float:
    """Seconds that this test may take in a fuzz run, else 0."""
    return _share(request.node)


def _share(item: pytest.Item) -> float:
    names = [_function(each) for each in item.session.items]
    return SECONDS / len(set(names)) / names.count(_function(item))


def _function(item: pytest.Item) -> tuple[str, str]:
    return str(item.path), getattr(item, "originalname", item.name)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    if not getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
        return
    until = time.monotonic() + _share(item)
    while time.monotonic() < until:
        item.runtest()
