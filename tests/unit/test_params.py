"""Parameters by name: each has one type, and a value must be of it."""

from __future__ import annotations

import pytest

from vmherd.driver import params
from vmherd.driver.params import Kind
from vmherd.errors import ArgumentUnsupported, InvalidArgument


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("vcpu_quota", Kind.LLONG),
        ("cpu_shares", Kind.ULLONG),
        ("weight", Kind.UINT),
        ("device_weight", Kind.STRING),
        ("numa_mode", Kind.INT),
        ("cmt", Kind.BOOLEAN),
        ("cputune.vcpupin12", Kind.STRING),
        ("blkdeviotune.read_iops_sec", Kind.ULLONG),
        ("nobody's", None),
        ("12", None),
    ],
)
def test_the_type_of_a_parameter_is_known_by_its_name(name: str, kind: Kind | None) -> None:
    assert params.kind_of(name) is kind


def test_a_name_has_the_same_type_wherever_it_is_used() -> None:
    for table in params.WRITABLE:
        assert {name: params.kind_of(name) for name in table} == dict(table)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"vcpu_quota": -1, "cpu_shares": 1 << 63}, None),
        ({"cpu_shares": -1}, "'cpu_shares', expected 'ullong'"),
        ({"vcpu_quota": True}, "expected 'llong'"),
        ({"vcpu_quota": "many"}, "expected 'llong'"),
        ({"weight": 500}, "parameter 'weight' not supported"),
    ],
)
def test_what_cannot_be_set_is_refused(given: params.Params, problem: str | None) -> None:
    if problem is None:
        params.check(given, params.SCHEDULER)
        return
    with pytest.raises((InvalidArgument, ArgumentUnsupported), match=problem):
        params.check(given, params.SCHEDULER)
