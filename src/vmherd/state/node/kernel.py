"""Reading the small files in which Linux tells things: one value, one list of numbers, lines of names and values."""

from __future__ import annotations

import re
from pathlib import Path

from vmherd.util.xmlmodel import parse_cpus


def text(path: Path) -> str | None:
    """What a file says, without blanks at its ends; None where there is none, or it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None


def number(path: Path) -> int | None:
    """The number in a file; None where there is none, or one below 0, which says that it is not known."""
    found = text(path)
    return int(found) if found and found.isdecimal() else None


def numbers(path: Path) -> tuple[int, ...]:
    """The numbers of a list like "0-3,8"; none where there is no file."""
    found = text(path)
    return parse_cpus(found) if found else ()


def sizes(path: Path) -> dict[str, int]:
    """The lines "Name:  number kB" of a file, also after "Node 0", in bytes."""
    lines = re.findall(r"^(?:Node \d+ )?([\w()]+):\s+(\d+) kB", text(path) or "", re.MULTILINE)
    return {name: int(count) * 1024 for name, count in lines}
