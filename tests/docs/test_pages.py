"""What the documentation tells people to type exists: commands, settings, variables, metrics, headers, links."""

import re
import tomllib
from pathlib import Path

import click
import pytest

from schemas import dead_letter, headers
from tests.docs.pages import PAGES, ROOT, Block, anchors, blocks, headrace_commands, local_links
from worker.commands.cli import cli
from worker.exit_codes import ExitCode
from worker.metrics_kinds import Kind
from worker.metrics_list import METRICS
from worker.settings import Settings, group_of
from worker.settings_loading import load_settings

COMMANDS = [(page, arguments) for page in PAGES for arguments in headrace_commands(page)]
BLOCKS = [block for page in PAGES for block in blocks(page)]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def understood(arguments: list[str]) -> click.Context:
    """What the command line makes of these arguments, without running anything."""
    context = click.Context(cli, info_name="headrace")
    command: click.Command = cli
    rest = arguments
    while rest and isinstance(command, click.Group):
        found = command.get_command(context, rest[0])
        assert found is not None, f"{rest[0]} is no command"
        command, rest = found, rest[1:]
    return command.make_context(command.name, list(rest), parent=context)


def named_in_words(arguments: list[str]) -> bool:
    """Whether a command is only named, as in "`headrace models set` writes it": nothing is to be typed."""
    return not any(argument.startswith("-") for argument in arguments)


@pytest.mark.parametrize(
    ("page", "arguments"), COMMANDS, ids=[f"{p.name}: headrace {' '.join(a)}"[:90] for p, a in COMMANDS]
)
def test_each_command_is_understood(
    page: Path, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line accepts each `headrace …` of the documentation, options and values included."""
    for folder in ("models/digits", "DIR"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("seven.json", "headrace.toml", "client.properties", "users.csv", "words.txt", "FILE"):
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path)
    placed = [argument.replace("/models/", "models/") for argument in arguments]
    try:
        context = understood(placed)
    except click.MissingParameter:
        assert named_in_words(placed), f"{page.name} leaves something out that the command needs"
        return
    except (click.exceptions.NoArgsIsHelpError, click.exceptions.Exit):
        return  # a group by itself, or --help
    with context:
        assert context.args == []


def test_the_tour_is_there() -> None:
    """The commands are found at all, so that the test above says something."""
    typed = {" ".join(arguments[:2]) for _, arguments in COMMANDS}

    assert typed >= {
        "topics create",
        "models set",
        "models wait",
        "models remove",
        "request digits",
        "status",
    }


@by_page
def test_each_variable_is_a_setting(page: Path) -> None:
    """Each HEADRACE_ variable is one that a worker takes."""
    for name in set(re.findall(r"\bHEADRACE_[A-Z0-9_]+[A-Z0-9]\b", TEXTS[page])) - {"HEADRACE_CONFIG"}:
        value = {"HEADRACE_LOG__FORMAT": "json", "HEADRACE_DELIVERY__BUDGET_ROWS": "10000"}.get(name, "x")
        value = "127.0.0.1" if name.endswith("HOST") else value
        value = "kafka:9092" if name.endswith("SERVERS") else value

        assert load_settings({}, {name: value}).origins


@by_page
def test_each_dotted_setting_exists(page: Path) -> None:
    """Each `group.name` between backticks whose group is one of the settings' is a setting."""
    groups = {name: group for name, field in Settings.model_fields.items() if (group := group_of(field))}
    for name, inner in re.findall(r"`(\w+)\.(\w+)(?: =[^`]*|=[^`]*)?`", TEXTS[page]):
        if name in groups and not (ROOT / name / f"{inner}.py").exists():
            assert inner in groups[name].model_fields, f"{name}.{inner}"


@by_page
def test_each_metric_exists(page: Path) -> None:
    """Each headrace_ name is a series of a worker's /metrics."""
    series = set()
    for metric in METRICS:
        suffixes = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
        series |= {metric.name, *(metric.name + suffix for suffix in suffixes)}
    for name in set(re.findall(r"\bheadrace_[a-z0-9_]+[a-z0-9]\b(?!\.(?:avro|jsonl))", TEXTS[page])):
        assert name in series, name


@by_page
def test_each_header_exists(page: Path) -> None:
    """Each `kafka_…` or `headrace-…` header is spelt as the code spells it."""
    known = {
        value
        for module in (headers, dead_letter)
        for value in vars(module).values()
        if isinstance(value, str)
    }
    for name in re.findall(r"`((?:kafka_|headrace-)[\w-]+)`", TEXTS[page]):
        assert name in known, name


@by_page
def test_each_local_link_leads_somewhere(page: Path) -> None:
    """Links to files and to headings resolve in a checkout."""
    for link in local_links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@by_page
def test_fences_are_closed(page: Path) -> None:
    """Each fenced block ends on a line of its own, or the rest of the page would be code."""
    fences = [line for line in TEXTS[page].splitlines() if "```" in line]

    assert all(line.startswith("```") for line in fences)
    assert len(fences) % 2 == 0
    assert all(line == "```" for line in fences[1::2])


@by_page
def test_no_generated_part_is_forgotten(page: Path) -> None:
    """Markers come in pairs."""
    marks = re.findall(r"<!-- ([\w-]+):(?:\w+:)?(start|whole|table|end) -->", TEXTS[page])

    assert marks[1::2] == [(name, "end") for name, _ in marks[0::2]]


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "python"], ids=str)
def test_each_python_block_compiles(block: Block) -> None:
    """A reader may paste it."""
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.language == "toml" and not b.text.startswith("[models.")], ids=str
)
def test_each_toml_block_is_a_settings_file(block: Block, tmp_path: Path) -> None:
    """A worker takes it as its settings; files of models are looked at in `test_operating`."""
    assert tomllib.loads(block.text)
    file = tmp_path / "headrace.toml"
    file.write_text(block.text, encoding="utf-8")

    assert load_settings({}, {}, file).origins


def test_each_exit_status_is_explained() -> None:
    """The README's table of exit statuses has those of the code."""
    table = re.findall(r"^\| (\d+) \|", TEXTS[ROOT / "README.md"].split("## Exit status")[1], re.MULTILINE)

    assert {int(status) for status in table} == {int(code) for code in ExitCode} | {130}
