"""The settings of claims: tensors whose data lies outside the records, because it is too large for them."""

from typing import Annotated

from pydantic import Field, field_validator

from worker.settings_group import PositiveSeconds, SettingsGroup
from worker.store_uris import normal_place


class ClaimsSettings(SettingsGroup):
    """Data that lies outside the records, by fsspec URI.

    Credentials are fsspec's own business: its files in `~/.config/fsspec`, its variables `FSSPEC_…`, and what the
    store's library (s3fs, gcsfs, adlfs …) reads. That library is installed beside headrace.
    """

    roots: tuple[str, ...] = ()
    """Places under which the data of requests may lie, as `s3://bucket/folder` or `file:///srv/claims`. None by
    default: whoever may write requests has workers read what lies there, with the workers' rights."""

    write_root: str = ""
    """Place under which the data of replies goes that are too large for their topic. Empty by default: such a reply
    is an error (RESOURCE_EXHAUSTED)."""

    request_bytes: Annotated[int, Field(ge=1)] = 67_108_864
    """Bytes that one request may claim, all its tensors together (at least 1). What is fetched counts in
    `delivery.budget_bytes`; 64 MiB is a fourth of it."""

    threads: Annotated[int, Field(ge=0, le=64)] = 4
    """Threads that fetch and write (0 to 64; 0 does it in the poll loop). Four, because a fetch mostly waits for its
    store: 64 MiB out of a file cost 70 ms of processor time, checksum included (measured). There are none while nothing
    is set above."""

    seconds: PositiveSeconds = 30.0
    """Seconds that fetching the data of one request, or writing that of one reply, may take with all its tries; then it
    is answered UNAVAILABLE. 64 MiB take 6 s at 100 Mbit/s."""

    keep_seconds: Annotated[float, Field(ge=1, le=31_536_000, allow_inf_nan=False)] = 86_400.0
    """Seconds after which this group's data is removed from `write_root` (1 to a year), at most ten minutes later. A
    day: whoever has not read a reply by then has other troubles; not less than the retention of the reply topic, where
    replies are read again."""

    @field_validator("roots")
    @classmethod
    def _are_roots(cls, roots: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(normal_place, roots))

    @field_validator("write_root")
    @classmethod
    def _is_a_root(cls, root: str) -> str:
        return normal_place(root) if root else ""
