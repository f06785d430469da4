"""`headrace` and `python -m worker`."""

import sys

from worker.commands.cli import run


def main() -> None:
    """Run the command line of this process and end it with its exit status."""
    sys.exit(run())


if __name__ == "__main__":
    main()
