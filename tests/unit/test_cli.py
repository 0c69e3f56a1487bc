"""The command line on the test driver: what it prints, its exit codes, its help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vmherd.cli.app import COMMANDS, cli, command, run
from vmherd.cli.failure import guarded
from vmherd.cli.lazy import LazyGroup

GUEST = """
<domain type='test'>
  <name>web</name>
  <title>The shop</title>
  <memory unit='MiB'>64</memory>
  <os><type>hvm</type></os>
</domain>
"""

READING = ("list", "info", "domstats", "events", "dumpxml", "version", "doctor", "validate")
READING += ("vcpucount", "vcpuinfo", "vcpupin", "cpu-stats", "iothreadinfo", "dommemstat", "memtune", "schedinfo")
READING += ("blkiotune", "numatune", "domiftune", "perf")
READING += ("guestinfo", "domifaddr", "domfsinfo", "domjobinfo", "domlaunchsecinfo")
READING += ("nodeinfo", "nodecpumap", "nodecpustats", "nodememstats", "freecell", "freepages", "node-memory-tune")
READING += ("domblklist", "domblkinfo", "domblkstat", "domblkerror", "blkdeviotune")
READING += ("domiflist", "domifstat")


@pytest.fixture(autouse=True)
def on_the_test_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command is a connection of its own, so the state is in a file that every one reads."""
    node = tmp_path / "node.xml"
    node.write_text(f"<node>{GUEST}</node>")
    monkeypatch.setenv("VMHERD_DEFAULT_URI", f"test://{node}")


def vmherd(*words: str) -> int:
    return run(words)


def test_the_help_has_a_line_for_each_command_and_it_is_the_first_of_its_own_help() -> None:
    groups = [cli]
    while groups:
        group = groups.pop()
        for name, entry in ((name, entry) for section in group.sections.values() for name, entry in section.items()):
            found = group.load(name)
            assert found.name == name
            assert found.help is not None
            assert found.help.startswith(entry.summary), name
            groups += [found] if isinstance(found, LazyGroup) else []


def test_every_reading_command_speaks_json() -> None:
    for section in COMMANDS.values():
        for name in section:
            has = any("--json" in parameter.opts for parameter in command(name).params)
            assert has is (name in READING), name


def test_help_and_version_import_no_driver_and_no_command() -> None:
    code = (
        "import sys; from vmherd.cli.app import run; run(['--help']); run(['--version'])\n"
        "print([name for name in sys.modules if name.startswith(('vmherd.hypervisors', 'vmherd.conf', 'vmherd.api'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_list_shows_a_table_that_can_be_cut_into_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert vmherd("list") == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["NAME", "STATE", "ID", "CPUS", "MEMORY", "AUTOSTART", "TITLE"]
    assert row.split() == ["web", "running", "1", "1", "64", "MiB", "no", "The", "shop"]


def test_list_as_json_has_words_for_states_and_bytes_for_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    assert vmherd("list", "--json") == 0
    (guest,) = json.loads(capsys.readouterr().out)
    assert (guest["name"], guest["state"], guest["memory"]) == ("web", "running", 64 << 20)


def test_the_uri_may_stand_before_or_after_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert vmherd("-c", "test:///default", "list", "--name") == 0
    assert vmherd("list", "--name", "-c", "test:///default") == 0
    assert capsys.readouterr().out == "test\ntest\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["info", "nope"], 3, "no domain 'nope'"),
        (["start", "web"], 4, "already running"),
        (["start"], 2, "say which guests"),
        (["start", "web", "--all"], 2, "say which guests"),
        (["list", "-c", "nonsense"], 2, "bad connection URI"),
        (["list", "-c", "vax:///"], 5, "vax"),
        (["list", "-c", "test:///\0"], 2, "written as %XX"),
        (["lits"], 2, "Did you mean 'list'"),
        (["pool", "lits"], 2, "Did you mean 'list'"),
        (["vol-clone"], 2, "Did you mean 'volume clone'"),
        (["console", "web"], 1, "does not support"),
        (["cpu", "models"], 1, "does not support"),
        (["create", "a/b", "-s", "1G"], 2, "cannot be the name of a guest"),
        (["create", "x", "-s", "much"], 2, "is no size"),
        (["create", "x"], 2, "say what it boots"),
        (["define", "/nonexistent.xml"], 2, "No such file"),
        (["destroy", "web"], 2, "give --yes"),
        (["run", "/nonexistent.img"], 2, "does not exist"),
    ],
)
def test_a_mistake_is_told_with_its_own_exit_code(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vmherd(*words) == code
    out, err = capsys.readouterr()
    assert said in err
    assert not out


def test_an_error_says_what_to_do_next(capsys: pytest.CaptureFixture[str]) -> None:
    vmherd("info", "nope")
    assert "hint: 'vmherd list'" in capsys.readouterr().err


def test_a_bug_is_told_in_a_line_and_shown_with_debug(capsys: pytest.CaptureFixture[str]) -> None:
    def buggy() -> float:
        return 1 / 0

    assert guarded(buggy) == 1
    assert "this is a bug in vmherd" in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError):
        guarded(buggy, debug=True)


