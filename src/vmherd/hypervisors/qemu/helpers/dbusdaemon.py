"""A message bus of the guest's own, for a D-Bus display whose document names none.

Source: dbus-daemon(1); qemuDBusStart of libvirt
"""

from __future__ import annotations

import shutil
from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.graphics import GraphicsType
from vmherd.errors import HostError
from vmherd.hypervisors.qemu import helpers
from vmherd.util.files import write_atomically

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


def socket(folder: Path) -> Path:
    """Where the bus of the guest with this folder listens."""
    return folder / "dbus.sock"


async def start(domain: Domain, folder: Path, log: int) -> None:
    """Start the bus if a display wants it.  Raises HostError if there is no program, or it does not listen."""
    path = socket(folder)
    wanted = any(
        each.type is GraphicsType.DBUS and each.address == f"unix:path={path}" for each in domain.devices.graphics
    )
    if not wanted:
        return
    program = shutil.which("dbus-daemon")
    if program is None:
        raise HostError("dbus-daemon is not installed, which a D-Bus display needs", hint="apt install dbus-daemon")
    config = folder / "dbus.conf"
    write_atomically(config, _CONFIG.format(path.name).encode())
    argv = [program, f"--config-file={config}", "--nofork", "--nopidfile", "--nosyslog"]
    await helpers.listening(helpers.start(argv, "dbus", folder, log=log), path)
