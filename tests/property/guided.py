"""Fuzzing that follows the code: python guided.py [OPTION OF LIBFUZZER...] FOLDER OF DOCUMENTS

Half of the changes are such that a document stays one, the others change bytes.
"""

from __future__ import annotations

import sys
from random import Random

import atheris
from lxml import etree

with atheris.instrument_imports(include=["vmherd"], enable_loader_override=False):
    from judge import judge
from mutations import mutate

#: Seconds; instrumented code takes some times longer.
_PATIENCE = 5


def change(data: bytes, size: int, seed: int) -> bytes:
    source = Random(seed)
    if source.random() < 0.5:
        try:
            return mutate(data.decode(), source, 3).encode()[:size]
        except (UnicodeDecodeError, etree.XMLSyntaxError):
            pass  # bytes were damaged before
    return bytes(atheris.Mutate(data, size))


def main() -> None:
    limits = ["-timeout=20", "-rss_limit_mb=3000", "-max_len=60000"]
    atheris.Setup([*sys.argv, *limits], lambda data: judge(data, seconds=_PATIENCE), custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
