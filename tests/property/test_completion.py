"""Completing a document a second time, at once or after it was stored, changes nothing more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from corpus import complete_for_qemu
from hypothesis import given, reject, settings
from strategies import guests

from vmherd.conf.domain import Domain, complete, parse_domain, render
from vmherd.errors import DocumentError


@pytest.mark.parametrize("fill", [complete, complete_for_qemu], ids=["any", "qemu"])
@given(text=guests())
@settings(max_examples=60, deadline=None)
def test_completing_twice_changes_nothing_more(fill: Callable[[Domain], None], text: str) -> None:
    domain = parse_domain(text)
    try:
        fill(domain)
    except DocumentError:
        reject()
    once = told(domain)
    assert told(parse_domain(render(domain, secure=True))) == once
    fill(domain)
    assert told(domain) == once
    stored = parse_domain(render(domain, secure=True))
    fill(stored)
    assert told(stored) == once


def told(domain: Domain) -> str:
    """A document with controllers in one order: as in libvirt, reading puts those of a type together, by index."""
    controllers = sorted(domain.devices.controllers, key=lambda each: (each.type, each.index))
    return render(domain.replace(devices=domain.devices.replace(controllers=controllers)), secure=True)
