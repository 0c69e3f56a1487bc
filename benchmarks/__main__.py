"""How fast vmherd is: ``./x bench [NAME...] [--json]``; where the time goes: ``./x bench profile``.

Each benchmark gives figures beside what it is measured against; the ratio is what counts, since machines differ.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys

from benchmarks import hotspots
from benchmarks.figure import TITLES, Figure, failed
from vmherd.cli.table import show_json, show_table
from vmherd.errors import VmherdError

NAMES = ("documents", "machines", "cli", "start", "counters", "wire", "storage", "networks")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./x bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(NAMES)}  [default: all]; or: profile")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON")
    chosen = parser.parse_args()
    if chosen.names == ["profile"]:
        hotspots.show()
        return 0
    if unknown := set(chosen.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    for name in chosen.names or NAMES:
        print(f"measuring {name} ...", file=sys.stderr)
        figures += _measured(name)
    if chosen.as_json:
        show_json(figures)
    else:
        show_table(TITLES, [each.cells() for each in figures])
    return 0 if all(each.reached is not False for each in figures) else 1


def _measured(name: str) -> list[Figure]:
    """The figures of one benchmark; one that cannot be made does not stop the others."""
    try:
        return importlib.import_module(f"benchmarks.{name}").measure()  # type: ignore[no-any-return]
    except (OSError, subprocess.SubprocessError, VmherdError) as problem:
        return [failed(name, str(problem))]


if __name__ == "__main__":
    sys.exit(main())
