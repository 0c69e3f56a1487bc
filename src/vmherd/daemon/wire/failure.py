"""Errors as the protocol tells them: a number, where it comes from, and the words.

Source: virNetMessageSaveError of libvirt; the numbers are virErrorNumber and virErrorDomain.
"""

from __future__ import annotations

import logging

from vmherd.errors import (
    BindingNotFound,
    Denied,
    DocumentError,
    DomainNotFound,
    FilterNotFound,
    NotSupported,
    VmherdError,
    XMLSyntaxError,
)
from vmherd.rpc import protocol
from vmherd.rpc.words import with_prefix
from vmherd.rpc.xdr import BadMessage

log = logging.getLogger("vmherd.wire")

_LEVEL_ERROR = 2
_INTERNAL = 1  # VIR_ERR_INTERNAL_ERROR

#: virErrorDomain: which part of libvirt would have raised it.
_FROM_RPC, _FROM_XML, _FROM_DOMAIN, _FROM_NWFILTER, _FROM_ACCESS = 7, 5, 20, 33, 61
_FROM_DRIVER = {"QEMU": 10, "test": 12, "LXC": 17}


def body(problem: BaseException, driver: str = "") -> bytes:
    """The content of an error reply.

    An exception that nobody raised on purpose is a mistake of ours: it goes to the log, and the client hears that
    there was one.
    """
    if not isinstance(problem, VmherdError):
        log.error("a call failed in a way it should not", exc_info=problem)
        problem = VmherdError("an internal error; the daemon's log has the details")
    text = with_prefix(problem.code, f"{problem} ({problem.hint})" if problem.hint else str(problem))
    # Beside libvirt's words, for clients of ours: what to do about it, and the kind of it.
    kind = type(problem).__name__
    values = (problem.code, _origin(problem, driver), text, _LEVEL_ERROR, None, text, problem.hint, kind, 0, 0, None)
    return protocol.program("remote").codec("error").encode(values)


def _origin(problem: VmherdError, driver: str) -> int:
    match problem:
        case BadMessage():
            return _FROM_RPC
        case XMLSyntaxError():
            return _FROM_XML
        case DocumentError():
            return _FROM_DOMAIN
        case FilterNotFound() | BindingNotFound():
            return _FROM_NWFILTER  # libvirt's client takes what is missing for a secret where another part says so
        case Denied() if problem.code == Denied.code:
            return _FROM_ACCESS
        case DomainNotFound() | NotSupported() | _:
            return _FROM_DRIVER.get(driver, 0)
