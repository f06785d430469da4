"""What many commands take, seen through a command that only keeps its settings."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from worker.commands.options import binding_options, setting_option, settings_options
from worker.settings_loading import Loaded, SettingsInvalidError


def load(*arguments: str) -> Loaded:
    """The settings that a command gets for these arguments."""
    kept: list[Loaded] = []

    @click.command()
    @settings_options
    @binding_options
    @setting_option("--http-port", "http.port", "Port.", type=int)
    def command(loaded: Loaded) -> None:
        kept.append(loaded)

    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return kept[0]


def test_without_flags_everything_is_default() -> None:
    """Options that are not given say nothing."""
    assert load().origins == {}


def test_a_flag_gives_its_setting() -> None:
    """And is named as the origin."""
    loaded = load("--bootstrap-server", "a:1,b:2", "--http-port", "0")

    assert (loaded.settings.kafka.bootstrap_servers, loaded.settings.http.port) == ("a:1,b:2", 0)
    assert loaded.origin("http.port").place == "--http-port"


def test_set_gives_any_setting() -> None:
    """Texts as they are, lists as JSON, client properties by their dotted names."""
    settings = load(
        "--set",
        "kafka.properties.ssl.ca.location=/x=y",
        "--set",
        "batching.allowed_batch_rows=[8,1024]",
    ).settings

    assert settings.kafka.properties == {"ssl.ca.location": "/x=y"}
    assert settings.batching.allowed_batch_rows == (8, 1024)


def test_a_flag_of_its_own_wins_over_set() -> None:
    """The more particular one."""
    assert load("--set", "http.port=1", "--http-port", "2").settings.http.port == 2


def test_topics_given_as_flags_make_the_only_binding() -> None:
    """What is not given is as in the default binding."""
    (binding,) = load("--request-topic", "a", "--request-topic", "b").settings.bindings

    assert (binding.request_topics, binding.reply_topic) == (("a", "b"), "headrace.replies")


def test_a_file_is_read(tmp_path: Path) -> None:
    """`--config` names it."""
    file = tmp_path / "x.toml"
    file.write_text("[http]\nport = 5\n")

    assert load("--config", str(file)).settings.http.port == 5


def test_a_wrong_flag_is_named_in_the_error() -> None:
    """As it was typed, not as the setting is called."""
    with pytest.raises(SettingsInvalidError, match=r"^--http-port: should be less"):
        load("--http-port", "70000")
    with pytest.raises(SettingsInvalidError, match=r"^--request-topic: "):
        load("--request-topic", "headrace.control")
