"""The configuration file of LXC, as lines of ``key = value``: lxc.container.conf(5)."""

from __future__ import annotations

from vmherd.errors import DocumentError


class Settings:
    """All lines in their order; a key may come again.  It notes which were asked for, so that the rest can be told."""

    def __init__(self, text: str) -> None:
        self._lines = [_line(number, line) for number, line in enumerate(text.splitlines(), start=1) if _says(line)]
        self._read: set[str] = set()

    def all(self, *keys: str) -> list[str]:
        """The values of a key under any of its names; an empty value forgets those before it (LXC's rule for lists)."""
        found: list[str] = []
        for key, value in self._lines:
            if key in keys:
                self._read.add(key)
                found = [*found, value] if value else []
        return found

    def one(self, *keys: str) -> str | None:
        """The value of a key, by the first of its names that is there; a later line wins."""
        for key in keys:
            if found := self.all(key):
                return found[-1]
        return None

    def below(self, *prefixes: str) -> list[tuple[str, str]]:
        """The lines whose key begins with one of ``prefixes``, without it."""
        found = []
        for key, value in self._lines:
            for prefix in prefixes:
                if key.startswith(prefix):
                    self._read.add(key)
                    found.append((key.removeprefix(prefix), value))
        return found

    def unread(self) -> list[str]:
        """The lines nobody asked for."""
        return [f"{key} = {value}" for key, value in self._lines if key not in self._read]


def _says(line: str) -> bool:
    line = line.strip()
    return bool(line) and not line.startswith("#")


def _line(number: int, line: str) -> tuple[str, str]:
    key, equals, value = line.partition("=")
    if not equals or not key.strip():
        raise DocumentError(f"{line.strip()!r} is not like key = value", line=number, place="the configuration")
    return key.strip(), value.strip()
