"""The screen, the keyboard, the displays and the channels of a guest."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from vmherd.driver.screen import Picture
from vmherd.driver.types import Console
from vmherd.errors import InvalidArgument
from vmherd.hypervisors.qemu.connection import QemuConnection
from vmherd.hypervisors.qemu.console import Turn, open_line
from vmherd.util.keycodes import Codeset

#: VIR_DOMAIN_SEND_KEY_MAX_KEYS
_MOST_KEYS = 16


class QemuScreen(QemuConnection):
    """The screen, the keyboard, the displays and the channels of a guest."""

    async def domain_screenshot(self, uuid: str, *, screen: int = 0) -> Picture:
        self.require_writable()
        from vmherd.hypervisors.qemu import picture

        head = picture.head(self._alive(self.table.get(uuid)).xml, screen)
        async with self._monitor(uuid) as monitor:  # no job: it may be looked at whatever goes on
            return await picture.take(monitor, self._folders.guest(uuid), head)

    async def domain_send_keys(
        self, uuid: str, keys: Sequence[int], *, codeset: Codeset = Codeset.LINUX, hold: float = 0.0
    ) -> None:
        from vmherd.util.keycodes import qnum

        if not 0 < len(keys) <= _MOST_KEYS:
            raise InvalidArgument(f"{len(keys)} keys cannot be pressed at once", hint=f"give 1 to {_MOST_KEYS}")
        values = [{"type": "number", "data": qnum(codeset, key)} for key in keys]
        arguments: dict[str, object] = {"keys": values} | ({"hold-time": round(hold * 1000)} if hold else {})
        async with self._changing(uuid, "modify"), self._monitor(uuid) as monitor:
            await monitor.execute("send-key", arguments)

    async def domain_inject_nmi(self, uuid: str) -> None:
        async with self._changing(uuid, "modify"), self._monitor(uuid) as monitor:
            await monitor.execute("inject-nmi")

    async def domain_console(self, uuid: str, *, device: str = "", force: bool = False) -> Console:
        self.require_writable()
        from vmherd.hypervisors.qemu import lines

        live = self._alive(self.table.get(uuid))
        alias, path = lines.console(live.xml, device)
        return open_line(path, Turn(self._folders.guest(uuid) / f"console-{alias}.lock", force=force))

    async def domain_channel(self, uuid: str, *, name: str = "", force: bool = False) -> Console:
        self.require_writable()
        from vmherd.hypervisors.qemu import lines

        live = self._alive(self.table.get(uuid))
        alias, path = lines.channel(live.xml, name)
        return open_line(path, Turn(self._folders.guest(uuid) / f"channel-{alias}.lock", force=force))

    async def domain_open_graphics(self, uuid: str, index: int, fd: int, *, skip_auth: bool = False) -> None:
        from vmherd.hypervisors.qemu import picture

        async with self._changing(uuid, "modify") as (_, live):
            protocol = picture.protocol(live.xml, index)
            async with self._monitor(uuid) as monitor:
                await monitor.hand_over(fd, "graphicsfd")
                arguments: dict[str, object] = {"protocol": protocol, "fdname": "graphicsfd", "skipauth": skip_auth}
                await monitor.execute("add_client", arguments)

    async def domain_open_graphics_fd(self, uuid: str, index: int, *, skip_auth: bool = False) -> int:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            await self.domain_open_graphics(uuid, index, theirs.fileno(), skip_auth=skip_auth)
            return ours.detach()
