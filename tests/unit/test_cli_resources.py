"""The commands about pools, volumes and secrets, each a connection of its own to a host in a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vmherd.cli.app import run


@pytest.fixture(autouse=True)
def on_a_host_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMHERD_DEFAULT_URI", f"qemu:///embed?root={tmp_path / 'root'}")


def vmherd(*words: str) -> int:
    return run(words)


@pytest.fixture
def images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The folder of the pool "images", which has a volume "disk"."""
    folder = tmp_path / "images"
    assert vmherd("pool", "create", "images", str(folder)) == 0
    assert vmherd("volume", "create", "images/disk", "1M", "--format", "raw") == 0
    assert capsys.readouterr().out == f"pool images is active\nimages/disk has 1 MiB, at {folder}/disk\n"
    return folder


def test_a_pool_is_made_shown_stopped_and_forgotten(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vmherd("pool", "list") == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["NAME", "STATE", "TYPE", "CAPACITY", "USED", "FREE", "AUTOSTART", "PATH"]
    assert row.split()[:3] == ["images", "running", "dir"]
    assert row.split()[-2:] == ["yes", str(images)]
    assert vmherd("pool", "info", "images", "--json") == 0
    info = json.loads(capsys.readouterr().out)
    assert (info["name"], info["state"], info["persistent"]) == ("images", "running", True)
    assert vmherd("pool", "create", "images", "/elsewhere") == 4
    assert vmherd("pool", "stop", "images", "nope") == 3, "nothing is done where a name is wrong"
    assert vmherd("pool", "stop", "images") == 0
    assert vmherd("pool", "list", "--active", "--name") == 0
    assert vmherd("pool", "undefine", "images") == 0
    out = capsys.readouterr().out
    assert out == "pool images is not active any more\npool images is not defined any more\n"


def test_a_pool_that_cannot_start_is_not_left_defined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vmherd("pool", "create", "images", str(tmp_path / "missing"), "--no-build") == 5
    capsys.readouterr()
    assert vmherd("pool", "list", "--name") == 0
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("nfs netfs --source-host nas --source-path /e --target /t", "<host name='nas'/>"),
        ("vg logical --source-name vg0 --source-dev /dev/sda", "<device path='/dev/sda'/>"),
        ("hba scsi --adapter-name host3 --target /dev", "name='host3'"),
        (
            "ceph rbd --source-host mon --source-name p --auth-type ceph --auth-username a --secret-usage key",
            "<secret usage='key'/>",
        ),
    ],
)
def test_options_describe_pools(words: str, wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert vmherd("pool", "define-as", *words.split(), "--print-xml") == 0
    assert wanted in capsys.readouterr().out


def test_volumes_are_made_copied_resized_and_removed(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (images / "disk").stat().st_blocks == 0, "no room is taken before something is written"
    assert vmherd("volume", "clone", "images/disk", "copy") == 0
    assert vmherd("volume", "resize", "images/copy", "+1M") == 0
    capsys.readouterr()
    assert vmherd("vol", "list", "images", "--name") == 0
    assert capsys.readouterr().out == "images/copy\nimages/disk\n"
    for words in (("images/copy",), ("copy", "--pool", "images"), (str(images / "copy"),)):
        assert vmherd("volume", "info", *words, "--json") == 0
        assert json.loads(capsys.readouterr().out)["capacity"] == 2 << 20
    assert vmherd("volume", "delete", "images/copy") == 2
    assert "give --yes" in capsys.readouterr().err
    assert vmherd("volume", "delete", "images/copy", "--yes") == 0
    assert vmherd("volume", "path", "images/copy") == 3
    assert sorted(path.name for path in images.iterdir()) == ["disk"]


def test_volumes_are_copied_to_other_pools_and_formats(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (images / "disk").write_bytes(b"some words".ljust(1 << 20, b"\0"))
    assert vmherd("pool", "create", "shelf", str(tmp_path / "shelf")) == 0
    assert vmherd("volume", "clone", "images/disk", "shelf/copy") == 0
    assert (tmp_path / "shelf" / "copy").read_bytes() == (images / "disk").read_bytes()
    document = tmp_path / "volume.xml"
    document.write_text("<volume><name>other</name><capacity unit='MiB'>1</capacity></volume>")
    assert vmherd("volume", "create-from", "shelf", str(document), "images/disk") == 0
    assert (tmp_path / "shelf" / "other").read_bytes()[:10] == b"some words"
    assert vmherd("volume", "create-from", "shelf", str(document), "images/nope") == 3


def test_volumes_are_filled_from_files_and_copied_to_some(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, back = tmp_path / "words", tmp_path / "back"
    with words.open("wb") as file:
        file.write(b"some words")
        file.truncate(1 << 20)
    assert vmherd("volume", "upload", "images/disk", str(words)) == 0
    assert (images / "disk").read_bytes() == words.read_bytes()
    assert vmherd("volume", "download", "images/disk", str(back)) == 0
    assert back.read_bytes() == words.read_bytes()
    assert back.stat().st_blocks < 64, "a hole stays one"
    assert vmherd("volume", "download", "images/disk", str(back)) == 4
    assert vmherd("volume", "download", "images/disk", f"{back}2", "--offset", "5B", "--length", "5B") == 0
    assert (tmp_path / "back2").read_bytes() == b"words"
    assert vmherd("volume", "wipe", "images/disk", "--yes") == 0
    assert not any((images / "disk").read_bytes())
    capsys.readouterr()
    assert vmherd("volume", "job", "images/disk") == 0
    assert capsys.readouterr().out == "nothing is done to images/disk\n"
    assert vmherd("volume", "job", "images/disk", "--abort") == 4


def test_a_mistake_says_what_to_do(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, code, said in (
        (("volume", "info", "disk"), 2, "write POOL/disk, or add --pool"),
        (("volume", "create", "images/new"), 2, "say how large"),
        (("volume", "create", "images/disk", "1M", "--format", "raw"), 4, "exists"),
        (("pool", "info", "nope"), 3, "'vmherd pool list'"),
        (("pool", "define-as", "x", "shelf"), 2, "it may be dir"),
        (("secret", "get-value", "nope"), 3, "nope"),
    ):
        assert vmherd(*words) == code, words
        assert said in capsys.readouterr().err, words


def test_secrets_are_made_set_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vmherd("secret", "create", "disk1") == 0
    uuid = capsys.readouterr().out.strip()
    word = tmp_path / "word"
    word.write_bytes(b"open sesame")
    assert vmherd("secret", "set-value", uuid, "--file", str(word), "--plain") == 0
    capsys.readouterr()
    assert vmherd("secret", "get-value", "disk1") == 0
    assert capsys.readouterr().out == "b3BlbiBzZXNhbWU=\n"
    assert vmherd("secret", "list", "--json") == 0
    (info,) = json.loads(capsys.readouterr().out)
    assert (info["uuid"], info["usage_type"], info["usage_id"]) == (uuid, "volume", "disk1")
    assert vmherd("secret", "set-value", uuid, "not base64") == 2
    assert vmherd("secret", "undefine", uuid) == 0
    assert vmherd("secret", "dumpxml", uuid) == 3


def test_the_shell_completes_pools_and_volumes(images: Path) -> None:
    def completed(line: str) -> list[str]:
        environment = os.environ | {
            "_VMHERD_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(line.count(" ")),
        }
        program = Path(sys.executable).parent / "vmherd"
        done = subprocess.run([program], env=environment, capture_output=True, text=True)
        return [each.partition(",")[2] for each in done.stdout.splitlines()]

    assert completed("vmherd pool sto") == ["stop"]
    assert completed("vmherd pool stop i") == ["images"]
    assert completed("vmherd volume info images/d") == ["images/disk"]


def test_filters_and_devices_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert vmherd("nwfilter", "list", "--json") == 0
    assert "clean-traffic" in [each["name"] for each in json.loads(capsys.readouterr().out)]
    assert vmherd("nwfilter", "dumpxml", "no-mac-spoofing") == 0
    assert "<filter name='no-mac-spoofing'" in capsys.readouterr().out
    assert vmherd("nwfilter", "binding", "list", "--json") == 0
    assert vmherd("nwfilter", "undefine", "nope") == 3
    capsys.readouterr()
    assert vmherd("device", "info", "computer", "--json") == 0
    assert json.loads(capsys.readouterr().out)["capabilities"] == ["system"]
    assert vmherd("device", "list", "--tree") == 0
    assert capsys.readouterr().out.splitlines()[0] == "computer"
    assert vmherd("interface", "dumpxml", "lo") == 0
    assert "<interface type='ethernet' name='lo'>" in capsys.readouterr().out
