"""What a URI says of the way to another host, and what is made of the errors that come back."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmherd import errors
from vmherd.driver.uri import parse_uri
from vmherd.errors import InvalidArgument, VmherdError
from vmherd.remote import ssh
from vmherd.remote.target import sockets, target
from vmherd.rpc import failure
from vmherd.rpc.caller import Failure


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("qemu+unix:///system", "qemu:///system"),
        ("qemu+ssh://root@box:2222/system?keyfile=/k&no_tty=1", "qemu:///system"),
        ("qemu://box/session", "qemu:///session"),
        ("test+tcp://box/default?name=test:///other", "test:///other"),
        ("qemu+unix:///embed?root=/a%20b&socket=/s", "qemu:///embed?root=%2Fa%20b"),
        ("remote+unix:///", ""),
        ("lxc+unix:///", "lxc:///"),
    ],
)
def test_the_other_side_is_asked_for_the_rest_of_the_uri(uri: str, name: str) -> None:
    assert target(parse_uri(uri)).name == name


@pytest.mark.parametrize(
    ("uri", "readonly", "places"),
    [
        ("qemu+unix:///system", False, ["vmherd/libvirt-sock", "libvirt/virtqemud-sock", "libvirt/libvirt-sock"]),
        (
            "qemu+unix:///system",
            True,
            ["vmherd/libvirt-sock-ro", "libvirt/virtqemud-sock-ro", "libvirt/libvirt-sock-ro"],
        ),
        ("qemu+unix:///system?mode=legacy", False, ["vmherd/libvirt-sock", "libvirt/libvirt-sock"]),
        ("qemu+unix:///system?mode=direct", False, ["libvirt/virtqemud-sock"]),
        ("lxc+unix:///system", False, ["vmherd/libvirt-sock", "libvirt/virtlxcd-sock", "libvirt/libvirt-sock"]),
    ],
)
def test_a_daemon_is_looked_for_where_daemons_listen(uri: str, readonly: bool, places: list[str]) -> None:
    assert sockets(target(parse_uri(uri)), readonly=readonly) == [Path("/run") / place for place in places]


def test_a_session_has_its_sockets_with_its_user() -> None:
    found = sockets(target(parse_uri("qemu+unix:///session")), readonly=True, environment={"XDG_RUNTIME_DIR": "/u"})
    assert found[-1] == Path("/u/libvirt/libvirt-sock")  # a session has no read-only one
    assert sockets(target(parse_uri("qemu+unix:///session?socket=/s")), readonly=True) == [Path("/s")]


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("qemu+libssh2://box/system", "no transport 'libssh2'"),
        ("qemu+pigeon://box/system", "no transport 'pigeon'"),
        ("qemu+unix://box/system", "UNIX socket with the remote server 'box'"),
        ("qemu+ext://box/system", "needs a command"),
        ("qemu+ssh://box/system?no_verify=yes", "no_verify='yes' is not a number"),
        ("qemu+ssh://box/system?proxy=carrier", "no proxy 'carrier'"),
        ("qemu+unix:///system?mode=odd", "no mode 'odd'"),
        ("qemu+tls://box/system?tls_priority=NORMAL", "tls_priority is not supported"),
    ],
)
def test_a_way_there_is_not_is_refused(uri: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        target(parse_uri(uri))


@pytest.mark.parametrize(
    ("uri", "wanted", "unwanted"),
    [
        ("qemu+ssh://box/system", ["virt-ssh-helper", "qemu:///system", "nc", "/run/libvirt/libvirt-sock"], []),
        ("qemu+ssh://box/session", ["virt-ssh-helper", "qemu:///session"], ["nc "]),
        ("qemu+ssh://box/system?proxy=netcat&netcat=ncat", ["ncat"], ["virt-ssh-helper"]),
        ("qemu+ssh://box/system?proxy=native", ["virt-ssh-helper"], ["nc "]),
        ("qemu+ssh://box/system?socket=/a%20b", ["-U $S", "'/a b'"], ["virt-ssh-helper"]),
    ],
)
def test_ssh_runs_what_finds_the_daemon(uri: str, wanted: list[str], unwanted: list[str]) -> None:
    words = ssh.command(target(parse_uri(uri)), readonly=False)
    assert words[0] == "ssh"
    assert words[-2] == "box"
    script = words[-1].replace("'\"'\"'", "'")  # as the inner shell sees it
    assert all(each in script for each in wanted), script
    assert not any(each in script for each in unwanted), script


def test_a_host_that_looks_like_an_option_is_none() -> None:
    words = ssh.command(target(parse_uri("qemu+ssh://-oProxyCommand=x/system")), readonly=False)
    assert words.index("--") < words.index("-oProxyCommand=x")


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (42, "Domain not found", errors.DomainNotFound),
        (8, "invalid argument: x", errors.InvalidArgument),
        (55, "Requested operation is not valid: x", errors.InvalidState),
        (9, "operation failed: domain 'a' already exists with uuid b", errors.AlreadyExists),
        (9, "operation failed: x", errors.OperationFailed),
        (3, "this function is not supported", errors.NotSupported),
        (27, "XML error: x", errors.DocumentError),
        (67, "unsupported configuration: x", errors.Unsupported),
        (29, "operation virDomainCreate forbidden for read only access", errors.ReadOnly),
        (88, "access denied", errors.Denied),
        (84, "Operation not supported: x", errors.OperationUnsupported),
        (49, "Storage pool not found", errors.NotFound),
        (1, "internal error: x", VmherdError),
        (105, "odd", VmherdError),
    ],
)
def test_errors_keep_their_number_and_their_words(code: int, message: str, kind: type[VmherdError]) -> None:
    problem = failure.raised(Failure(code, 10, message))
    assert isinstance(problem, kind)
    assert (problem.code, str(problem), problem.hint) == (code, message, "")
