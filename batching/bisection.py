"""How long to search a batch that failed for those who made it fail: in halves, within bounds.

A batch whose failure is one task's is cut in two and each half is run again, down to that task. With one such task
among n that takes at most 2 log₂(n) more runs. Where everything fails whatever it is run with there is nothing to find,
and where very many fail each of them is not worth its search: both are bounded here.
"""

RUNS_FOR_EACH_HALVING = 32
"""Enough to find sixteen tasks in a batch of any size; that for up to a hundred tasks is never reached."""


class Bisection:
    """The bounds of one batch's search; for one thread.

    Attributes:
        most_failures: so many runs in a row may fail before all is taken to fail: more than twice the search's depth.
        most_runs: so many runs of halves may be made; what is left then is run once more, in the pieces that it is
            in.
        runs: of halves that were made.
    """

    __slots__ = ("_failures_in_a_row", "most_failures", "most_runs", "runs")

    def __init__(self, tasks: int) -> None:
        """*tasks* is how many the batch has."""
        self.most_failures = 2 + 2 * tasks.bit_length()
        self.most_runs = RUNS_FOR_EACH_HALVING * tasks.bit_length()
        self.runs = 0
        self._failures_in_a_row = 0

    def succeeded(self, *, half: bool) -> None:
        """A run gave results; whether it was made of a *half*, so in the search, or would have been made anyway."""
        self.runs += half
        self._failures_in_a_row = 0

    def failed(self, *, half: bool) -> bool:
        """A run failed; return whether what it was run with is worth cutting."""
        self.runs += half
        self._failures_in_a_row += 1
        return not self.all_fail and not self.exhausted

    @property
    def all_fail(self) -> bool:
        """Whether so many runs have failed in a row that it is nobody's own fault."""
        return self._failures_in_a_row > self.most_failures

    @property
    def exhausted(self) -> bool:
        """Whether no further cut is worth its runs: too many tasks of the batch fail."""
        return self.runs >= self.most_runs
