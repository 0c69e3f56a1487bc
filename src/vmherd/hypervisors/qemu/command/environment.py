"""QEMU's environment: nothing of ours but what it needs, and folders of its own.

Source: virCommandAddEnvPassCommon and qemuBuildCommandLine of libvirt.
"""

from __future__ import annotations

from collections.abc import Mapping

from vmherd.conf.domain import Domain
from vmherd.conf.domain.audio import AudioType
from vmherd.conf.domain.clock import ClockOffset
from vmherd.conf.domain.graphics import GraphicsType
from vmherd.hypervisors.qemu.command.launch import Launch

_PASSED_ON = ("LD_PRELOAD", "LD_LIBRARY_PATH", "PATH", "USER", "LOGNAME", "TMPDIR")


def environment(domain: Domain, launch: Launch, ours: Mapping[str, str]) -> dict[str, str]:
    """The variables for a guest, out of ``ours`` and what its document adds."""
    found = {"LC_ALL": "C"} | {name: ours[name] for name in _PASSED_ON if name in ours}
    home = str(launch.folder)
    found |= {
        "HOME": home,
        "XDG_DATA_HOME": f"{home}/.local/share",
        "XDG_CACHE_HOME": f"{home}/.cache",
        "XDG_CONFIG_HOME": f"{home}/.config",
    }
    if domain.clock.offset is ClockOffset.TIMEZONE and domain.clock.timezone:
        found["TZ"] = domain.clock.timezone
    found |= _displays(domain, launch) | _sound(domain)
    extra = domain.qemu_commandline
    return found | {each.name: each.value or "" for each in (extra.envs if extra else [])}


def _displays(domain: Domain, launch: Launch) -> dict[str, str]:
    """Where a window opens, and where SASL finds its settings."""
    found: dict[str, str] = {}
    services = {GraphicsType.VNC: launch.config.vnc, GraphicsType.SPICE: launch.config.spice}
    for graphics in domain.devices.graphics:
        service = services.get(graphics.type)
        if service and service.sasl and service.sasl_folder:
            found["SASL_CONF_PATH"] = service.sasl_folder
        if graphics.type is GraphicsType.SDL:
            told = {"XAUTHORITY": graphics.xauth, "DISPLAY": graphics.display}
            found |= {name: value for name, value in told.items() if value}
    return found


def _sound(domain: Domain) -> dict[str, str]:
    drivers = [audio.driver for audio in domain.devices.audios if audio.type is AudioType.SDL and audio.driver]
    return {"SDL_AUDIODRIVER": drivers[-1]} if drivers else {}
