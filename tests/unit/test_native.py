"""domxml-to-native and domxml-from-native: documents and the words of hypervisors, on the command line."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import pytest

from vmherd.cli.app import command, run
from vmherd.conf.domain import parse_domain
from vmherd.driver.native import load, names
from vmherd.hypervisors.qemu import complete, native
from vmherd.hypervisors.qemu.capabilities import Capabilities, Machine
from vmherd.hypervisors.qemu.folders import Folders

BHYVE = "<domain type='bhyve'>{}<os><type>hvm</type></os><devices>{}</devices></domain>"
NAME = "<name>it's</name><uuid>6a0d1bd9-0000-4000-8000-000000000001</uuid><memory unit='MiB'>64</memory>"
DISK = "<disk type='file'><source file='/vm/a b.img'/><target dev='vda' bus='virtio'/></disk>"
NIC = (
    "<interface type='bridge'><mac address='52:54:00:00:00:0{}'/><source bridge='b'/>"
    "{}<model type='virtio'/></interface>"
)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "guest.xml"
    nics = NIC.format(1, "<target dev='tap7'/>") + NIC.format(2, "")
    path.write_text(BHYVE.format(NAME, DISK + nics))
    return path


def test_a_document_becomes_commands_for_the_shell(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["domxml-to-native", "bhyve-argv", str(document)]) == 0
    loader, bhyve = capsys.readouterr().out.splitlines()
    assert shlex.split(loader) == ["/usr/sbin/bhyveload", "-m", "64", "-d", "/vm/a b.img", "it's"]
    assert shlex.split(bhyve)[-7:] == [
        *("-s", "2:0,virtio-net,tap7,mac=52:54:00:00:00:01"),
        *("-s", "3:0,virtio-net,tap0,mac=52:54:00:00:00:02"),
        *("-s", "4:0,virtio-blk,/vm/a b.img"),
        "it's",
    ]


def test_commands_become_a_document_again(
    document: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(["domxml-to-native", "bhyve-argv", str(document)])
    commands = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{commands[:-1]} -x".encode())))
    assert run(["domxml-from-native", "bhyve-argv", "-"]) == 0
    told = capsys.readouterr()
    assert told.err == "left out: -x\n"
    assert [disk.source.file for disk in parse_domain(told.out).devices.disks if disk.source] == ["/vm/a b.img"]


def test_a_guest_can_be_named_in_place_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = tmp_path / "node.xml"
    node.write_text(f"<node>{BHYVE.format(NAME, DISK).replace('bhyve', 'test')}</node>")
    monkeypatch.setenv("VMHERD_DEFAULT_URI", f"test://{node}")
    assert run(["domxml-to-native", "bhyve-argv", "--domain", "it's"]) == 1
    assert "bhyve does not run guests of type 'test'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["domxml-to-native", "nonsense", "-"], 2, "there are: bhyve-argv, lxc-tools, qemu-argv"),
        (["domxml-to-native", "lxc-tools", "-"], 2, "translated from lxc-tools only"),
        (["domxml-from-native", "qemu-argv", "-"], 2, "translated to qemu-argv only"),
        (["domxml-to-native", "qemu-argv"], 2, "give a FILE"),
        (["domxml-to-native", "qemu-argv", "--domain", "web", "-"], 2, "give a FILE"),
    ],
)
def test_what_cannot_be_translated_is_said(
    words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == code
    assert message in capsys.readouterr().err


def test_the_help_tells_which_format_goes_which_way() -> None:
    for format_ in names():
        found = load(format_)
        assert (format_ in (command("domxml-to-native").help or "")) is (found.write is not None)
        assert (format_ in (command("domxml-from-native").help or "")) is (found.read is not None)


def test_a_qemu_command_for_the_shell_needs_nobody_to_open_its_sockets(tmp_path: Path) -> None:
    caps = Capabilities(
        binary="/usr/bin/qemu-system-x86_64",
        version=(7, 2, 0),
        arch="x86_64",
        machines=[Machine(name="pc-q35-7.2", default=True, default_cpu="qemu64-x86_64-cpu")],
        flags=frozenset({"cirrus-vga"}),
    )
    domain = parse_domain(
        f"<domain type='qemu'>{NAME}<os><type>hvm</type></os><devices><graphics type='vnc'/><channel type='unix'>"
        "<target type='virtio' name='org.qemu.guest_agent.0'/></channel></devices></domain>"
    )
    complete.complete(domain, caps, new=True)
    folders = Folders(**{name: tmp_path / name for name in ("state", "run", "log", "cache", "images", "settings")})
    preparation, line = native.commands(domain, caps, folders).splitlines()
    folder = tmp_path / "run" / "by-hand" / str(domain.uuid)
    words = shlex.split(line)
    assert preparation.startswith(f"mkdir -p -m 700 {folder} && ")
    assert f"socket,id=charmonitor,path={folder}/monitor.sock,server=on,wait=off" in words
    assert f"socket,id=charchannel0,path={folder}/org.qemu.guest_agent.0,server=on,wait=off" in words
    assert "-S" not in words
    assert "fd=" not in line
    assert words[words.index("-vnc") + 1].startswith("127.0.0.1:0")
