"""Questions and answers of conformance suites: what an implementation accepts, refuses and produces.

A suite is a function from a case to its result; it raises VmherdError to refuse.  Suites are found by entry points of
the group ``vmherd.conformance``, named like the suite, so that each stands beside what it tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from vmherd.errors import VmherdError


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One question.  ``host`` is what is assumed of the host; ``facts`` is common to the cases of a suite."""

    name: str
    input: str
    flags: list[str] = []
    params: dict[str, Any] = {}
    aux: dict[str, str] = {}
    host: dict[str, Any] = {}
    facts: dict[str, Any] = {}


class Result(msgspec.Struct, frozen=True):
    """A result with further ones by role."""

    output: object
    aux: dict[str, object] = {}


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer: ``outcome`` is "ok" or "fail"."""

    name: str
    outcome: str
    output: object = None
    aux: dict[str, object] = {}
    error: str = ""


Suite = Callable[[Case], object]


def answer(suite: Suite, case: Case) -> Answer:
    """What ``suite`` says to ``case``; a bug in it is a failed case, not the end of the run."""
    try:
        result = suite(case)
    except VmherdError as problem:
        return Answer(name=case.name, outcome="fail", error=str(problem))
    except Exception as problem:  # noqa: BLE001 - a bug fails its case, not the run
        return Answer(name=case.name, outcome="fail", error=f"bug: {type(problem).__name__}: {problem}")
    if isinstance(result, Result):
        return Answer(name=case.name, outcome="ok", output=result.output, aux=result.aux)
    return Answer(name=case.name, outcome="ok", output=result)
