"""`headrace` and `python -m worker`."""

from worker import process_end
from worker.commands.cli import run


def main() -> None:
    """Run the command line of this process and end it with its exit status."""
    process_end.end(run())


if __name__ == "__main__":
    main()
