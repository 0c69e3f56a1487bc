"""Tests that need more of the kernel than it has here are run by test_helper_guest.py, in a guest with another one."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "VMHERD_HELPER_GUEST" in os.environ:
        return
    for item in items:
        if marker := item.get_closest_marker("kernel"):
            needs = ", ".join(marker.args)
            reason = f"needs {needs}: runs in the helper guest, by tests/system/test_helper_guest.py"
            item.add_marker(pytest.mark.skip(reason=reason))
