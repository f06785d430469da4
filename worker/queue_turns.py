"""In which turns the records that a queue has dealt out are worked on.

A record that ends its worker is dealt out again, and ends the next one, with everything that was taken together with
it. What has come back often is therefore taken one by one, and at the limit not given to a model any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from worker.kafka.share import Delivered


class DeliveryLimitError(Exception):
    """A request that was delivered as often as its queue delivers one, and never answered."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Records that are worked on together.

    Attributes:
        messages: the records.
        refusal: why they are not given to a model any more; None where they are.
    """

    messages: Sequence[Delivered]
    refusal: DeliveryLimitError | None = None


def turns(messages: Sequence[Delivered], limit: int) -> list[Turn]:
    """The turns of what one poll brought; *limit* is the group's limit of deliveries, at least 2.

    First what is at the limit: nobody gets it again. Then all that may go together. Then, one by one, what has one or
    two deliveries left: with two from the last to the first and with one from the first to the last, so that of all
    that was taken with a record that ends its worker those behind it are answered at one time and those before it at
    the other, and it alone goes on to the limit.
    """
    together: list[Delivered] = []
    backward: list[Delivered] = []
    forward: list[Delivered] = []
    spent: list[Delivered] = []
    for message in messages:
        count = message.delivery_count() or 1
        if count >= limit:
            spent.append(message)
        elif count == limit - 1:
            forward.append(message)
        elif count == limit - 2 and count > 1:
            backward.append(message)
        else:
            together.append(message)
    found: list[Turn] = []
    if spent:
        error = DeliveryLimitError(
            f"the request was delivered {limit} times, the most that there are, without an answer: it ended its "
            "worker, or took longer than the queue waits"
        )
        found.append(Turn(spent, error))
    if together:
        found.append(Turn(together))
    return found + [Turn([message]) for message in (*reversed(backward), *forward)]
