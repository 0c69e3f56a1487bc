"""``python -m vmherd`` is the ``vmherd`` command."""

import sys

from vmherd.cli import main

if __name__ == "__main__":
    sys.exit(main())
