"""Whatever comes in, a document or one of vmherd's errors comes out, soon."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from corpus import arguments

from vmherd.conf.documents import KNOWN
from vmherd.conf.domain import Domain
from vmherd.conf.inspection import Inspection
from vmherd.errors import VmherdError
from vmherd.util.xmlmodel import parse, render


def judge(text: bytes, *, seconds: float = 1) -> None:
    """Do everything with ``text`` that is done with documents, in so much processor time.

    Any error but vmherd's own is a finding.  The documents of real guests take a millisecond.
    """
    with soon(seconds):
        known = KNOWN.get(Inspection(text).kind)
        if known is None:
            return
        with suppress(VmherdError):
            document = known.parse(text)
            assert parse(type(document), render(document)) == document, "what is written is read as something else"
            if isinstance(document, Domain):
                arguments(document)


@contextmanager
def soon(seconds: float) -> Iterator[None]:
    """Fail what takes too long, also if it would never end."""

    def stop(*_: object) -> None:
        raise AssertionError(f"it takes more than {seconds:g} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
