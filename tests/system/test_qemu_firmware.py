"""Guests that boot with UEFI, chosen among the builds of this host, and what becomes of their variables."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from parts import make_disk

from vmherd.api.aio import Domain, Host
from vmherd.errors import HostError, InvalidState
from vmherd.hypervisors.qemu.host import firmware

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(not firmware.installed(), reason="there is no UEFI: install the package ovmf"),
]

GUEST = """
<domain type='qemu'>
  <name>modern</name>
  <memory unit='MiB'>128</memory>
  <os firmware='efi'>
    <type arch='x86_64' machine='q35'>hvm</type>
    <firmware><feature enabled='no' name='secure-boot'/></firmware>
  </os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='{disk}'/><target dev='sda' bus='sata'/>
    </disk>
    <serial type='pty'/>
  </devices>
</domain>
"""


async def hears(domain: Domain, word: bytes) -> None:
    console = await domain.open_console()
    heard = b""
    try:
        async with asyncio.timeout(120):
            while word not in heard:
                heard += await console.read()
    finally:
        await console.close()


async def test_a_guest_boots_with_uefi_and_its_variables_live_as_long_as_it_is_told(host: Host, tmp_path: Path) -> None:
    domain = await host.define(GUEST.format(disk=make_disk(tmp_path)))
    assert "<loader" not in await domain.xml(), "the choice is made at each start"
    await domain.start()
    live = await domain.xml()
    assert "type='pflash'" in live
    [variables] = tmp_path.rglob("modern_VARS.fd")
    await hears(domain, b"BdsDxe")
    await domain.poweroff()
    with pytest.raises(InvalidState, match="UEFI variables"):
        await domain.undefine()
    await domain.undefine(keep_nvram=True)
    assert variables.exists()
    domain = await host.define(GUEST.format(disk=tmp_path / "disk.qcow2"))
    await domain.undefine(keep_nvram=False)
    assert not variables.exists()


async def test_a_start_that_fails_leaves_no_variables(host: Host, tmp_path: Path) -> None:
    domain = await host.define(GUEST.format(disk=tmp_path / "missing.qcow2"))
    with pytest.raises(HostError, match="does not exist"):
        await domain.start()
    assert not [*tmp_path.rglob("modern_VARS.fd")]
    await domain.undefine()
