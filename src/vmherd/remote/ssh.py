"""The command that carries our bytes through the user's own ssh.

At its other end runs virt-ssh-helper, which finds the daemon by itself, or netcat with the path of its socket.
Source: https://libvirt.org/uri.html#ssh-transport
"""

from __future__ import annotations

import shlex

from vmherd.errors import InvalidArgument
from vmherd.remote.target import Target, sockets


def command(target: Target, *, readonly: bool) -> list[str]:
    """The words of the command."""
    return [*shlex.split(target.command or "ssh"), *_options(target), "--", target.host, _shell(target, readonly)]


def _options(target: Target) -> list[str]:
    words = ["-p", str(target.port)] if target.port else []
    words += ["-l", target.user] if target.user else []
    words += ["-i", target.keyfile] if target.keyfile else []
    words += ["-o", f"UserKnownHostsFile={target.known_hosts}"] if target.known_hosts else []
    words += ["-o", "StrictHostKeyChecking=no"] if target.no_verify else []
    return words + (["-T", "-o", "BatchMode=yes", "-e", "none"] if target.no_tty else ["-T", "-e", "none"])


def _shell(target: Target, readonly: bool) -> str:
    """What the other host's shell shall do."""
    helper = " ".join(["virt-ssh-helper", *(["-r"] if readonly else []), shlex.quote(target.name)])
    if target.proxy == "native":
        if target.socket:
            raise InvalidArgument("virt-ssh-helper takes no socket", hint="leave out socket= or proxy=")
        return f"sh -c {shlex.quote(helper)}"
    unknown = target.is_session and not target.socket  # where it is, only that user's session knows
    if target.proxy == "netcat" or target.socket:
        if unknown:
            raise InvalidArgument("netcat cannot find the socket of a session", hint="add ?socket=PATH to the URI")
        return f"sh -c {shlex.quote(_netcat(target, readonly))}"
    other = "echo virt-ssh-helper is missing >&2; exit 127" if unknown else _netcat(target, readonly)
    script = f"if command -v virt-ssh-helper > /dev/null 2>&1; then {helper}; else {other}; fi"
    if not unknown:
        # The helper knows libvirt's daemons only.
        own, program = sockets(target, readonly=readonly)[0], shlex.quote(target.netcat or "nc")
        test = f"[ -S {own} ] && command -v {program} > /dev/null 2>&1"
        script = f"if {test}; then {_netcat(target, readonly)}; el{script}"
    return f"sh -c {shlex.quote(script)}"


def _netcat(target: Target, readonly: bool) -> str:
    """Some netcats stay after the end of their input unless told otherwise; others do not know the option."""
    program = shlex.quote(target.netcat or "nc")
    choose = f'if {program} -q 2>&1 | grep "requires an argument" > /dev/null 2>&1; then A=-q0; else A=; fi'
    paths = [shlex.quote(str(path)) for path in sockets(target, readonly=readonly)]
    found = f"for S in {' '.join(paths)}; do [ -S $S ] && break; done"
    return f"{choose}; {found}; {program} $A -U $S"
