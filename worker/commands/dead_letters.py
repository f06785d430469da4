"""`headrace dead-letters`: looks at what workers could not answer, and sends it again."""

from typing import TYPE_CHECKING, Any

import click

from worker.commands.dead_letter_options import (
    PlaceParam,
    filter_options,
    the_topic,
    topic_options,
    topics_of,
)
from worker.commands.options import output_option, settings_options
from worker.commands.output import Output

if TYPE_CHECKING:
    from worker.dead_letter_entries import Selection
    from worker.settings_loading import Loaded

DEFAULT_LIMIT = 100
DEFAULT_ATTEMPTS = 3
"""A record that has been refused so often is not refused for a reason that passes."""


@click.group("dead-letters")
def dead_letters() -> None:
    """Look at dead letters, and send them again.

    Workers write what they can neither read nor answer to dead-letter topics, with the reason in its headers.
    """


@dead_letters.command("list")
@topic_options
@filter_options
@click.option("--summary", is_flag=True, help="Count them by reason, source topic and worker.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=DEFAULT_LIMIT,
    show_default=True,
    help="Show the latest so many; 0: all.",
)
@settings_options
@output_option
def list_dead_letters(
    loaded: "Loaded",
    /,
    topic: str | None,
    binding: str | None,
    summary: bool,
    limit: int,
    output: Output,
    **filters: Any,
) -> None:
    """Show what is in the dead-letter topics, and why.

    Reads the topics to the end that they have now; nothing is changed, and no group's offsets move.

    \b
      headrace dead-letters list --summary
      headrace dead-letters list --since 2h --reason UnknownSchema
    """  # noqa: D301 - \b keeps click from joining the examples' lines
    from worker.commands.dead_letter_access import access_of  # noqa: PLC0415 - --help needs no Kafka
    from worker.commands.dead_letter_lists import show_entries, show_summary  # noqa: PLC0415 - likewise

    topics = topics_of(loaded.settings, topic, binding)
    selection = _selection(topics, **filters)
    access = access_of(loaded.settings)
    if summary:
        show_summary(access, topics, selection, output)
    else:
        show_entries(access, topics, selection, limit, output)


@dead_letters.command()
@click.argument("place", metavar="PARTITION:OFFSET", type=PlaceParam())
@topic_options
@settings_options
@output_option
def show(
    loaded: "Loaded", place: tuple[int, int], topic: str | None, binding: str | None, output: Output
) -> None:
    """Show one dead letter whole: where it came from, why, its headers and its payload.

    Of the payload its size, the hex of its beginning, and what of it can be read.
    """
    from worker.commands.dead_letter_access import access_of  # noqa: PLC0415 - --help needs no Kafka
    from worker.commands.dead_letter_views import show_dead_letter  # noqa: PLC0415 - likewise

    settings = loaded.settings
    which = the_topic(topics_of(settings, topic, binding), "PARTITION:OFFSET")
    show_dead_letter(access_of(settings), which, place, settings.wire.schema_files, output)


@dead_letters.command()
@click.argument("places", metavar="[PARTITION:OFFSET]...", nargs=-1, type=PlaceParam())
@topic_options
@filter_options
@click.option("--limit", type=click.IntRange(min=1), help="Send the oldest so many of them.")
@click.option(
    "--max-attempts",
    type=click.IntRange(min=1),
    default=DEFAULT_ATTEMPTS,
    show_default=True,
    help="Leave those that have been sent again so often.",
)
@click.option(
    "--same-partition", is_flag=True, help="To the partition they came from, not the one their key leads to."
)
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@settings_options
@output_option
def replay(
    loaded: "Loaded",
    /,
    topic: str | None,
    binding: str | None,
    places: tuple[tuple[int, int], ...],
    limit: int | None,
    max_attempts: int,
    same_partition: bool,
    dry_run: bool,
    yes: bool,
    output: Output,
    **filters: Any,
) -> None:
    """Send dead letters to the request topics that they came from.

    Those that the filters choose, or those at PARTITION:OFFSET. Key, value and own headers are as they were; the header
    headrace-replays counts how often. They stay in the dead-letter topic, and nothing remembers that they have been
    sent: the command prints the offsets from which a later one goes on (--from).

    \b
      headrace dead-letters replay --reason UnknownSchema --since 2h --dry-run
      headrace dead-letters replay 0:1234
    """  # noqa: D301 - \b keeps click from joining the examples' lines
    from worker.commands.dead_letter_access import access_of  # noqa: PLC0415 - --help needs no Kafka
    from worker.commands.dead_letter_options import sources_of  # noqa: PLC0415 - likewise
    from worker.commands.dead_letter_sending import Wish, replay_dead_letters  # noqa: PLC0415 - likewise
    from worker.dead_letter_replay import Rules  # noqa: PLC0415 - likewise

    settings = loaded.settings
    topics = topics_of(settings, topic, binding)
    wish = Wish(
        topics,
        _selection(topics, places, **filters),
        Rules(sources_of(settings), max_attempts),
        limit=limit,
        same_partition=same_partition,
        dry_run=dry_run,
        confirmed=yes,
    )
    replay_dead_letters(access_of(settings), wish, output)


def _selection(
    topics: tuple[str, ...], places: tuple[tuple[int, int], ...] = (), **filters: Any
) -> "Selection":
    """What the filters say."""
    from worker.dead_letter_entries import Selection  # noqa: PLC0415 - --help needs none of it

    if places:
        the_topic(topics, "PARTITION:OFFSET")
    if filters["starts"]:
        the_topic(topics, "--from")
    return Selection(
        filters["reason"],
        filters["model"],
        filters["since"],
        filters["until"],
        frozenset(places),
        filters["starts"] or {},
    )
