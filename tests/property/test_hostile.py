"""Whatever comes in, a document or one of vmherd's errors comes out, soon: for good documents made bad."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from random import Random

import pytest
from corpus import DOCUMENTS, HOSTILE
from hypothesis import given, settings
from hypothesis import strategies as st
from judge import judge
from mutations import mutate
from strategies import guests

seeds = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: path.stem)
def test_what_broke_something_once_does_so_no_more(path: Path) -> None:
    judge(path.read_bytes())


@given(text=st.sampled_from(DOCUMENTS), seed=seeds, most=st.sampled_from([1, 3, 12]))
@settings(max_examples=200, deadline=None)
def test_a_changed_document_is_judged(text: str, seed: int, most: int) -> None:
    judge(mutate(text, Random(seed), most).encode())


@given(text=guests())
@settings(max_examples=40, deadline=None)
def test_a_document_of_odd_values_is_judged(text: str) -> None:
    judge(text.encode())


@given(text=st.sampled_from(DOCUMENTS), changes=st.lists(st.tuples(seeds, st.binary(max_size=3)), max_size=4))
@settings(max_examples=100, deadline=None)
def test_a_document_with_damaged_bytes_is_judged(text: str, changes: list[tuple[int, bytes]]) -> None:
    data = text.encode()
    for seed, patch in changes:
        place = seed % len(data)
        data = data[:place] + patch + data[place + len(patch) :]
    judge(data)


@pytest.mark.skipif(find_spec("atheris") is None, reason="there is no atheris for this Python or machine")
@pytest.mark.skipif(not os.environ.get("VMHERD_FUZZ"), reason="takes its time: ./x test --fuzz")
def test_nothing_is_found_by_following_the_code(share: float, tmp_path: Path) -> None:
    """Lets atheris change documents so that they reach code that none reached before."""
    for number, text in enumerate(DOCUMENTS):
        (tmp_path / f"{number}.xml").write_text(text)
    program = Path(__file__).parent / "guided.py"
    options = [f"-max_total_time={share:.0f}", f"-artifact_prefix={tmp_path}/", "-verbosity=0"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    argv = [sys.executable, program, *options, tmp_path]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment)
    found = [path.read_text(errors="replace") for path in tmp_path.glob("*-*")]
    assert done.returncode == 0, "\n".join([*found, done.stdout[-3000:], done.stderr[-3000:]])
