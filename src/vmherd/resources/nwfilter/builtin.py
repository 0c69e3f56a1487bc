"""The filters that are there from the beginning; whoever changes or removes one keeps it so."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from uuid import NAMESPACE_URL, uuid5

import msgspec

from vmherd.conf.nwfilter import Filter, parse_filter, render
from vmherd.resources.nwfilter.records import Entry, Records
from vmherd.state.objects import Definition

#: Grows with each change of the file, so that a newer vmherd adds what is new in it.
_EDITION = 1


def define(records: Records) -> None:
    """Put them into a table that has not had them; a filter of that name that is there stays as it is."""
    applied = records.applied
    if applied.builtin >= _EDITION:
        return
    with records.store.transaction(durable=True):
        for filter_ in documents():
            assert filter_.uuid  # `documents` gives one
            if not records.store.find("nwfilter", filter_.name):
                records.filters.put(Entry(filter_.uuid, filter_.name, Definition(config=render(filter_))))
        records.keep(msgspec.structs.replace(applied, builtin=_EDITION))


def documents() -> Iterator[Filter]:
    """Each with a UUID that is the same on all hosts."""
    from lxml import etree  # known to be there when documents are read

    text = resources.files(__package__).joinpath("builtin.xml").read_bytes()
    for element in etree.fromstring(text).iterchildren("filter"):
        filter_ = parse_filter(etree.tostring(element, with_tail=False))
        filter_.uuid = str(uuid5(NAMESPACE_URL, f"https://vmherd/nwfilter/{filter_.name}"))
        yield filter_
