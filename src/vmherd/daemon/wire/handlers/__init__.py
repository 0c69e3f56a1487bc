"""The answers to calls, by subject."""

from importlib import import_module

_SUBJECTS = (
    "admin",
    "agent",
    "blocks",
    "connection",
    "control",
    "devices",
    "domain",
    "host",
    "interfaces",
    "lists",
    "native",
    "networkports",
    "networks",
    "nodedevs",
    "nwfilters",
    "own",
    "pools",
    "saving",
    "screen",
    "secrets",
    "security",
    "tuning",
    "volumes",
    "watching",
)


def load() -> None:
    """Make every handler known."""
    for subject in _SUBJECTS:
        import_module(f"{__name__}.{subject}")
