"""Every record: out and back, and the stored bytes of every schema ever published."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalog import Catalog
from schemas.codec import Record, decode, encode
from schemas.model_config import HISTORY_LENGTH, ModelConfig
from schemas.predict_request import PredictRequest
from schemas.version_selection import SpecificVersions
from tests.schemas import golden_records, strategies

STORED = golden_records.stored()


@given(
    st.one_of(
        strategies.tensors(),
        strategies.statuses,
        strategies.requests(),
        strategies.replies,
        strategies.configs,
        strategies.servable_statuses,
        strategies.worker_statuses,
    )
)
def test_a_record_comes_back(record: Record) -> None:
    """Whatever a record holds, its bytes decode to the same record, unknown parameters included."""
    assert decode(encode(record), type(record)) == record


@given(strategies.requests())
def test_bytes_are_those_of_the_specification(request: PredictRequest) -> None:
    """A request's bytes are what an encoder written from Avro's specification writes."""
    assert encode(request) == strategies.request_bytes(request)


@pytest.mark.parametrize(
    ("name", "fingerprint"), STORED, ids=lambda part: part if isinstance(part, str) else ""
)
def test_stored_bytes_of_each_published_schema_decode(name: str, fingerprint: int) -> None:
    """A value stored when its schema was published is still read, as the record that it was."""
    record = golden_records.RECORDS[name]

    assert decode(STORED[name, fingerprint], type(record)) == record


@pytest.mark.parametrize("name", golden_records.RECORDS)
def test_stored_bytes_are_still_written(name: str) -> None:
    """What is written today is byte for byte what the latest schema's stored value holds."""
    fingerprint = Catalog.published().current(name).fingerprint

    assert encode(golden_records.RECORDS[name]) == STORED[name, fingerprint]


def test_each_published_schema_has_a_stored_value_and_stays() -> None:
    """The catalogue holds the fingerprints that have stored values: none missing, none removed."""
    assert {(known.record_name, known.fingerprint) for known in Catalog.published()} == set(STORED)


def test_a_config_hands_its_history_on() -> None:
    """The config after this one carries this one first, and ten past ones at most."""
    config = ModelConfig("/models/a")
    for revision in range(1, 15):
        config = ModelConfig(
            "/models/a", versions=SpecificVersions((revision,)), revision=revision, history=config.following()
        )

    assert [past.revision for past in config.history] == list(range(13, 13 - HISTORY_LENGTH, -1))
    assert decode(encode(config), ModelConfig) == config
