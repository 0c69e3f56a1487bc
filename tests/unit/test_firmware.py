"""Which firmware a guest gets that asks for a kind, not for a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vmherd.conf.domain import Domain, check, complete, parse_domain
from vmherd.conf.domain.os import Nvram
from vmherd.errors import DocumentError, HostError
from vmherd.hypervisors.qemu.host import firmware

Q35 = {"architecture": "x86_64", "machines": ["pc-q35-*"]}


def build(name: str, *features: str, mode: str = "split", interface: str = "uefi") -> dict[str, Any]:
    flash: dict[str, Any] = {"device": "flash", "mode": mode, "executable": {"filename": f"/{name}", "format": "raw"}}
    if mode == "split":
        flash["nvram-template"] = {"filename": f"/{name}.vars", "format": "raw"}
    mapping = flash if interface == "uefi" else {"device": "memory", "filename": f"/{name}"}
    return {"interface-types": [interface], "mapping": mapping, "targets": [Q35], "features": list(features)}


BUILDS = firmware.read(
    (str(number), json.dumps(each))
    for number, each in enumerate(
        [
            build("bios", "acpi-s3", interface="bios"),
            build("combined", "secure-boot", "requires-smm", mode="combined"),
            build("keys", "acpi-s3", "secure-boot", "requires-smm", "enrolled-keys"),
            build("secure", "acpi-s3", "secure-boot", "requires-smm"),
            build("stateless", "amd-sev", "amd-sev-es", mode="stateless"),
            build("plain", "acpi-s3", "acpi-s4", "amd-sev"),
        ]
    )
)


def chosen(inside: str = "", *, kind: str = "efi", machine: str = "pc-q35-7.2", beside: str = "") -> Domain:
    text = f"""
    <domain type='qemu'><name>box</name><memory>1</memory>{beside}
      <os firmware='{kind}'><type arch='x86_64' machine='{machine}'>hvm</type>{inside}</os>
    </domain>"""
    domain = parse_domain(text)
    complete(domain)
    check(domain)
    firmware.choose(domain, BUILDS, Path("/vars"))
    return domain


def feature(name: str, enabled: str) -> str:
    return f"<feature enabled='{enabled}' name='{name}'/>"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "/keys"),
        ({"kind": "bios"}, "/bios"),
        ({"inside": f"<firmware>{feature('enrolled-keys', 'no')}</firmware>"}, "/secure"),
        ({"inside": f"<firmware>{feature('secure-boot', 'no')}</firmware>"}, "/plain"),
        ({"inside": f"<firmware>{feature('enrolled-keys', 'yes')}</firmware>"}, "/keys"),
        ({"inside": "<loader stateless='yes'/>"}, "/stateless"),
        ({"inside": "<loader secure='yes'/>"}, "/keys"),
        ({"beside": "<features><smm state='off'/></features>"}, "/plain"),
        ({"beside": "<pm><suspend-to-disk enabled='yes'/></pm>"}, "/plain"),
        ({"beside": "<launchSecurity type='sev'><policy>0x0001</policy></launchSecurity>"}, "/plain"),
    ],
)
def test_the_first_build_that_is_what_the_guest_asks_for_is_taken(options: dict[str, str], expected: str) -> None:
    loader = chosen(**options).os.loader
    assert loader is not None
    assert loader.path == expected


def test_a_build_for_system_management_mode_switches_it_on() -> None:
    domain = chosen()
    assert domain.features is not None
    assert domain.features.smm is not None
    assert domain.features.smm.state is True
    assert domain.os.loader is not None
    assert domain.os.loader.secure is True


def test_variables_get_a_file_of_the_guests_name_unless_it_has_one() -> None:
    assert chosen().os.nvram == Nvram(template="/keys.vars", path="/vars/box_VARS.fd")
    own = chosen("<nvram template='/mine'>/my/vars</nvram>")
    assert own.os.nvram == Nvram(template="/mine", path="/my/vars")
    assert chosen("<loader stateless='yes'/>").os.nvram is None


def test_a_guest_that_no_build_suits_is_told_what_to_install() -> None:
    with pytest.raises(HostError, match="no efi firmware") as caught:
        chosen(machine="pc-i440fx-7.2")
    assert "ovmf" in caught.value.hint


def test_a_folder_of_the_administrator_overrides_that_of_the_distribution(tmp_path: Path) -> None:
    usual, own = tmp_path / "usual", tmp_path / "own"
    for folder, name, content in (
        (usual, "20-b", json.dumps(build("b"))),
        (usual, "10-a", json.dumps(build("a"))),
        (usual, "30-c", json.dumps(build("c"))),
        (own, "10-a", ""),
        (own, "20-b", json.dumps(build("mine"))),
    ):
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.json").write_text(content)
    mappings = [each.mapping for each in firmware.installed([usual, own, tmp_path / "none"])]
    files = [each.executable.filename for each in mappings if isinstance(each, firmware.Flash)]
    assert files == ["/mine", "/c"]


def test_a_descriptor_that_is_none_is_named() -> None:
    with pytest.raises(HostError, match=r"10-bad\.json: no firmware descriptor"):
        firmware.read([("10-bad.json", '{"mapping": 1}')])


@pytest.mark.parametrize(
    ("kind", "inside", "place"),
    [
        ("efi", "<loader>/code</loader>", "loader"),
        ("efi", "<loader readonly='yes'/>", "loader/@readonly"),
        ("efi", "<loader secure='no'/>", "loader/@secure"),
        ("efi", "<loader stateless='yes'/><nvram>/vars</nvram>", "nvram"),
        ("bios", "<nvram>/vars</nvram>", "nvram"),
        ("bios", "<loader stateless='no'/>", "loader/@stateless"),
        ("efi", f"<firmware>{feature('enrolled-keys', 'yes')}{feature('secure-boot', 'no')}</firmware>", "firmware"),
    ],
)
def test_a_choice_that_contradicts_itself_is_refused(kind: str, inside: str, place: str) -> None:
    with pytest.raises(DocumentError, match=f"domain/os/{place}"):
        chosen(inside, kind=kind)
