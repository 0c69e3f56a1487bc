"""The arguments that QEMU would start a device with, as commands of its monitor: what makes it, and what unmakes it.

So that a device that is plugged in equals one that was there from the start, both come from ``command/``.  Descriptors
that a start would hand down go through the monitor's socket: QEMU keeps one under a name (getfd) until a command takes
it, or in a set (add-fd) until the set is removed.  Source: QEMU's qapi/misc.json, qdev.json, qom.json, net.json
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vmherd.errors import NotResponding, OperationUnsupported
from vmherd.hypervisors.qemu.hotplug import lines
from vmherd.hypervisors.qemu.monitor import Monitor, Refused

_FOLDER = re.compile(r"/proc/self/fd/(\d+)/")
#: Properties that name descriptors by their numbers.
_DESCRIPTORS = ("fd", "fds", "vhostfd", "vhostfds")


@dataclass(frozen=True)
class Order:
    """A command, the one that takes it back, and the descriptor that goes with it."""

    command: str
    arguments: dict[str, Any]
    undo: tuple[str, dict[str, Any]] | None = None
    fd: int | None = None


def orders(argv: Sequence[str], owned: Collection[int], owner: str) -> Iterator[Order]:
    """The commands for pairs of option and value.

    ``owned`` are the descriptors that QEMU would inherit; those that nothing refers to are held for the device with
    the alias ``owner``, as locks are.
    """
    made = [_order(option, value) for option, value in zip(argv[::2], argv[1::2], strict=True)]
    handed: set[int] = set()
    for order in made:
        if order.fd is not None:
            handed.add(order.fd)
        for number in _named(order, owned):
            handed.add(number)
            name = {"fdname": _name(number)}
            yield Order("getfd", name, ("closefd", name), number)
        for number in _folders(order, owned):
            handed.add(number)
            yield _held(number, f"{owner}-folder")
        yield _renamed(order, owned)
    for number in sorted(set(owned) - handed):
        yield _held(number, f"{owner}-lock")


def _held(number: int, label: str) -> Order:
    return Order("add-fd", {"opaque": label}, None, number)


def _order(option: str, value: str) -> Order:
    make = _OPTIONS.get(option)
    if make is None:
        raise OperationUnsupported(f"QEMU takes {option!r} when it starts only", hint="change the definition")
    return make(value)


def _json(add: str, remove: str, key: str) -> Callable[[str], Order]:
    """For options whose value is what the command takes."""

    def make(value: str) -> Order:
        found: dict[str, Any] = json.loads(value)
        name = "node-name" if key == "node-name" else "id"
        return Order(add, found, (remove, {key: found[name]}))

    return make


def _chardev(value: str) -> Order:
    found = lines.arguments(value)
    return Order("chardev-add", found, ("chardev-remove", {"id": found["id"]}))


def _passed(value: str) -> Order:
    words = dict(word.split("=", 1) for word in value.split(","))
    number = int(words["set"])
    return Order("add-fd", {"fdset-id": number, "opaque": words["opaque"]}, None, int(words["fd"]))


def _watchdog_action(value: str) -> Order:
    return Order("watchdog-set-action", {"action": value})


_OPTIONS: dict[str, Callable[[str], Order]] = {
    "-object": _json("object-add", "object-del", "id"),
    "-blockdev": _json("blockdev-add", "blockdev-del", "node-name"),
    "-netdev": _json("netdev_add", "netdev_del", "id"),
    "-device": _json("device_add", "device_del", "id"),
    "-chardev": _chardev,
    "-add-fd": _passed,
    "-watchdog-action": _watchdog_action,
}


def _name(number: int) -> str:
    return f"hotplug-{number}"


def _lists(order: Order) -> Iterator[tuple[dict[str, Any], str]]:
    """Where an order names descriptors by their numbers."""
    if order.command == "chardev-add":
        address = order.arguments["backend"]["data"].get("addr", {})
        if address.get("type") == "fd":
            yield address["data"], "str"
        return
    if order.command in ("netdev_add", "device_add"):
        yield from ((order.arguments, name) for name in _DESCRIPTORS if name in order.arguments)


def _named(order: Order, owned: Collection[int]) -> list[int]:
    found = [int(number) for place, name in _lists(order) for number in str(place[name]).split(":")]
    return [number for number in found if number in owned]


def _renamed(order: Order, owned: Collection[int]) -> Order:
    """The order with names for descriptors in place of numbers, which are ours and not QEMU's."""
    if not _named(order, owned):
        return order
    copy = Order(order.command, json.loads(json.dumps(order.arguments)), order.undo, order.fd)
    for place, name in _lists(copy):
        place[name] = ":".join(_name(int(number)) for number in str(place[name]).split(":"))
    return copy


def _folders(order: Order, owned: Collection[int]) -> list[int]:
    """Descriptors of folders that lead to sockets deep down."""
    found = {int(number) for number in _FOLDER.findall(json.dumps(order.arguments))}
    return sorted(found & set(owned))


class Executor:
    """Carries orders out; knows the number that QEMU has for a descriptor of ours, and the set it is in.

    ``lost`` says that QEMU does not answer, so that nobody can tell what it has done.
    """

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self.lost = False
        self._numbers: dict[str, str] = {}
        self._sets: dict[int | None, int] = {}

    async def run(self, order: Order) -> None:
        """Raises Refused with QEMU's reason, NotResponding."""
        text = _FOLDER.sub(lambda found: f"/proc/self/fd/{self._numbers.get(found[1], found[1])}/", _dump(order))
        try:
            answer = await self._monitor.execute(order.command, json.loads(text), fd=order.fd)
        except NotResponding:
            self.lost = True
            raise
        if order.command == "add-fd":
            self._numbers[str(order.fd)] = str(answer["fd"])
            self._sets[order.fd] = answer["fdset-id"]

    async def take_back(self, order: Order) -> None:
        """Undo one; what QEMU has taken or removed already is no loss."""
        undo = order.undo
        if order.command == "add-fd" and order.fd in self._sets:
            undo = ("remove-fd", {"fdset-id": self._sets[order.fd]})
        if undo is None:
            return
        try:
            await self._monitor.execute(*undo)
        except Refused:
            return


def _dump(order: Order) -> str:
    return json.dumps(order.arguments)
