"""What changes of a display while the guest runs: its password.

Source: qemuDomainChangeGraphics of libvirt; set_password and expire_password in QEMU's qapi/ui.json.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain.graphics import Graphics, GraphicsType
from vmherd.errors import OperationUnsupported
from vmherd.hypervisors.qemu.hotplug.running import Running
from vmherd.hypervisors.qemu.startup import adjust

_HINT = "change the definition, and start the guest anew"


async def change(running: Running, old: Graphics, new: Graphics) -> None:
    """Set the password that ``new`` tells.  Raises OperationUnsupported for whatever else it changes."""
    if new.type not in (GraphicsType.VNC, GraphicsType.SPICE):
        text = f"unable to change config on '{new.type}' graphics type"
        raise OperationUnsupported(text, hint=_HINT)
    for what in _fixed(old, new):
        raise OperationUnsupported(f"cannot change {what} on {new.type} graphics", hint=_HINT)
    told = (new.passwd, new.passwd_valid_to, new.connected)
    if new.passwd is not None and told != (old.passwd, old.passwd_valid_to, old.connected):
        async with running.monitor() as monitor:
            await adjust.set_password(new, new.passwd, monitor)
            if old.passwd_valid_to and not new.passwd_valid_to:
                await monitor.execute("expire_password", {"protocol": str(new.type), "time": "never"})


def take_over(found: Graphics, new: Graphics) -> None:
    """Note what has been set; a description without a password does not take it away."""
    if new.passwd is not None:
        found.passwd, found.passwd_valid_to, found.connected = new.passwd, new.passwd_valid_to, new.connected


def _fixed(old: Graphics, new: Graphics) -> Iterator[str]:
    """What another start would have to change."""
    chosen = bool(new.autoport) or new.port in (None, -1)
    if (not chosen and new.port != old.port) or (chosen and old.autoport is False):
        yield "port settings"
    if new.tls_port not in (None, -1, old.tls_port):
        yield "tlsPort settings"
    if _address(new) not in (None, _address(old)) or (new.listens and old.listens and _kind(new) != _kind(old)):
        yield "listen address setting"
    if new.keymap != old.keymap:
        yield "keymap setting"


def _kind(graphics: Graphics) -> object:
    return graphics.listens[0].type


def _address(graphics: Graphics) -> str | None:
    """Where it listens, whichever way that is told."""
    first = graphics.listens[0] if graphics.listens else None
    return (first.socket or first.address) if first else (graphics.socket or graphics.listen)
