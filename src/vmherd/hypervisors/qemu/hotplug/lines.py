"""The host's end of a character device, from the words of ``-chardev`` to what the monitor's ``chardev-add`` takes.

Source: qemu_chr_parse_* of QEMU's chardev/; ChardevBackend in its qapi/char.json
"""

from __future__ import annotations

import re
from collections.abc import Callable

from vmherd.errors import Unsupported

Words = dict[str, str]
_WORD = re.compile(r"(?:[^,]|,,)+")


def arguments(text: str) -> dict[str, object]:
    """What ``chardev-add`` takes for the value of one ``-chardev``."""
    kind, *rest = (word.replace(",,", ",") for word in _WORD.findall(text))
    words = dict(word.split("=", 1) for word in rest)
    data = _data(kind, words)
    data |= {"logfile": words["logfile"]} if "logfile" in words else {}
    data |= {"logappend": _switch(words["logappend"])} if "logappend" in words else {}
    return {"id": words["id"], "backend": {"type": kind, "data": data}}


def _data(kind: str, words: Words) -> dict[str, object]:
    made = _DATA.get(kind)
    if made is None:
        raise Unsupported(f"QEMU has no character device of type {kind!r} to plug in", place="domain/devices")
    return made(words)


def _switch(word: str) -> bool:
    return word == "on"


def _nothing(_: Words) -> dict[str, object]:
    return {}


def _file(words: Words) -> dict[str, object]:
    return {"out": words["path"], "append": _switch(words.get("append", "off"))}


def _device(words: Words) -> dict[str, object]:
    return {"device": words["path"]}


def _udp(words: Words) -> dict[str, object]:
    near = {"host": words["localaddr"], "port": words["localport"]}
    return {"remote": _inet(words["host"], words["port"]), "local": _inet(near["host"], near["port"])}


def _inet(host: str, port: str) -> dict[str, object]:
    return {"type": "inet", "data": {"host": host, "port": port}}


def _socket(words: Words) -> dict[str, object]:
    server = _switch(words.get("server", "off"))
    data: dict[str, object] = {"addr": _address(words), "server": server}
    data |= {"wait": _switch(words.get("wait", "on"))} if server else {}
    data |= {"telnet": True} if _switch(words.get("telnet", "off")) else {}
    data |= {"reconnect": int(words["reconnect"])} if "reconnect" in words else {}
    return data | ({"tls-creds": words["tls-creds"]} if "tls-creds" in words else {})


def _address(words: Words) -> dict[str, object]:
    if "fd" in words:
        return {"type": "fd", "data": {"str": words["fd"]}}
    if "path" in words:
        return {"type": "unix", "data": {"path": words["path"]}}
    return _inet(words["host"], words["port"])


def _spice_channel(words: Words) -> dict[str, object]:
    return {"type": words["name"]}


def _spice_port(words: Words) -> dict[str, object]:
    return {"fqdn": words["name"]}


def _dbus(words: Words) -> dict[str, object]:
    return {"name": words["name"]}


def _vdagent(words: Words) -> dict[str, object]:
    return {name: _switch(words[name]) for name in ("clipboard", "mouse") if name in words}


_DATA: dict[str, Callable[[Words], dict[str, object]]] = {
    "null": _nothing,
    "pty": _nothing,
    "stdio": _nothing,
    "vc": _nothing,
    "file": _file,
    "serial": _device,
    "parallel": _device,
    "pipe": _device,
    "udp": _udp,
    "socket": _socket,
    "spicevmc": _spice_channel,
    "spiceport": _spice_port,
    "dbus": _dbus,
    "qemu-vdagent": _vdagent,
}
