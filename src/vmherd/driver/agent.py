"""What only somebody inside the guest can do: the guest agent."""

from __future__ import annotations

from vmherd.driver.base import Driver


class AgentOperations(Driver):
    """What only somebody inside the guest can do: the guest agent."""
