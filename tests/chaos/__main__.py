"""`make chaos`: workers, a broker and versions under random faults; afterwards every request is accounted for."""

import argparse
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.faults import FAULTS
from tests.chaos.run import Plan, run
from tests.kit.broker import BrokerFailed
from tests.kit.maven_jars import JavaUnavailable


def main() -> int:
    """One run; 0 when each promise held, 1 when one did not, 2 when it could not be run."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long faults strike (default: 10)")
    parser.add_argument("--requests", type=int, default=500_000, help="sent in that time (default: 500,000)")
    parser.add_argument("--workers", type=int, default=4, help="how many there are (default: 4)")
    parser.add_argument("--loader", choices=("numpy", "saved_model"), default="numpy", help="of the model")
    parser.add_argument(
        "--mode",
        choices=("at_least_once", "exactly_once", "queue"),
        default="at_least_once",
        help="of delivery",
    )
    parser.add_argument(
        "--ordered",
        action="store_true",
        help="replies keep the order of their requests, and that is looked at",
    )
    parser.add_argument(
        "--pauses",
        type=float,
        nargs=2,
        metavar=("SHORTEST", "LONGEST"),
        help="seconds between two faults (default: 1 to 4; 25 to 35 with SavedModels, which take long to load)",
    )
    parser.add_argument("--protocol", choices=("classic", "consumer"), default="classic", help="of the group")
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=(), help="faults (default: all)")
    parser.add_argument("--seed", type=int, help="decides the faults (default: chance)")
    options = parser.parse_args()
    seed = secrets.randbits(32) if options.seed is None else options.seed
    usual = (1.0, 4.0) if options.loader == "numpy" else (25.0, 35.0)
    plan = Plan(
        seed,
        options.minutes * 60,
        options.requests,
        options.workers,
        tuple(options.pauses or usual),
        options.loader,
        options.mode,
        options.ordered,
        only=tuple(options.only),
        protocol=options.protocol,
    )
    folder = Path(tempfile.mkdtemp(prefix="headrace-chaos-"))
    _say(f"seed {seed}; logs in {folder}")
    try:
        verdict = run(plan, folder, _say)
    except (JavaUnavailable, BrokerFailed) as error:
        _say(f"cannot be run here: {error}")
        return 2
    except AssertionError as error:
        _say(f"FAILED: {error}\nagain: make chaos ARGS='--seed {seed}'; logs in {folder}")
        return 1
    _say(str(verdict))
    if failures := verdict.failures():
        _say("\n".join(["FAILED:", *failures, f"again: make chaos ARGS='--seed {seed}'; logs in {folder}"]))
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
