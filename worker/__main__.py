"""`headrace` and `python -m worker`."""

import sys

from worker import huge_pages, process_end

WORKER = "worker"


def main() -> None:
    """Run the command line of this process and end it with its exit status."""
    if WORKER in sys.argv[1:]:
        huge_pages.start_anew()
    from worker.commands.cli import run  # noqa: PLC0415 - what starts anew need not read it before

    process_end.end(run())


if __name__ == "__main__":
    main()
