"""Output for people: tables that fit the terminal, lists of facts, sizes and times; and JSON for programs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from vmherd.driver.types import State

if TYPE_CHECKING:
    from rich.console import Console

#: Columns where nobody has a width to fit: a file, a pipe.
_UNBOUNDED = 10_000

_COLOURS = {
    State.RUNNING: "green",
    State.PAUSED: "yellow",
    State.PMSUSPENDED: "yellow",
    State.SHUTDOWN: "yellow",
    State.CRASHED: "red",
    State.SHUTOFF: "bright_black",
}


def console() -> Console:
    """A rich console for standard output: colour and the terminal's width only where it is one."""
    from rich.console import Console

    return Console(highlight=False, markup=False, soft_wrap=False, width=None if sys.stdout.isatty() else _UNBOUNDED)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, colours: Sequence[str] = ()) -> None:
    """A table with one row per thing.

    What does not fit the terminal is cut with an ellipsis, never wrapped.  A column whose title begins with ">"
    is aligned right.  ``colours`` has one colour per row, for its second cell.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in columns:
        right = title.startswith(">")
        table.add_column(
            title.removeprefix(">"), justify="right" if right else "left", no_wrap=True, overflow="ellipsis"
        )
    for index, row in enumerate(rows):
        cells = [Text(cell) for cell in row]
        if colours and colours[index]:
            cells[1].stylize(colours[index])
        table.add_row(*cells)
    console().print(table)


def show_facts(facts: Iterable[tuple[str, str]]) -> None:
    """One fact per line: its name, then its value; a value of several lines stays in its column."""
    known = [(name, value) for name, value in facts if value]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        for number, line in enumerate(value.splitlines()):
            click.echo(f"{'' if number else name:{width}}  {line}")


def show_json(value: object) -> None:
    """Indented JSON; structs become objects."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def wrapped(text: str, indent: str) -> str:
    """Text as a column of its own behind ``indent``, in lines that fit the terminal; one line elsewhere."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _UNBOUNDED
    return click.wrap_text(text, width=width, initial_indent=indent, subsequent_indent=indent)


def colour(state: State) -> str:
    """The colour a state is shown in."""
    return _COLOURS.get(state, "")


def size(count: int | None) -> str:
    """Bytes as people read them, in powers of 1024; "-" where it is unknown."""
    if count is None:
        return "-"
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} TiB"


def duration(seconds: float) -> str:
    """Seconds as people read them."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{days} d {hour} h" if days else f"{hour} h {minute} min" if hour else f"{minute} min {second} s"
