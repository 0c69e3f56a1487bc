"""Everything that can be said about a document, not only what is wrong first: for ``vmherd validate`` and editors."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from enum import StrEnum

import msgspec

from vmherd.conf.documents import KNOWN, Known
from vmherd.conf.domain import Domain, complete
from vmherd.conf.domain.domain import placed_devices
from vmherd.errors import DocumentError
from vmherd.util.xmlmodel import Places, complaints, unknown


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"  # it works, though perhaps not as somebody meant it


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to say: in which line (0: not known), at which place, what, and what to do about it."""

    severity: Severity
    line: int
    place: str
    text: str
    hint: str


class Inspection:
    """What is found in one text.  ``kind`` is the name of its root, "" where there is none."""

    def __init__(self, text: str | bytes) -> None:
        self.kind = ""
        self.findings: list[Finding] = []
        self._places: Places | None = None
        self._moved: dict[str, str] = {}
        try:
            self._places = Places(text)
            self.kind = self._places.tag
            self._inspect(text, _known(self.kind))
        except DocumentError as problem:
            self.refuse(problem)

    @property
    def is_valid(self) -> bool:
        return all(each.severity is not Severity.ERROR for each in self.findings)

    def refuse(self, problem: DocumentError) -> None:
        """Add what somebody refuses the completed document for, such as a driver."""
        self._add(Severity.ERROR, problem.parts or [problem])

    def _inspect(self, text: str | bytes, known: Known) -> None:
        self._add(Severity.WARNING, unknown(known.cls, text))
        try:
            document = known.parse(text)
        except DocumentError as problem:
            self._add(Severity.ERROR, complaints(known.cls, text) or problem.parts or [problem])
            return
        if isinstance(document, Domain):
            self._moved = _moved(document.copy())
        known.check(document)

    def _add(self, severity: Severity, problems: Sequence[DocumentError]) -> None:
        found = [self._finding(severity, each) for each in problems]
        refused = {each.place for each in found}  # rather than warned of
        found += [each for each in self.findings if each.place not in refused or each.severity is Severity.ERROR]
        self.findings = sorted(dict.fromkeys(found), key=lambda each: each.line)

    def _finding(self, severity: Severity, problem: DocumentError) -> Finding:
        place = problem.place if problem.line else self._original(problem.place)
        line = problem.line or (self._places.line(place) if self._places and place else 0)
        return Finding(severity=severity, line=line, place=place, text=problem.problem, hint=problem.hint)

    def _original(self, place: str) -> str:
        """A place in the completed document, as one in the text."""
        device = "/".join(place.split("/")[:3])
        return self._moved[device] + place.removeprefix(device) if device in self._moved else place


def _known(root: str) -> Known:
    if root in KNOWN:
        return KNOWN[root]
    near = get_close_matches(root[:60], KNOWN, 1)
    hint = f"did you mean <{near[0]}>?" if near else f"known are: {', '.join(f'<{name}>' for name in KNOWN)}"
    raise DocumentError(f"<{root[:60]}> is no document that vmherd knows", hint=hint)


def _moved(domain: Domain) -> dict[str, str]:
    """The place in the text of each device by the one it gets: completion sorts devices, and adds some."""
    told = list(placed_devices(domain.devices))
    places = {id(device): place for place, device in told}
    try:
        complete(domain)
    except DocumentError:
        return {}  # which the check will tell
    return {place: places.get(id(device), "domain/devices") for place, device in placed_devices(domain.devices)}
