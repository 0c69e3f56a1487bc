"""The memory of a guest in a file: save, restore, managed save, dump."""

from __future__ import annotations

from vmherd.driver.base import Driver


class SavingOperations(Driver):
    """The memory of a guest in a file: save, restore, managed save, dump."""