def test_many_guests_are_switched_at_once_and_the_first_failure_is_the_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert vmherd("suspend", "web") == 0
    assert capsys.readouterr().out == "web is paused\n"
    assert vmherd("poweroff", "web", "nope") == 3  # nothing is done where a name is wrong


def test_all_means_every_guest_in_the_right_state(capsys: pytest.CaptureFixture[str]) -> None:
    assert vmherd("suspend", "--all") == 0
    assert vmherd("start", "--all") == 0
    assert capsys.readouterr().out == "web is paused\n"


def test_define_reads_standard_input(capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vmherd", "define", "-"],
        input=GUEST.replace("web", "mail"),
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.returncode) == ("mail is defined\n", 0)


def test_a_bad_document_is_refused_with_place_line_and_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.xml"
    bad.write_text(GUEST.replace("type='test'", "type='fantasy'"))
    assert vmherd("define", str(bad)) == 1
    err = capsys.readouterr().err
    assert "domain/@type (line 2)" in err
    assert "fantasy" in err


def test_dumpxml_as_json_is_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert vmherd("dumpxml", "web", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["name"], document["title"], document["memory"]["size"]) == ("web", "The shop", 64 << 20)


def test_domstats_are_lines_of_name_and_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert vmherd("domstats") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Domain: 'web'"
    assert "  state.state=1" in lines


def test_disks_and_cards_are_listed_and_counted_as_virsh_does(capsys: pytest.CaptureFixture[str]) -> None:
    test = ("-c", "test:///default")
    for words, start in (
        (("domblklist", "test", "--details"), "TYPE"),
        (("domblkinfo", "test", "vda"), "Capacity:    1099506450432"),
        (("domblkinfo", "test", "--all", "--human"), "TARGET"),
        (("domblkstat", "test", "vda"), "vda rd_operations "),
        (("domblkerror", "test"), "vda: unspecified error"),
        (("blkdeviotune", "test", "vda"), "total_bytes_sec"),
        (("domiflist", "test"), "INTERFACE"),
        (("domifstat", "test", "testnet0"), "testnet0 rx_bytes "),
        (("domif-getlink", "test", "testnet0"), "testnet0 up"),
    ):
        assert vmherd(words[0], *test, *words[1:]) == 0
        assert capsys.readouterr().out.startswith(start), words
    assert vmherd("domblkinfo", *test, "test", "vdz") != 0
    assert vmherd("domstats", *test, "--block", "--enforce") != 0


def test_info_has_what_a_person_wants_to_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert vmherd("info", "web") == 0
    facts = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if len(line.split()) > 1)
    assert facts["name"] == "web"
    assert facts["memory"] == "64 MiB"
    assert facts["state"].startswith("running (")


def test_a_dry_run_prints_a_document_and_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kernel = tmp_path / "vmlinuz"
    kernel.touch()
    assert vmherd("create", "new", "--kernel", str(kernel), "--cmdline", "quiet <1>", "--cpus", "3", "--dry-run") == 0
    document = capsys.readouterr().out
    assert f"<kernel>{kernel}</kernel>" in document
    assert "<cmdline>quiet &lt;1&gt;</cmdline>" in document
    assert "<vcpu placement='static'>3</vcpu>" in document
    assert vmherd("info", "new") == 3


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_completion_script_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert vmherd("completion", shell) == 0
    assert "_VMHERD_COMPLETE" in capsys.readouterr().out


