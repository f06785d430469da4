"""A command of `headrace` run in this process: quick, and its words kept apart."""

import contextlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.commands import cli


@dataclass(frozen=True)
class Ran:
    """How a command ended.

    Attributes:
        code: its exit status.
        out: what it wrote on standard output.
        err: what it wrote on standard error.
    """

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Everything that it wrote."""
        return self.out + self.err

    @property
    def document(self) -> Any:
        """Its standard output, read as JSON."""
        return json.loads(self.out)


def run(settings: Mapping[str, object], *arguments: str) -> Ran:
    """Run `headrace ARGUMENTS` with these settings, by dotted name."""
    given = [
        f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in settings.items()
    ]
    flags = [word for assignment in given for word in ("--set", assignment)]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.run([*arguments, *flags])
    return Ran(code, out.getvalue(), err.getvalue())
