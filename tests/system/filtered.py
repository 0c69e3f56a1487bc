"""Where network filters are tried: a bridge with two guests, namespaces with cables, and a daemon beside them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from daemons import RunningDaemon
from frames import Wire, ethernet, passes, udp
from namespaces import Host

ONE, TWO, OTHER = (f"52:54:00:00:00:0{number}" for number in (1, 2, 3))
#: A frame that all filters of the tests let pass.
SIGN = ethernet(ONE, TWO, 0x88B5, b"sign")
OWNER = str(UUID(int=1))
BINDING = """<filterbinding><owner><name>guest</name><uuid>{owner}</uuid></owner><portdev name='{device}'/>
<mac address='{mac}'/><filterref filter='{filter}'>{parameters}</filterref></filterbinding>"""


class Ground:
    """A bridge with two guests, and a daemon beside them."""

    def __init__(self, own: Host, folder: Path) -> None:
        self.own = own
        self.folder = folder
        own.run("ip", "link", "add", "br0", "up", "type", "bridge")
        self.one, self.two = own.guest("vnet1", "br0", ONE), own.guest("vnet2", "br0", TWO)
        self.wires = Wire(self.one, "eth0"), Wire(self.two, "eth0")
        self.daemon = RunningDaemon(folder, uri=f"qemu:///embed?root={folder / 'root'}")
        self.daemon.start(words=own.words)

    def __enter__(self) -> Ground:
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.__exit__()
        for wire in self.wires:
            wire.close()

    def virsh(self, *words: str) -> str:
        return self.daemon.virsh(*words)

    def document(self, text: str) -> str:
        path = self.folder / "document.xml"
        path.write_text(text)
        return str(path)

    def bind(self, device: str, filter_: str, *, mac: str = ONE, **values: str | list[str]) -> str:
        told = (
            (name, each) for name, value in values.items() for each in ([value] if isinstance(value, str) else value)
        )
        parameters = "".join(f"<parameter name='{name}' value='{value}'/>" for name, value in told)
        text = BINDING.format(owner=OWNER, device=device, mac=mac, filter=filter_, parameters=parameters)
        return self.virsh("nwfilter-binding-create", self.document(text))

    def define(self, name: str, rules: str, *, uuid: int = 7, chain: str = "root") -> str:
        text = f"<filter name='{name}' chain='{chain}'><uuid>{UUID(int=uuid)}</uuid>{rules}</filter>"
        return self.virsh("nwfilter-define", self.document(text))

    def sent(self, frame: bytes, last: bytes) -> bool:
        """Whether the other guest gets what the first one sends."""
        return passes(*self.wires, frame, last)

    def received(self, frame: bytes, last: bytes) -> bool:
        return passes(*reversed(self.wires), frame, last)


def until(holds: Callable[[], bool], patience: float = 10.0) -> None:
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def from_address(address: str, *, port: int = 1) -> bytes:
    return udp(ONE, TWO, address, "10.0.0.2", ports=(port, 2000))
