"""``vmherd run`` and its relatives at a real terminal, as a person sees them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from parts import make_disk, processes

from vmherd.guest.demo import DemoGuest

pytestmark = [pytest.mark.qemu, pytest.mark.packages, pytest.mark.usefixtures("demo")]

VMHERD = str(Path(sys.executable).parent / "vmherd")
DETACH = "\x1d"
BOOT = 90


class Shell:
    """A person's shell with a host of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = os.environ | {"VMHERD_DEFAULT_URI": f"qemu:///embed?root={root}", "TERM": "xterm"}

    def run(self, *words: str, code: int = 0, stdin: str = "") -> str:
        """What a command prints; it has no terminal."""
        done = subprocess.run(
            [VMHERD, *words], env=self.environment, input=stdin, capture_output=True, text=True, timeout=150
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def at_terminal(self, *words: str) -> pexpect.spawn[str]:
        """A command at a terminal."""
        return pexpect.spawn(VMHERD, list(words), env=self.environment, encoding="utf-8", timeout=BOOT)

    def guests(self) -> dict[str, str]:
        """The state of each guest."""
        return {guest["name"]: guest["state"] for guest in json.loads(self.run("list", "--json"))}


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    if "running" in shell.guests().values() or "paused" in shell.guests().values():
        shell.run("poweroff", "--all")
    deadline = time.monotonic() + 20
    while processes(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def ended(child: pexpect.spawn[str]) -> int | None:
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


def login(child: pexpect.spawn[str]) -> None:
    child.expect("login: ")
    child.send("root\r")
    child.expect("assword: ")
    child.send("demo\r")
    child.expect("# ")


def test_the_demo_guest_is_a_command_away_and_stays(shell: Shell) -> None:
    child = shell.at_terminal("run")
    child.expect("Ctrl-] detaches")
    login(child)
    child.send("\x03")  # Ctrl-C is the guest's
    child.send("hostname; poweroff -f\r")
    child.expect("demo\r")
    child.expect("demo ended")
    assert ended(child) == 0
    assert shell.guests() == {"demo": "shut off"}
    again = shell.at_terminal("run")
    again.expect("login: ")
    again.send(DETACH)
    again.expect("demo runs on: 'vmherd console demo'")
    assert ended(again) == 0
    assert shell.guests() == {"demo": "running"}
    once_more = shell.at_terminal("run")
    once_more.send("\r")
    once_more.expect("login: ")
    once_more.send(DETACH)
    assert ended(once_more) == 0


def test_the_terminal_is_as_it_was_after_the_console(shell: Shell) -> None:
    child = shell.at_terminal("run")
    child.expect("login: ")
    assert child.getecho() is False
    child.send(DETACH)
    child.expect("runs on")
    assert child.getecho() is True
    assert ended(child) == 0


def test_rm_leaves_nothing_behind(shell: Shell) -> None:
    child = shell.at_terminal("run", "--rm", "--name", "brief")
    login(child)
    child.send("poweroff -f\r")
    child.expect("brief ended")
    assert ended(child) == 0
    assert shell.guests() == {}
    leftover = {path.name for path in shell.root.rglob("*") if "brief" in path.name or path.is_socket()}
    assert leftover <= {path.name for path in (shell.root / "run" / "listeners").iterdir()}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_told_to_end_leaves_a_brief_guest_nowhere_and_a_kept_one_running(
    number: signal.Signals, shell: Shell
) -> None:
    brief = shell.at_terminal("run", "--rm", "--name", "brief")
    brief.expect("login: ")
    brief.kill(number)
    assert ended(brief) == 130
    assert shell.guests() == {}
    kept = shell.at_terminal("run", "--name", "kept")
    kept.expect("login: ")
    kept.kill(number)
    assert ended(kept) == 130
    assert shell.guests() == {"kept": "running"}


def test_a_run_interrupted_before_the_guest_runs_leaves_nothing(shell: Shell, demo: DemoGuest) -> None:
    for delay in (0.1, 0.3, 0.5, 0.7):
        child = shell.at_terminal("run", str(demo.kernel), str(demo.initrd), "--rm")
        time.sleep(delay)
        child.kill(signal.SIGINT)
        if ended(child) == 130:
            assert shell.guests() == {}
        else:
            shell.run("poweroff", "--all")  # it ran already, and the key was the guest's


def test_a_killed_run_leaves_the_guest_and_the_next_command_tells_the_truth(shell: Shell) -> None:
    child = shell.at_terminal("run")
    child.expect("login: ")
    child.kill(signal.SIGKILL)
    child.close()
    assert shell.guests() == {"demo": "running"}
    back = shell.at_terminal("console", "demo")
    back.send("\r")
    back.expect("login: ")
    back.send(DETACH)
    assert ended(back) == 0
    shell.run("stop", "demo")
    assert shell.guests() == {"demo": "shut off"}


def test_a_kernel_runs_in_the_background_under_the_name_of_its_file(shell: Shell, demo: DemoGuest) -> None:
    words = ("run", "-d", str(demo.kernel), str(demo.initrd), "--cmdline", demo.cmdline, "-m", "128M")
    assert shell.run(*words) == "vmlinuz is running\n"
    said = shell.run(*words, code=4)
    assert "'vmherd start --console vmlinuz'" in said
    assert shell.run(*words, "--rm") == "vmlinuz-2 is running\n"
    assert shell.guests() == {"vmlinuz": "running", "vmlinuz-2": "running"}


def test_a_disk_image_runs_and_its_format_is_found_out(shell: Shell, tmp_path: Path) -> None:
    disk = make_disk(tmp_path, "my disk.qcow2")
    child = shell.at_terminal("run", str(disk))
    child.expect("Ctrl-] detaches")
    time.sleep(0.5)
    child.send(DETACH)
    assert ended(child) == 0
    assert f"vda: {disk} (qcow2)" in shell.run("info", "my-disk")


def test_a_document_runs_and_one_without_a_console_is_refused_without_traces(shell: Shell, tmp_path: Path) -> None:
    document = tmp_path / "guest.xml"
    text = "<domain type='qemu'><name>doc</name><memory unit='MiB'>32</memory><os><type>hvm</type></os>{}</domain>"
    document.write_text(text.format(""))
    said = shell.run("run", str(document), code=4)
    assert "<serial type='pty'/>" in said
    assert shell.guests() == {}
    document.write_text(text.format("<devices><serial type='pty'/></devices>"))
    assert shell.run("run", "-d", str(document)) == "doc is running\n"
    assert shell.guests() == {"doc": "running"}


def test_without_a_terminal_the_demo_guest_shows_itself(shell: Shell) -> None:
    said = shell.run("run")
    assert "\nLinux demo " in said
    assert "inet 10.0.2.15/24" in said
    assert "state       running" in said
    assert "Power button: shutting down" in said
    assert "\x1b[6n" not in said
    assert shell.guests() == {}


def test_keys_from_a_pipe_reach_the_guest_and_its_end_is_the_end(shell: Shell, demo: DemoGuest) -> None:
    command = [VMHERD, "run", str(demo.kernel), str(demo.initrd), "--rm", "--cmdline", demo.cmdline]
    with subprocess.Popen(
        command, env=shell.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        said = b""
        for wait, answer in ((b"login: ", b"root\n"), (b"assword: ", b"demo\n"), (b"# ", b"poweroff -f\n")):
            while wait not in said:
                said += os.read(child.stdout.fileno(), 4096)
            said = b""
            child.stdin.write(answer)
            child.stdin.flush()
        child.stdin.close()
        assert child.wait(60) == 0
    assert shell.guests() == {}


def test_an_emptied_cache_is_filled_again_for_the_demo_guest(shell: Shell, tmp_path: Path) -> None:
    shell.environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    shell.run("run", "-d")
    shell.run("poweroff", "demo")
    shutil.rmtree(tmp_path / "cache")
    assert "demo is running\n" in shell.run("run", "-d")


def test_console_for_two_is_refused_and_can_be_taken(shell: Shell) -> None:
    first = shell.at_terminal("run")
    first.expect("login: ")
    said = shell.run("console", "demo", code=4)
    assert "vmherd console --force" in said
    second = shell.at_terminal("console", "demo", "--force")
    second.send("\r")
    second.expect("login: ")
    first.expect("Somebody else took the console")
    assert ended(first) == 0
    second.send(DETACH)
    assert ended(second) == 0


def test_a_guest_made_by_create_goes_with_its_disk_and_only_when_confirmed(shell: Shell) -> None:
    shell.run("create", "web", "--size", "1G", "--start")
    disk = shell.root / "images" / "web" / "disk0.qcow2"
    assert disk.exists()
    asked = shell.at_terminal("destroy", "web")
    asked.expect("vmherd poweroff web")
    asked.expect("Delete it")
    asked.send("n\r")
    assert ended(asked) == 130
    assert disk.exists()
    shell.run("destroy", "web", "--yes")
    assert not disk.parent.exists()
    assert shell.guests() == {}


def test_stop_waits_and_force_pulls_the_plug_of_a_guest_that_does_not_listen(shell: Shell) -> None:
    shell.run("create", "deaf", "--size", "1M", "--start")
    said = shell.run("stop", "deaf", "--timeout", "0.5", code=4)
    assert "vmherd poweroff deaf" in said
    assert "its plug was pulled" in shell.run("stop", "deaf", "--timeout", "0.5", "--force")


def test_edit_changes_the_document_and_loses_no_mistake(shell: Shell, tmp_path: Path) -> None:
    shell.run("create", "web", "--size", "1M")
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s|<vcpu.*|$LINE|" "$1"\n')
    editor.chmod(0o755)
    shell.environment |= {"EDITOR": str(editor), "LINE": "<vcpu>3</vcpu>", "VISUAL": "", "TMPDIR": str(tmp_path)}
    assert shell.run("edit", "web") == "web was changed\n"
    assert json.loads(shell.run("info", "web", "--json"))["vcpus"] == 3
    shell.environment["LINE"] = "<vcpu>many</vcpu>"
    said = shell.run("edit", "web", code=2)
    assert "domain/vcpu" in said
    draft = Path(said.rpartition("what you wrote is in ")[2].strip())
    assert "many" in draft.read_text()
    shell.environment["LINE"] = "&"
    assert shell.run("edit", "web") == "web was not changed\n"


def test_events_are_seen_from_another_process(shell: Shell) -> None:
    shell.run("create", "web", "--size", "1M")
    watcher = shell.at_terminal("events", "--count", "4")
    time.sleep(1.0)
    shell.run("start", "web")
    watcher.expect(r"web  started \(booted\)")
    shell.run("poweroff", "web")
    watcher.expect(r"web  stopped \(destroyed\)")
    assert ended(watcher) == 0
