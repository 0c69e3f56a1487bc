"""The programs, procedures and types of the protocol, read from ``tables/``; codecs are made when first used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, cached_property
from importlib import resources

import msgspec

from vmherd.rpc import xdr
from vmherd.rpc.xdr import Codec

_SCALARS = {
    "int": "i",
    "uint": "I",
    "hyper": "q",
    "uhyper": "Q",
    "double": "d",
    # XDR knows nothing smaller than four bytes.
    "char": "i",
    "uchar": "I",
    "short": "i",
    "ushort": "I",
}
_TYPE = re.compile(r"(?P<name>\w+)(?:\[(?P<fixed>\d+)\]|<(?P<most>\d+)>)?(?P<optional>\??)")

#: Types whose values are few and sent often.
_REMEMBERED = ("nonnull_domain",)


class Procedure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a table.

    ``acl`` are the permissions a call needs, ``filters`` those that an object must grant to be listed, both as
    the table writes them.  ``high`` calls never wait for a guest.
    """

    program: Program
    number: int
    name: str
    args: str | None
    ret: str | None
    event: bool = False
    high: bool = False
    readstream: bool = False
    writestream: bool = False
    acl: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()

    @property
    def arguments(self) -> Codec | None:
        """The codec of the arguments, or of what an event tells; None where there are none."""
        return self.program.codec(self.args) if self.args else None

    @property
    def result(self) -> Codec | None:
        return self.program.codec(self.ret) if self.ret else None

    def fields(self) -> list[str]:
        """The names of the arguments."""
        return self.program.fields(self.args) if self.args else []


class Program:
    """One program of the protocol, such as "remote"."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = self.version = 0
        self._types: dict[str, list[str]] = {}
        self._codecs: dict[str, Codec] = {}
        self._lines: list[list[str]] = []
        for words in _lines(name):
            match words[0]:
                case "program":
                    self.number, self.version = int(words[2], 16), int(words[3])
                case "call" | "event":
                    self._lines.append(words)
                case _:
                    self._types[words[1]] = words

    @cached_property
    def procedures(self) -> dict[int, Procedure]:
        """Every procedure by its number."""
        return {int(words[1]): self._procedure(words) for words in self._lines}

    @cached_property
    def by_name(self) -> dict[str, Procedure]:
        return {procedure.name: procedure for procedure in self.procedures.values()}

    def _procedure(self, words: list[str]) -> Procedure:
        kind, number, name, args, ret, *marks = words
        lists = {key: tuple(value.split(",")) for key, _, value in (mark.partition("=") for mark in marks)}
        return Procedure(
            program=self,
            number=int(number),
            name=name,
            args=None if args == "-" else args,
            ret=None if ret == "-" else ret,
            event=kind == "event",
            high="high" in marks,
            readstream="readstream" in marks,
            writestream="writestream" in marks,
            acl=lists.get("acl", ()),
            filters=lists.get("filter", ()),
        )

    def fields(self, struct: str) -> list[str]:
        """The names of a structure's fields."""
        return [field.partition(":")[0] for field in self._types[struct][2:]]

    def codec(self, name: str) -> Codec:
        """The codec of a type that the table of this program, or of the remote one, defines."""
        known = self._codecs.get(name)
        if known is None:
            known = self._codecs[name] = self._make(name)
        return known

    def _make(self, name: str) -> Codec:
        if letter := _SCALARS.get(name):
            return xdr.scalar(letter)
        if name == "uuid":
            return xdr.UUID
        if name not in self._types:
            return program("remote").codec(name)
        kind, _, *rest = self._types[name]
        match kind:
            case "typedef":
                return self._expression(rest[0])
            case "enum":
                return self.codec("int")
            case "union":
                raise TypeError(f"{name} is written and read with what it is part of")
        if name == "typed_param":
            return xdr.typed_param(dict(self._union("typed_param_value")), self.codec("nonnull_string"))
        fields = [field.split(":") for field in rest]
        made = xdr.structure(name, [(field, self._expression(kind)) for field, kind in fields])
        return xdr.remembered(made) if name in _REMEMBERED else made

    def _union(self, name: str) -> Iterator[tuple[int, Codec]]:
        for arm in self._types[name][3:]:
            value, _, kind = arm.partition("=")
            yield int(value), self._expression(kind)

    def _expression(self, text: str) -> Codec:
        found = _TYPE.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} in the table of {self.name}")
        made = self._sized(found["name"], found["fixed"], found["most"])
        return xdr.optional(made) if found["optional"] else made

    def _sized(self, name: str, fixed: str | None, most: str | None) -> Codec:
        match name, fixed, most:
            case "opaque", str(), _:
                return xdr.opaque(int(fixed))
            case "char", str(), _:
                return xdr.padded_text(int(fixed))
            case "opaque", _, str():
                return xdr.variable_opaque(int(most))
            case "text", _, str():
                return xdr.text(int(most))
            case _, _, str():
                return xdr.array(self.codec(name), int(most))
        return self.codec(name)


def _lines(name: str) -> Iterator[list[str]]:
    for line in (resources.files("vmherd.rpc") / "tables" / f"{name}.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            yield line.split()


@cache
def program(name: str) -> Program:
    """The program of that name: remote, qemu, lxc, admin."""
    return Program(name)


#: What a message of type STREAM_HOLE says: how many bytes are nothing but zeros, and flags.
HOLE = xdr.structure("hole", [("length", xdr.scalar("q")), ("flags", xdr.scalar("I"))])
