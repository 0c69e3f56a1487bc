"""The made-up host of conformance cases: its configuration, and the descriptors that are opened on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vmherd.conf.domain import Domain
from vmherd.conf.domain.graphics import GraphicsType, ListenType
from vmherd.conf.domain.hostdev import ScsiSource
from vmherd.conf.domain.net import Interface
from vmherd.conf.domain.video import Video
from vmherd.conformance import Case
from vmherd.errors import HostError
from vmherd.hypervisors.qemu.command.device import alias
from vmherd.hypervisors.qemu.command.netdev import queues
from vmherd.hypervisors.qemu.config import Config, Display, Tls
from vmherd.hypervisors.qemu.startup import channels, displays


def configuration(case: Case, *, starts: bool) -> Config:
    """What the facts set for guests that start, or the defaults, with what the case sets."""
    facts = case.facts["config"]
    told = (facts if starts else {}) | case.host.get("config", {})
    environment = case.host.get("env", {})
    return Config(
        vnc=_display(told, "vnc"),
        spice=_display(told, "spice"),
        chardev=Tls(**_tls(told, "chardev")),
        host_audio=bool(told.get("nogfxAllowHostAudio")),
        audio_driver=environment.get("QEMU_AUDIO_DRV", ""),
        sdl_audio_driver=environment.get("SDL_AUDIODRIVER", ""),
        deprecation=told.get("deprecationBehavior") or "none",
        channels=facts["channelTargetDir"],
        guests=facts["libDir"],
    )


def _tls(told: dict[str, Any], name: str) -> dict[str, Any]:
    folder = told.get(f"{name}TLSx509certdir") or told.get("defaultTLSx509certdir") or "/etc/pki/qemu"
    return {
        "tls": bool(told.get(f"{name}TLS")),
        "tls_folder": folder,
        "tls_verify": bool(told.get(f"{name}TLSx509verify")),
        "tls_secret": told.get(f"{name}TLSx509secretUUID") or "",
    }


def _display(told: dict[str, Any], name: str) -> Display:
    return Display(
        **_tls(told, name),
        listen=told.get(f"{name}Listen") or "127.0.0.1",
        auto_socket=bool(told.get(f"{name}AutoUnixSocket")),
        sasl=bool(told.get(f"{name}SASL")),
        sasl_folder=told.get(f"{name}SASLdir") or "",
        password=told.get(f"{name}Password"),
        host_audio=bool(told.get(f"{name}AllowHostAudio")),
    )


class HostSide:
    """The host's end of network cards and host devices, by the numbers of the facts."""

    def __init__(self, facts: dict[str, Any], domain: Domain) -> None:
        self._devices = facts["devices"]
        self._state = Path(facts["config"]["stateDir"])
        self._guest = f"{domain.id}-{domain.name[:20]}"

    def tap(self, interface: Interface) -> Sequence[int]:
        return self._numbers(self._devices["tap"]["fds_from"], interface)

    def vhost_net(self, interface: Interface) -> Sequence[int]:
        return self._numbers(self._devices["vhost_net_fds_from"], interface)

    def _numbers(self, first: int, interface: Interface) -> Sequence[int]:
        return range(first, first + (queues(interface) or 1))

    def vdpa(self, _: Interface) -> int:
        return int(self._devices["vdpa_fd"])

    def passt(self, interface: Interface) -> Path:
        return self._state / "passt" / f"{self._guest}-{alias(interface)}.socket"

    def vhost_scsi(self) -> int:
        return int(self._devices["vhost_scsi_fd"])

    def scsi_generic(self, _: ScsiSource) -> str:
        return str(self._devices["scsi_hostdev"])


class Opener:
    """Descriptors by the numbers of the facts."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self._devices = facts["devices"]
        self._helpers = facts["vhost_user_descriptors"]

    def listen(self, _: Path) -> int:
        return int(self._devices["chardev_unix_listen_fd"])

    def output(self, _: Path, *, append: bool) -> int:
        return int(self._devices["chardev_file_fd"])

    def log(self, _: Path, *, append: bool) -> int:
        return int(self._devices["chardev_logfile_fd"])

    def tpm(self, _: Path) -> int:
        return int(self._devices["tpm_passthrough"]["fd"])

    def tpm_cancel(self, _: Path) -> int:
        return int(self._devices["tpm_passthrough"]["cancel_fd"])

    def vsock(self, cid: int | None) -> tuple[int, int]:
        told = self._devices["vsock"]
        return int(told["fd"]), int(told["auto_cid"]) if cid is None else cid

    def gpu(self, _: Video) -> int:
        if not any('"gpu"' in each.get("program_that_prints", "") for each in self._helpers.values()):
            raise HostError("no helper renders for graphics cards on this host")
        return int(self._devices["vhost_user_gpu_fd"])


def prepare(domain: Domain, case: Case, config: Config) -> None:
    """Name the sockets, and choose ports and cards, as a start on that host would."""
    told, name = case.facts["domain"], domain.name[:20]
    channels.name(domain, Path(told["channel_directory"].replace("NAME", name)))
    bus = Path(case.facts["config"]["stateDir"]) / "dbus" / f"{domain.id}-{name}-dbus.sock"
    folder = Path(told["runtime_directory"].replace("NAME", name))
    displays.complete(domain, config, folder, lambda: str(case.facts["host"]["drm_render_node"]), bus)
    _choose_ports(domain, case.facts)


def _choose_ports(domain: Domain, facts: dict[str, Any]) -> None:
    """Those that a command line is told with which is not run: always the same.

    Source: qemuProcessGraphicsAllocatePorts and VIR_QEMU_PROCESS_START_PRETEND of libvirt
    """
    vnc, websocket = facts["config"]["remotePortMin"], facts["config"]["webSocketPortMin"]
    for graphics in domain.devices.graphics:
        if any(listen.type in (ListenType.SOCKET, ListenType.NONE) for listen in graphics.listens):
            continue
        if graphics.type is GraphicsType.VNC:
            graphics.port = vnc if graphics.port in (None, -1) else graphics.port
            graphics.websocket = websocket if graphics.websocket == -1 else graphics.websocket
        elif graphics.type is GraphicsType.SPICE and graphics.autoport:
            graphics.port, graphics.tls_port = vnc + 1, vnc + 2
