"""The other side's errors as ours: libvirt's number chooses the class, its words are the message."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from vmherd import errors
from vmherd.errors import AlreadyExists, DocumentError, NotFound, OperationFailed, VmherdError
from vmherd.rpc.caller import Failure
from vmherd.rpc.words import without_prefix

#: Numbers that several classes have, with the one that says least.
_PLAIN: dict[int, type[VmherdError]] = {
    1: VmherdError,
    9: OperationFailed,
    42: errors.DomainNotFound,
}
#: VIR_ERR_NO_*: what is missing is no domain.
_MISSING = frozenset({43, 49, 50, 53, 57, 62, 66, 72, 80, 101, 103, 104, 107})
_TAKEN = ("already exists", "exists already", "already defined")


def raised(failure: Failure) -> VmherdError:
    """The exception of an error reply."""
    message, hint = _parted(failure)
    if failure.code == OperationFailed.code and any(words in message for words in _TAKEN):
        return AlreadyExists(message, hint=hint)
    kind = _named().get((failure.kind, failure.code)) or _classes().get(failure.code) or _made(failure.code)
    problem = kind.__new__(kind, message)
    # Some classes make their message of other things, which are not known here: they are in it already.
    VmherdError.__init__(problem, message, hint=hint)
    if isinstance(problem, DocumentError):
        problem.problem, problem.place, problem.line, problem.parts = message, "", 0, ()
    elif isinstance(problem, errors.DomainNotFound):
        problem.key = ""
    elif isinstance(problem, errors.NotSupported):
        problem.operation = problem.driver = ""
    return problem


def _parted(failure: Failure) -> tuple[str, str]:
    """What went wrong and what to do about it, which a vmherd also tells apart."""
    if not failure.kind:
        return failure.message, ""
    message = without_prefix(failure.code, failure.message)
    return message.removesuffix(f" ({failure.hint})") if failure.hint else message, failure.hint


@cache
def _named() -> dict[tuple[str, int], type[VmherdError]]:
    """Classes by name and number: several share a number, and a vmherd tells which it was."""
    return {(kind.__name__, kind.code): kind for kind in _tree(VmherdError)}


@cache
def _classes() -> dict[int, type[VmherdError]]:
    found: dict[int, type[VmherdError]] = {}
    for kind in _tree(VmherdError):
        found.setdefault(kind.code, kind)
    return found | _PLAIN


def _tree(kind: type[VmherdError]) -> Iterator[type[VmherdError]]:
    """A class and those derived from it in errors.py."""
    yield kind
    for derived in kind.__subclasses__():
        if derived.__module__ == errors.__name__:
            yield from _tree(derived)


@cache
def _made(code: int) -> type[VmherdError]:
    """A class for a number that has none, so that whoever tells it on tells the same number."""
    base = NotFound if code in _MISSING else VmherdError
    return type("RemoteError", (base,), {"code": code, "__doc__": "What another host said."})
