"""Which function answers which procedure.

A handler is a function with the procedure's name, in a module of ``handlers/``: it takes the call and the procedure's
arguments in their order, and returns the result's fields: a tuple, the value itself where there is one field, or None
where there is none.  A plain function answers at once; a coroutine becomes a task of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from functools import cached_property
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, NoReturn

from vmherd.daemon.access import Rule, known_names
from vmherd.errors import VmherdError
from vmherd.rpc import protocol
from vmherd.rpc.protocol import Procedure, Program
from vmherd.rpc.xdr import BadMessage, Codec

if TYPE_CHECKING:
    from vmherd.daemon.wire.client import Call

Function = Callable[..., Any]


class NotImplementedHere(VmherdError):
    """No driver implements the procedure."""

    code = 3  # VIR_ERR_NO_SUPPORT


class Handler:
    """A procedure with the function that answers it."""

    def __init__(self, procedure: Procedure, function: Function, *, early: bool = False) -> None:
        self.procedure = procedure
        self.function = function
        #: Whether it may be called before a connection is open.
        self.early = early
        self.waits = iscoroutinefunction(function)

    # There are hundreds, of which a client calls a few: what it takes to answer is made at the first call.

    @cached_property
    def rule(self) -> Rule:
        """What a client must be allowed to call it."""
        return known_names().rule(self.procedure)

    @cached_property
    def _arguments(self) -> Codec | None:
        return self.procedure.arguments

    @cached_property
    def _result(self) -> Codec | None:
        return self.procedure.result

    @cached_property
    def _single(self) -> bool:
        return bool(self.procedure.ret) and len(self.procedure.program.fields(str(self.procedure.ret))) == 1

    def decode(self, body: bytes) -> Sequence[Any]:
        """The arguments.  Raises BadMessage for bytes that are not these."""
        if self._arguments is None:
            values, end = (), 0
        else:
            values, end = self._arguments.decode(body, 0)
        if end != len(body):
            raise BadMessage(f"{len(body) - end} bytes too many after the arguments of {self.procedure.name}")
        return values

    async def answer(self, call: Call, arguments: Sequence[Any]) -> Any:
        """The result, whichever kind of function gives it."""
        result = self.function(call, *arguments)
        return await result if self.waits else result

    def encode(self, result: Any) -> bytes:
        """The content of the reply."""
        if self._result is None:
            return b""
        return self._result.encode((result,) if self._single else result)


#: The programs that clients of guests call, by their numbers: libvirt's, and one of our own.
PROGRAMS = frozenset(protocol.program(name).number for name in ("remote", "qemu", "lxc", "vmherd"))

_handlers: dict[tuple[int, int], Handler] = {}
#: Every program there is, also those of which nothing is answered but that it is not supported.
_programs = {each.number: each for each in map(protocol.program, ("remote", "qemu", "lxc", "vmherd", "admin"))}


def answers(program: str, *, early: bool = False) -> Callable[[Function], Function]:
    """Make a function the handler of the procedure of its name."""
    owner = protocol.program(program)

    def register(function: Function) -> Function:
        procedure = owner.by_name[function.__name__]
        if (owner.number, procedure.number) in _handlers:
            raise TypeError(f"{procedure.name} has two handlers")
        _handlers[owner.number, procedure.number] = Handler(procedure, function, early=early)
        return function

    return register


remote = answers("remote")
before_open = answers("remote", early=True)


def find(program: int, version: int, procedure: int, offered: Container[int]) -> Handler:
    """The handler of a procedure.  Raises BadMessage for one that does not exist, in libvirt's words.

    ``offered`` are the programs that there are for this client.
    """
    known = _programs.get(program) if program in offered else None
    if known is None or known.version != version:
        raise BadMessage(f"Cannot find program {program} version {version}")
    handler = _handlers.get((program, procedure))
    if handler is None:
        handler = _handlers[program, procedure] = Handler(_existing(known, procedure), _refuse)
    return handler


def answered() -> set[tuple[str, str]]:
    """The procedures that have a handler of their own, as pairs of a program and a name."""
    found = (handler for handler in _handlers.values() if handler.function is not _refuse)
    return {(handler.procedure.program.name, handler.procedure.name) for handler in found}


def _existing(program: Program, number: int) -> Procedure:
    procedure = program.procedures.get(number)
    if procedure is None or procedure.event:
        raise BadMessage(f"unknown procedure: {number}")
    return procedure


def _refuse(call: Call, *_: object) -> NoReturn:
    words = call.procedure.name.split("_")
    if call.procedure.program.name in _OWN_WORD:  # virDomainQemuAttach, virDomainLxcOpenNamespace
        words.insert(1, call.procedure.program.name)
    name = "".join(word.capitalize() for word in words)
    raise NotImplementedHere(f"this function is not supported by the connection driver: vir{name}")


#: The programs whose functions have the program in their name.
_OWN_WORD = ("qemu", "lxc")
