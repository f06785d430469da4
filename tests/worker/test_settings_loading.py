"""Where settings come from, which source wins, and how a wrong one is told."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from worker.settings_loading import Loaded, Origin, SettingsInvalidError, load_settings


def load(
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
    config_file: Path | None = None,
) -> Loaded:
    """Settings from these sources and nothing else."""
    return load_settings(flags, environ or {}, config_file)


def problems(
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
    config_file: Path | None = None,
) -> list[str]:
    """What is wrong with these sources."""
    with pytest.raises(SettingsInvalidError) as caught:
        load(environ, flags, config_file)
    return str(caught.value).splitlines()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A settings file."""
    path = tmp_path / "headrace.toml"
    path.write_text('[kafka]\ngroup = "from-file"\n[http]\nport = 1\n[log]\nlevel = "debug"\n')
    return path


def test_flags_win_over_environment_over_file_over_defaults(file: Path) -> None:
    """Each value comes from the last source that gives it."""
    loaded = load(
        {"HEADRACE_HTTP__PORT": "2", "HEADRACE_LOG__LEVEL": "error"}, {"log.level": "warning"}, file
    )
    settings = loaded.settings

    assert (settings.kafka.group, settings.http.port, settings.log.level) == ("from-file", 2, "warning")
    assert settings.log.format == "text"


def test_each_value_knows_its_origin(file: Path) -> None:
    """An operator can see which line of what to change."""
    loaded = load({"HEADRACE_HTTP__PORT": "2"}, {"log.level": "warning"}, file)

    assert loaded.origin("kafka.group") == Origin("file", f"{file}: kafka.group")
    assert loaded.origin("http.port") == Origin("environment", "HEADRACE_HTTP__PORT")
    assert loaded.origin("log.level") == Origin("flag", "--set log.level")
    assert loaded.origin("log.format") == Origin("default")


def test_a_variable_names_the_file(file: Path) -> None:
    """`HEADRACE_CONFIG` stands for `--config`, and is no setting itself."""
    assert load({"HEADRACE_CONFIG": str(file)}).settings.kafka.group == "from-file"


def test_the_file_of_the_flag_wins_over_that_of_the_variable(file: Path) -> None:
    """Only one file is read."""
    assert load({"HEADRACE_CONFIG": "/nowhere"}, None, file).settings.kafka.group == "from-file"


def test_lists_and_tables_are_json_in_the_environment() -> None:
    """Bindings can be given without a file."""
    bindings = [{"name": "a", "request_topics": ["x"], "share": 0.5}]
    settings = load(
        {"HEADRACE_BINDINGS": json.dumps(bindings), "HEADRACE_BATCHING__ALLOWED_BATCH_ROWS": "[8, 1024]"}
    ).settings

    assert settings.bindings[0].request_topics == ("x",)
    assert settings.batching.allowed_batch_rows == (8, 1024)


def test_bindings_are_a_list_of_tables_in_a_file(tmp_path: Path) -> None:
    """A list replaces the default list whole."""
    path = tmp_path / "headrace.toml"
    path.write_text(
        '[[bindings]]\nname = "a"\nshare = 0.5\n[[bindings]]\nname = "b"\nrequest_topics = ["b"]\nshare = 0.5'
    )

    assert [b.name for b in load(config_file=path).settings.bindings] == ["a", "b"]


def test_a_client_property_can_have_a_variable_of_its_own() -> None:
    """A secret can be mounted as one variable; underscores stand for the dots of its name."""
    loaded = load(
        {
            "HEADRACE_KAFKA__PROPERTIES": '{"security.protocol": "SASL_SSL"}',
            "HEADRACE_KAFKA__PROPERTIES__SASL_PASSWORD": "s3cret",
        },
        {"kafka.properties.linger.ms": "5"},
    )

    assert loaded.settings.kafka.properties == {
        "security.protocol": "SASL_SSL",
        "sasl.password": "s3cret",
        "linger.ms": "5",
    }
    assert (
        loaded.origin("kafka.properties.sasl.password").place == "HEADRACE_KAFKA__PROPERTIES__SASL_PASSWORD"
    )


