"""The command that answers conformance cases: documents and facts in, results out, nothing else touched."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from vmherd.cli.spec import FILE
from vmherd.conformance import Case, Suite, answer
from vmherd.errors import InvalidArgument


@click.command("conformance")
@click.argument("suite")
@click.option("--facts", type=FILE, help="What all cases assume of the host, as JSON.")
def conformance_command(suite: str, facts: Path | None) -> None:
    """Answer the cases of a conformance suite.

    Standard input has a JSON object per case, standard output gets one per answer.
    """
    respond = _find(suite)
    common = msgspec.json.decode(facts.read_bytes()) if facts else {}
    decoder = msgspec.json.Decoder(Case)
    for line in sys.stdin.buffer:
        case = replace(decoder.decode(line), facts=common)
        sys.stdout.buffer.write(msgspec.json.encode(answer(respond, case)) + b"\n")
        sys.stdout.buffer.flush()


def _find(name: str) -> Suite:
    suites = {point.name: point for point in entry_points(group="vmherd.conformance")}
    if name not in suites:
        known = ", ".join(sorted(suites))
        raise InvalidArgument(f"there is no conformance suite {name!r}", hint=f"there are: {known}")
    found: Suite = suites[name].load()
    return found