def test_the_shell_completes_commands_options_and_guests() -> None:
    def completed(line: str) -> list[str]:
        words = line.split(" ")
        environment = os.environ | {
            "_VMHERD_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
        program = Path(sys.executable).parent / "vmherd"
        done = subprocess.run([program], env=environment, capture_output=True, text=True)
        return [each.partition(",")[2] for each in done.stdout.splitlines()]

    assert completed("vmherd susp") == ["suspend"]
    assert completed("vmherd suspend w") == ["web"]
    assert completed("vmherd stop --no") == ["--no-wait"]


def test_a_reader_that_has_enough_gets_no_complaint() -> None:
    program = Path(sys.executable).parent / "vmherd"
    pipe = '"$0" --help | head -n 1; echo ${PIPESTATUS[0]}'
    done = subprocess.run(["bash", "-c", pipe, program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0"
    assert not done.stderr


def test_conformance_cases_are_answered_one_per_line_and_a_bad_one_fails_alone(tmp_path: Path) -> None:
    cases = [
        {"name": "good", "input": GUEST, "params": {"state": "inactive"}, "host": {"arch": "x86_64"}},
        {"name": "bad", "input": "<domain"},
    ]
    lines = "\n".join(json.dumps(case) for case in cases)
    done = subprocess.run(
        [sys.executable, "-m", "vmherd", "conformance", "genericxml2xml"], input=lines, capture_output=True, text=True
    )
    good, bad = (json.loads(line) for line in done.stdout.splitlines())
    assert (good["outcome"], bad["outcome"]) == ("ok", "fail")
    assert "<name>web</name>" in good["output"]
    assert bad["error"]
    assert done.returncode == 0


def test_a_list_of_guests_reads_no_document(tmp_path: Path) -> None:
    program = "import sys; from vmherd.cli import main; sys.argv = ['vmherd', '-c', sys.argv[1], 'list']\n"
    program += "try: main()\nfinally: print([name for name in sys.modules if name in ('lxml', 'vmherd.conf')])"
    done = subprocess.run(
        [sys.executable, "-c", program, f"qemu:///embed?root={tmp_path}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_daemon_answers_before_it_can_read_documents() -> None:
    program = "import sys, vmherd.daemon.service, vmherd.hypervisors.qemu.driver\n"
    program += "from vmherd.daemon.wire import handlers; handlers.load()\n"
    program += "print([name for name in sys.modules if name in ('lxml', 'vmherd.conf')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_devices_are_plugged_in_changed_and_taken_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The test driver forgets with each command, so what is to be sent is looked at.
    disk = ("attach-disk", "web", "/srv/data.qcow2", "vdb", "--subdriver", "qcow2", "--mode", "shareable")
    assert vmherd(*disk, "--print-xml") == 0
    xml = capsys.readouterr().out
    assert "<source file='/srv/data.qcow2'/>" in xml
    assert "<shareable/>" in xml
    device = tmp_path / "disk.xml"
    device.write_text(xml)
    assert vmherd("attach-device", "web", str(device), "--live") == 0
    assert vmherd(*disk) == 0
    assert vmherd("attach-interface", "web", "bridge", "br0", "--model", "virtio", "--print-xml") == 0
    assert "<source bridge='br0'/>" in capsys.readouterr().out
    assert vmherd("attach-interface", "web", "user", "br0") == 2
    assert vmherd("detach-device", "web", str(device)) == 3
    assert vmherd("detach-disk", "web", "vdb") == 3
    assert "no disk of web has the target or the source 'vdb'" in capsys.readouterr().err
    assert vmherd("change-media", "web", "sda") == 2


def test_a_drive_is_filled_and_emptied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = "<disk type='file' device='cdrom'><source file='/old.iso'/><target dev='sda' bus='sata'/></disk>"
    node = tmp_path / "drive.xml"
    node.write_text(f"<node>{GUEST.replace('</domain>', f'<devices>{drive}</devices></domain>')}</node>")
    monkeypatch.setenv("VMHERD_DEFAULT_URI", f"test://{node}")
    assert vmherd("change-media", "web", "sda", "/new.iso") == 0
    assert capsys.readouterr().out == "drive sda of web has /new.iso\n"
    assert vmherd("change-media", "web", "sda", "--eject", "--live", "--config") == 0
    assert vmherd("change-media", "web", "sda", "/new.iso", "--insert") == 4
    assert "is not empty" in capsys.readouterr().err
    assert vmherd("detach-disk", "web", "/old.iso") == 0


def test_what_a_guest_gets_of_its_host_is_changed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The test driver forgets at the end of a command, so what stays is proven elsewhere."""
    for words, said in (
        ("setvcpus web 3 --maximum --config", "may have 3 vCPUs"),
        ("vcpupin web 0 0", "vCPU 0 of web runs on 0"),
        ("emulatorpin web 0-1", "run on 0-1"),
        ("iothreadadd web 4", "has I/O thread 4"),
        ("setmaxmem web 1G --config", "boots with 1 GiB"),
        ("memtune web --hard-limit 1G", "changed"),
        ("schedinfo web vcpu_quota=20000 cpu_shares=100", "changed"),
        ("numatune web --nodeset 0 --mode strict", "changed"),
        ("perf web --enable cmt,mbmt", "changed"),
    ):
        assert vmherd(*words.split()) == 0, words
        assert said in capsys.readouterr().out
    assert vmherd("memtune", "web") == 0
    assert "hard_limit       unlimited" in capsys.readouterr().out
    assert vmherd("vcpucount", "web", "--maximum") == 0
    assert capsys.readouterr().out == "1\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("schedinfo web speed=1", 2),
        ("vcpupin web 0 x", 2),
        ("setvcpu web 0", 2),
        ("setvcpus web 9", 2),
        ("setmaxmem web 1G --live", 4),
        ("memtune web --live --config", 2),
    ],
)
def test_what_cannot_be_tuned_has_its_exit_code(words: str, code: int) -> None:
    assert vmherd(*words.split()) == code


def test_a_guests_words_are_set_shown_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    assert vmherd("desc", "web", "--title") == 0
    assert capsys.readouterr().out == "The shop\n"
    assert vmherd("desc", "web") == 0
    assert capsys.readouterr().out == "web has no description\n"
    assert vmherd("metadata", "web", "urn:x") == 3
    assert vmherd("metadata", "web", "urn:x", "--set", "<a/>", "--remove") == 2
    assert vmherd("event", "--list") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "memory-device-size-change"
    assert vmherd("event", "--event", "nothing") == 2
    assert vmherd("event", "web", "--all", "--timeout", "0.1") == 1
