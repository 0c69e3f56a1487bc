"""What a person at the machine does: look at the screen, press keys, plug in a display."""

from __future__ import annotations

from vmherd.driver.base import Driver


class ScreenOperations(Driver):
    """What a person at the machine does: look at the screen, press keys, plug in a display."""
