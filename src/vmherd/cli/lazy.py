"""Groups of commands that import a command when it is used, and not to show its help."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click


class Entry(NamedTuple):
    """Where a subcommand is: ``NAME_command`` in the module; and its line in the help."""

    module: str
    summary: str


class LazyGroup(click.Group):
    """``sections`` are its commands by title, "" for those of a group that needs none.

    ``aliases`` are other words for commands, which the help does not show.
    """

    def __init__(
        self,
        *args: Any,
        sections: Mapping[str, Mapping[str, Entry]],
        aliases: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.sections = sections
        self.aliases = aliases or {}
        self._entries = {name: entry for section in sections.values() for name, entry in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = self.aliases.get(cmd_name, cmd_name)
        return self.load(name) if name in self._entries else None

    def load(self, name: str) -> click.Command:
        """Import a subcommand."""
        module = import_module(f"vmherd.cli.{self._entries[name].module}")
        found = getattr(module, f"{name.replace('-', '_')}_command")
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as problem:
            close = self._meant(args[0])
            if close and not ctx.resilient_parsing:
                raise click.UsageError(f"{problem.message} Did you mean {close!r}?", ctx) from None
            raise

    def _meant(self, word: str) -> str:
        """What somebody may have meant: a word like theirs, or virsh's "pool-list" here in two words."""
        from difflib import get_close_matches

        family, _, rest = word.partition("-")
        family = _VIRSH.get(family, family)
        if rest and family in self._entries and isinstance(self.load(family), click.Group):
            return f"{family} {rest}"
        return next(iter(get_close_matches(word, self._entries, n=1)), "")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in self.sections.items():
            with formatter.section(title or "Commands"):
                formatter.write_dl([(name, entry.summary) for name, entry in section.items()])


#: The first halves of virsh's words, where they are others than here.
_VIRSH = {"net": "network", "vol": "volume", "iface": "interface", "nodedev": "device"}
