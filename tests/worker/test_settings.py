"""The tree of settings: what it holds, and what it refuses whoever builds it."""

import os
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from worker.settings import Settings, all_fields, environment_name, new_worker_id
from worker.settings_kafka import Binding


@pytest.mark.parametrize("name", [name for name, _ in all_fields()])
def test_each_setting_says_what_it_means(name: str) -> None:
    """A setting without an explanation, or one of a single sentence, has no reason for its default."""
    description = dict(all_fields())[name].description or ""

    assert description.count(".") >= 2, description


@pytest.mark.parametrize("name", list(Binding.model_fields))
def test_each_field_of_a_binding_says_what_it_means(name: str) -> None:
    """A binding's fields are explained like settings."""
    assert (Binding.model_fields[name].description or "").count(".") >= 2


def test_settings_cannot_be_changed() -> None:
    """What a worker started with is what it runs with."""
    settings = Settings()

    with pytest.raises(ValidationError):
        settings.kafka.group = "other"


def test_the_constructor_does_not_look_at_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings built in a program or a test are the same everywhere."""
    monkeypatch.setenv("HEADRACE_KAFKA__GROUP", "other")

    assert Settings().kafka.group == "headrace"


def test_properties_are_not_shown_by_repr() -> None:
    """A log line with the settings gives no password away."""
    settings = Settings.model_validate({"kafka": {"properties": {"sasl.password": "hidden"}}})

    assert "hidden" not in repr(settings)


def test_errors_do_not_quote_what_was_given() -> None:
    """A traceback with a validation error gives no password away."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"kafka": {"properties": {"sasl.password": ["hidden"]}}})

    assert "hidden" not in str(caught.value)


def test_each_worker_gets_a_name_of_its_own() -> None:
    """Two workers on one host, or one that restarts, are told apart."""
    assert new_worker_id() != new_worker_id()
    assert f"-{os.getpid()}-" in Settings().worker_id


def test_the_environment_name_follows_the_groups() -> None:
    """The rule that the documentation gives for names."""
    assert environment_name("kafka.bootstrap_servers") == "HEADRACE_KAFKA__BOOTSTRAP_SERVERS"


def test_each_request_topic_has_its_dead_letter_topic() -> None:
    """By default under the name that other Kafka software gives it; one for all where it is named."""
    assert Binding(request_topics=("a", "b")).dead_letter_topics() == {"a-dlt", "b-dlt"}
    assert Binding(request_topics=("a", "b"), dead_letter_topic="c").dead_letter_topics() == {"c"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"bindings": []}, "at least one binding"),
        ({"bindings": [{}, {"request_topics": ["b"]}]}, "2 bindings are named 'default'"),
        (
            {"bindings": [{"share": 0.6}, {"name": "b", "request_topics": ["b"], "share": 0.6}]},
            "the shares of all bindings together are 1.2",
        ),
        (
            {"bindings": [{"share": 0.5}, {"name": "b", "share": 0.5}]},
            "request topic 'headrace.requests' is a request topic (binding 'default') already",
        ),
        ({"bindings": [{"request_topics": ["a", "a"]}]}, "request topic 'a' is a request topic"),
        (
            {"bindings": [{"reply_topic": "headrace.control"}]},
            "reply topic 'headrace.control' is the control",
        ),
        ({"bindings": [{"reply_topic": "headrace.status"}]}, "is the status topic already"),
        ({"bindings": [{"reply_topic": "headrace.requests"}]}, "is a request topic"),
        ({"bindings": [{"reply_topic": "headrace.requests-dlt"}]}, "is a dead-letter topic"),
        ({"bindings": [{"dead_letter_topic": "headrace.requests"}]}, "dead-letter topic"),
        ({"bindings": [{"request_topics": ["headrace.status"]}]}, "is the status topic already"),
        ({"topics": {"status": "headrace.control"}}, "is the control topic already"),
        ({"bindings": [{"allowed_reply_topics": ["("]}]}, "is no regular expression"),
        ({"status": {"interval_seconds": 10}}, "less than twice status.interval_seconds"),
        ({"delivery": {"revoke_drain_seconds": 60}}, "would look like a loop that hangs"),
        ({"limits": {"record_bytes": 300_000_000}}, "one record alone would not fit"),
        ({"batching": {"allowed_batch_rows": [8, 4, 1024]}}, "does not increase up to"),
        ({"batching": {"allowed_batch_rows": [8, 16]}}, "does not increase up to"),
        ({"batching": {"scheduler": "adaptive"}}, "chooses how many of batching.threads (1)"),
        ({"batching": {"ragged_buckets": [8, 8]}}, "the sizes must increase"),
        ({"batching": {"ragged_pad_values": ["=1"]}}, "'=1' is no pad value; expected INPUT=VALUE"),
    ],
    ids=str,
)
def test_settings_that_contradict_each_other_are_refused(given: dict[str, Any], said: str) -> None:
    """Values that cannot hold together are refused with the reason, before anything starts."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(given)

    assert said in str(caught.value)


def test_two_bindings_with_topics_of_their_own_are_accepted() -> None:
    """Bindings may share a reply topic, and shares may add up to one."""
    settings = Settings.model_validate(
        {"bindings": [{"share": 0.7}, {"name": "b", "request_topics": ["b"], "share": 0.3}]}
    )

    assert [binding.name for binding in settings.bindings] == ["default", "b"]


@pytest.mark.parametrize(
    "model", [Settings, *[type(getattr(Settings(), g)) for g in ("kafka", "http")], Binding]
)
def test_an_unknown_field_is_refused(model: type[BaseModel]) -> None:
    """A misspelt field is never taken for a default."""
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        model.model_validate({"misspelt": 1})
