"""The ``vmherd`` command.

``app`` is the command with the table of its subcommands; each of those is in the module of its subject and is
imported when it is used.  ``command`` has what they share, ``failure`` turns errors into messages and exit codes,
``table`` draws.
"""


def main() -> int:
    """Run the command line; its exit code."""
    from vmherd.cli.app import run

    return run()
