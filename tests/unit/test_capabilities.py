"""What hosts and hypervisors can do, as documents."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tried import untried

from vmherd.conf.capabilities import HostCapabilities, pretty
from vmherd.conf.domaincaps import Custom, DomainCapabilities
from vmherd.util.xmlmodel import Element, parse, render, unknown

DATA = Path(__file__).parent.parent / "data" / "capabilities"
DOCUMENTS = [(HostCapabilities, "host.xml"), (DomainCapabilities, "domain.xml")]


@pytest.mark.parametrize(("cls", "name"), DOCUMENTS)
def test_capabilities_read_and_write_back_unchanged(cls: type[Element], name: str) -> None:
    text = (DATA / name).read_text()
    document = parse(cls, text)
    assert unknown(cls, text) == []
    assert render(document) == text
    assert msgspec.json.decode(msgspec.json.encode(document), type=cls) == document


@pytest.mark.parametrize(("cls", "name"), DOCUMENTS)
def test_golden_files_use_every_field_of_their_own(cls: type[Element], name: str) -> None:
    assert not untried(cls, [parse(cls, (DATA / name).read_text())], "vmherd.conf.domain.")


def test_choices_are_found_by_name() -> None:
    found = parse(DomainCapabilities, (DATA / "domain.xml").read_text())
    assert found.devices is not None
    assert found.devices.disk is not None
    assert found.devices.disk.of("bus") == ["virtio", "sata"]
    assert found.devices.disk.of("model") == []
    assert found.cpu is not None
    custom = next(mode for mode in found.cpu.modes if isinstance(mode, Custom))
    assert [(model.name, model.usable) for model in custom.models] == [("Broadwell", "no"), ("Opteron_G1", "unknown")]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, (0, "B")),
        (1, (1, "B")),
        (1024, (1, "KiB")),
        (1536, (1536, "B")),
        (3 << 20, (3, "MiB")),
        (1 << 70, (1024, "EiB")),
    ],
)
def test_a_size_is_told_in_its_largest_whole_unit(size: int, expected: tuple[int, str]) -> None:
    assert pretty(size) == expected


def test_the_size_of_a_cache_is_also_known_in_bytes() -> None:
    cache = parse(HostCapabilities, (DATA / "host.xml").read_text()).host.cache
    assert cache is not None
    assert cache.banks[0].bytes == 15 << 20
