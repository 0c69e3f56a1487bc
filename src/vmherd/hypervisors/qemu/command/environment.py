"""QEMU's environment: nothing of ours but what it needs, and folders of its own.

Source: virCommandAddEnvPassCommon and qemuBuildCommandLine of libvirt.
"""

from __future__ import annotations

from collections.abc import Mapping

from vmherd.conf.domain import Domain
from vmherd.conf.domain.clock import ClockOffset
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
    extra = domain.qemu_commandline
    return found | {each.name: each.value or "" for each in (extra.envs if extra else [])}
