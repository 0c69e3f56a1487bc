"""``vmherd validate``: everything that is wrong with a document, with lines and advice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vmherd.cli.app import run
from vmherd.conf.documents import KNOWN
from vmherd.conf.inspection import Finding, Inspection

DATA = Path(__file__).parent.parent / "data"

HEAD = """<domain type='test'>
  <name>web</name>
  <memory>65536</memory>
  <os><type>hvm</type></os>
"""


def found(text: str) -> list[tuple[str, int, str]]:
    return [(str(each.severity), each.line, each.place) for each in Inspection(text).findings]


def only(text: str) -> Finding:
    (finding,) = Inspection(text).findings
    return finding


def test_every_bad_value_is_told_with_its_line_not_just_the_first() -> None:
    text = HEAD + (
        "  <vcpu>many</vcpu>\n"
        "  <devices>\n"
        "    <disk type='fil'><target dev='vda'/></disk>\n"
        "    <disk><target bus='virtio'/></disk>\n"
        "    <serial type='pty'><target port='-1'/></serial>\n"
        "  </devices>\n"
        "</domain>\n"
    )
    assert found(text) == [
        ("error", 5, "domain/vcpu"),
        ("error", 7, "domain/devices/disk[1]/@type"),
        ("error", 8, "domain/devices/disk[2]/target"),
        ("error", 9, "domain/devices/serial/target/@port"),
    ]


def test_what_nobody_reads_is_a_warning_with_the_likely_name() -> None:
    disk = "<disk><source file='/a'/><targt/><target dev='vda' buss='ide'/></disk>"
    text = f"{HEAD}  <devices>{disk}</devices>\n  <xyz/>\n</domain>"
    assert found(text) == [
        ("warning", 5, "domain/devices/disk/targt"),
        ("warning", 5, "domain/devices/disk/target/@buss"),
        ("warning", 6, "domain/xyz"),
    ]
    assert "did you mean 'target'?" in Inspection(text).findings[0].hint
    assert "did you mean 'bus'?" in Inspection(text).findings[1].hint


def test_a_rule_broken_by_a_device_names_its_place_in_the_text_though_completion_sorts_devices() -> None:
    text = HEAD + (
        "  <devices>\n"
        "    <disk device='lun'><target dev='sdb' bus='scsi'/></disk>\n"
        "    <disk><source file='/a'/><target dev='sda' bus='scsi'/></disk>\n"
        "  </devices>\n"
        "</domain>\n"
    )
    assert found(text) == [("error", 6, "domain/devices/disk[1]/@device")]


def test_what_is_missing_is_told_where_it_should_be() -> None:
    text = HEAD + "  <devices>\n    <disk type='network'>\n      <target dev='vda'/></disk></devices></domain>"
    assert found(text) == [("error", 6, "domain/devices/disk[1]/source")]


@pytest.mark.parametrize(
    ("text", "line", "words", "hint"),
    [
        ("<domain>\n<name></domain>", 2, "mismatch", ""),
        ("", 1, "empty", ""),
        ("<domian/>", 0, "no document that vmherd knows", "<domain>"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><domain/>", 0, "DOCTYPE", ""),
    ],
)
def test_what_is_no_document_at_all_is_one_error(text: str, line: int, words: str, hint: str) -> None:
    finding = only(text)
    assert words in finding.text
    assert hint in finding.hint
    assert finding.line == line


@pytest.mark.parametrize("kind", KNOWN)
def test_every_kind_of_document_is_known_by_its_root(kind: str) -> None:
    assert Inspection(f"<{kind}/>").kind == kind
    assert not any("knows" in each.text for each in Inspection(f"<{kind}/>").findings)


class TestCommand:
    def test_it_tells_findings_and_fails(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        good, bad = tmp_path / "good.xml", tmp_path / "bad.xml"
        good.write_text(HEAD + "</domain>")
        bad.write_text(HEAD + "<vcpu>0</vcpu>\n<clok/></domain>")
        assert run(["validate", str(good), str(bad)]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == f"{good}: a good domain document"
        assert lines[1] == f"{bad}:5: error: domain/vcpu: the guest has no CPU"
        assert lines[2].startswith("    hint: ")
        assert lines[3].startswith(f"{bad}:6: warning: domain/clok: ")

    def test_warnings_are_no_failure(self, tmp_path: Path) -> None:
        path = tmp_path / "a.xml"
        path.write_text(HEAD + "<clok/></domain>")
        assert run(["validate", str(path)]) == 0

    def test_a_driver_has_its_say_and_keeps_nothing(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "a.xml"
        path.write_text(HEAD.replace("test", "kvm") + "</domain>")
        assert run(["validate", str(path)]) == 0
        assert run(["validate", "-c", "test:///default", str(path)]) == 1
        assert f"{path}:1: error: domain/@type: the test driver cannot run" in capsys.readouterr().out

    def test_programs_get_json(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "a.xml"
        path.write_text(HEAD + "<vcpu>x</vcpu></domain>")
        assert run(["validate", "--json", str(path)]) == 1
        (told,) = json.loads(capsys.readouterr().out)
        assert (told["kind"], told["valid"]) == ("domain", False)
        assert told["findings"][0] == {
            "severity": "error",
            "line": 5,
            "place": "domain/vcpu",
            "text": "'x' is not a whole number",
            "hint": "",
        }


def test_a_text_that_is_nothing_but_mistakes_is_told_of_soon_and_not_in_full() -> None:
    text = HEAD + "<devices>" + "<disk/><dsik/>" * 20_000 + "</devices></domain>"
    severities = [severity for severity, _, _ in found(text)]
    assert (severities.count("error"), severities.count("warning")) == (100, 100)
