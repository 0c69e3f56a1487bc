"""The settings of the daemon."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vmherd.daemon.config import Config, documented_defaults, load, parse
from vmherd.errors import HostError, InvalidArgument


def test_the_documented_file_says_the_defaults() -> None:
    text = documented_defaults()
    assert parse(text) == Config()
    settings = re.sub(r"(?m)^#(?=[\w\"\[])", "", text)
    example = parse(settings)
    # Examples stand where a default is empty.
    assert parse(settings) == Config(idle_exit=0, log=example.log, access=example.access)
    assert example.access.grants[0].domains[0] == "test-*"


def test_every_setting_is_documented() -> None:
    text = documented_defaults()
    for table in (
        Config(),
        Config().sockets,
        Config().tcp,
        Config().tls,
        Config().limits,
        Config().log,
        Config().access,
    ):
        for name in table.__struct_fields__:
            assert re.search(rf"(?m)^#?\[*([\w.]+\.)?{name}\b", text), name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "x: no such setting"),
        ("[limits]\nclient = 2", "limits.client: no such setting"),
        ("[limits]\nclients = 0", "limits.clients: Expected `int` >= 1"),
        ('[limits]\nclients = "many"', "limits.clients: Expected `int`, got `str`"),
        ("limits = 3", "limits: Expected `object`, got `int`"),
        ('[tcp]\nlisten = ["somewhere"]', "tcp.listen[0]: not of the form"),
        ('[log]\nlevel = "loud"', "log.level: Invalid enum value 'loud'"),
        ('[log]\noutputs = ["printer"]', "log.outputs[0]: not of the form"),
        ('[[access.grants]]\nusers = ["a"]', "access.grants[0]: Object missing required field `role`"),
        ("uri =", "not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(said)):
        parse(text)


def test_a_mistyped_setting_gets_the_right_one_suggested(tmp_path: Path) -> None:
    path = tmp_path / "daemon.toml"
    path.write_text('[[access.grants]]\nrole = "viewer"\nuser = ["a"]')
    with pytest.raises(HostError, match=re.escape(str(path))) as caught:
        load(path)
    assert caught.value.hint == "did you mean access.grants.users?"


def test_a_missing_file_means_the_defaults_unless_somebody_named_it(tmp_path: Path) -> None:
    assert load(tmp_path / "none.toml") == Config()
    with pytest.raises(HostError, match="there is no"):
        load(tmp_path / "none.toml", required=True)
