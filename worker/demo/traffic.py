"""A steady flow of requests with real rows, and what became of each: what the demo's user would be.

Single-threaded but for the callbacks of futures: the caller's loop calls `send_due` every few milliseconds.
"""

import collections
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from worker.client_calls import Prediction
from worker.client_errors import PredictError
from worker.demo.report import Sample
from worker.demo.training import Images

MOST_ROWS = 8
"""Requests carry 1 to so many rows, so that batches are made of requests of unequal size."""

Ask = Callable[[Mapping[str, npt.NDArray[np.float32]]], Future[Prediction]]


@dataclass(slots=True)
class _Sent:
    """A request under way; `done_at` is set by the future's callback, on the client's thread."""

    at: float
    digits: npt.NDArray[np.int64]
    future: Future[Prediction]
    done_at: float | None = None


class Traffic:
    """Sends `requests_per_second` of them, from the time of the first call on, however unevenly it is called.

    Args:
        ask: sends one request.
        held_out: what to send, over and over.
        requests_per_second: the rate.
        clock: seconds, monotonic.
        seed: of the requests' sizes.
    """

    def __init__(
        self,
        ask: Ask,
        held_out: Images,
        requests_per_second: float,
        clock: Callable[[], float],
        seed: int = 0,
    ) -> None:
        self._ask = ask
        self._held_out = held_out
        self._rate = requests_per_second
        self._clock = clock
        self._sizes = random.Random(seed)  # noqa: S311 - sizes, not secrets
        self._next_row = 0
        self._began: float | None = None
        self._sent = 0
        self._under_way: list[_Sent] = []
        self._samples: list[Sample] = []
        self._answered: collections.Counter[int] = collections.Counter()

    @property
    def samples(self) -> Sequence[Sample]:
        """Every request that has ended, as of the last `collect`."""
        return self._samples

    @property
    def outstanding(self) -> int:
        """Requests without an end, as of the last `collect`."""
        return len(self._under_way)

    def ask_once(self) -> Future[Prediction]:
        """A request of one row that is not part of the flow, and of no sample.

        Raises:
            PredictError: it cannot be sent.
        """
        return self._ask({"pixels": self._held_out.pixels[:1]})

    def send_due(self) -> int:
        """Send as many requests as the rate has made due, and say how many."""
        now = self._clock()
        if self._began is None:
            self._began = now
        due = int((now - self._began) * self._rate) + 1 - self._sent
        for _ in range(due):
            self._send()
        return due

    def collect(self) -> None:
        """Turn what has ended into samples."""
        still = []
        for sent in self._under_way:
            if sent.done_at is None:
                still.append(sent)
            else:
                self._samples.append(self._sample(sent, sent.done_at))
        self._under_way = still

    def answered(self) -> Mapping[int, int]:
        """How many requests each version has answered, as of the last `collect`."""
        return self._answered

    def _send(self) -> None:
        rows = self._sizes.randint(1, MOST_ROWS)
        places = np.arange(self._next_row, self._next_row + rows) % len(self._held_out.digit)
        self._next_row += rows
        self._sent += 1
        at = self._clock()
        try:
            future = self._ask({"pixels": self._held_out.pixels[places]})
        except PredictError as error:
            self._samples.append(Sample(at, self._clock(), rows, error=str(error)))
            return
        sent = _Sent(at, self._held_out.digit[places], future)
        self._under_way.append(sent)

        def ended(_: Future[Prediction]) -> None:
            sent.done_at = self._clock()

        future.add_done_callback(ended)

    def _sample(self, sent: _Sent, done_at: float) -> Sample:
        rows = len(sent.digits)
        error = sent.future.exception()
        if error is not None:
            return Sample(sent.at, done_at, rows, error=str(error))
        prediction = sent.future.result()
        if prediction.version is not None:
            self._answered[prediction.version] += 1
        return Sample(
            sent.at,
            done_at,
            rows,
            version=prediction.version,
            correct=int(np.sum(prediction["digit"] == sent.digits)),
        )