def test_variables_are_read_whatever_their_case() -> None:
    """A name in small letters is not silently ignored."""
    assert load({"headrace_kafka__group": "small"}).settings.kafka.group == "small"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("HEADRACE_KAFAK__GROUP", "HEADRACE_KAFKA__GROUP"),
        ("HEADRACE_KAFKA__GROOP", "HEADRACE_KAFKA__GROUP"),
        ("HEADRACE_HTTP_PORT", "HEADRACE_HTTP__PORT"),
        ("HEADRACE_WORKERID", "HEADRACE_WORKER_ID"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_name_that_was_meant(name: str, meant: str) -> None:
    """No name with our prefix is ignored."""
    assert problems({name: "x"}) == [f"{name}: is no setting; did you mean {meant}?"]


def test_a_misspelt_name_in_a_file_is_refused(tmp_path: Path) -> None:
    """At the top, in a group, and in a binding."""
    path = tmp_path / "headrace.toml"
    path.write_text('[kafak]\ngroup = "x"\n[kafka]\ngroop = "x"\n[[bindings]]\nshar = 0.5\n')

    assert sorted(problems(config_file=path)) == [
        f"{path}: bindings: [0].shar: is no setting; did you mean share?",
        f"{path}: kafak.group: is no setting; did you mean kafka?",
        f"{path}: kafka.groop: is no setting; did you mean kafka.group?",
    ]


def test_a_misspelt_flag_is_refused() -> None:
    """`--set` takes existing names only."""
    assert problems(flags={"kafka.groop": "x"}) == [
        "--set kafka.groop: is no setting; did you mean kafka.group?"
    ]
    assert problems(flags={"nothing.like.it": "x"}) == ["--set nothing.like.it: is no setting"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HEADRACE_SERVICE_HOST", "10.0.0.1"),
        ("HEADRACE_SERVICE_PORT_METRICS", "9464"),
        ("HEADRACE_PORT", "tcp://10.0.0.1:9464"),
        ("HEADRACE_PORT_9464_TCP_ADDR", "10.0.0.1"),
        ("HEADRACE_WORKER_PORT_9464_TCP", "tcp://10.0.0.1:9464"),
    ],
)
def test_what_kubernetes_says_of_a_service_is_left_alone(name: str, text: str) -> None:
    """A service named headrace does not keep its pods from starting."""
    assert load({name: text}).origins == {}


def test_every_wrong_value_is_told_at_once_and_where_it_stands(file: Path) -> None:
    """One message for each, naming variable, flag, or file and key, and what was expected."""
    file.write_text('[log]\nlevel = "loud"\n')
    environ = {
        "HEADRACE_DELIVERY__BUDGET_ROWS": "many",
        "HEADRACE_BATCHING__ALLOWED_BATCH_ROWS": "[1,",
        "HEADRACE_TOPICS__CONTROL": "a topic",
    }

    assert set(problems(environ, {"http.port": 70_000}, file)) == {
        "--set http.port: should be less than or equal to 65535, got 70000",
        f"{file}: log.level: should be 'debug', 'info', 'warning' or 'error', got 'loud'",
        "HEADRACE_BATCHING__ALLOWED_BATCH_ROWS: is not JSON, which a list or a table must be here",
        (
            "HEADRACE_DELIVERY__BUDGET_ROWS: should be a valid integer, "
            "unable to parse string as an integer, got 'many'"
        ),
        "HEADRACE_TOPICS__CONTROL: should be 1 to 249 letters, digits, '.', '_' and '-', got 'a topic'",
    }


def test_a_contradiction_is_told_at_the_value_that_was_given() -> None:
    """Not at the default that it contradicts, where the rule knows better."""
    (problem,) = problems({"HEADRACE_STATUS__LEASE_SECONDS": "6"})

    assert problem.startswith(
        "HEADRACE_STATUS__LEASE_SECONDS: 6 is less than twice status.interval_seconds (5)"
    )


def test_a_secret_is_not_quoted_in_an_error() -> None:
    """A wrong value of a secret's type is told without the value."""
    (problem,) = problems({"HEADRACE_KAFKA__PROPERTIES": '{"sasl.password": ["hidden"]}'})

    assert problem.endswith("should be a text, a number, true or false, got '********'")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[kafka.properties]\nsasl.password = 'hidden'", "got a table; quote names that have dots"),
        (b"[kafka]\nproperties = ['sasl.password=hidden']", "should be a table, got '********'"),
        (b"kafka = ['hidden']", "got '********'"),
    ],
    ids=["names without quotes", "a list", "all of kafka"],
)
def test_what_stands_around_a_secret_is_not_quoted_either(tmp_path: Path, content: bytes, said: str) -> None:
    """A table in the wrong place holds what would be a secret in the right one."""
    file = tmp_path / "headrace.toml"
    file.write_bytes(content)

    with pytest.raises(SettingsInvalidError) as caught:
        load_settings(None, {}, file)
    assert str(caught.value).endswith(said)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read: No such file"), (b"[kafka", "is not TOML"), (b"\xff", "is not TOML")],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None, said: str) -> None:
    """A worker never starts with defaults because its file was not there."""
    path = tmp_path / "headrace.toml"
    if content is not None:
        path.write_bytes(content)

    assert f"{path}: {said}" in problems(config_file=path)[0]


def test_a_flag_with_a_name_of_its_own_is_named_by_it() -> None:
    """Errors speak of what was typed."""
    with pytest.raises(SettingsInvalidError) as caught:
        load_settings({"http.port": 70_000}, {}, flag_names={"http.port": "--http-port"})

    assert str(caught.value).startswith("--http-port: should be")
