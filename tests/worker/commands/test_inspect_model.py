"""`headrace inspect`, as a shell runs it."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.kit import numpy_models
from tests.kit.models import SavedModels
from worker.commands import cli


def inspect(*arguments: object) -> Result:
    """Run `headrace inspect` with those arguments."""
    return CliRunner().invoke(cli.cli, ["inspect", *map(str, arguments)])


def test_one_version_is_shown_with_each_name_dtype_and_shape(tmp_path: Path) -> None:
    """A version's own directory gives its signatures; open sizes are question marks."""
    done = inspect(numpy_models.write_three_signatures(tmp_path, 3))

    assert done.exit_code == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0][:3] == ["version", "3", "(numpy)"]
    assert ["serving_default", "yes", "in", "x", "DT_FLOAT", "[?,", "64]"] in lines
    assert ["out", "scores", "DT_FLOAT", "[?,", "10]"] in lines
    assert ["strings", "yes", "in", "s", "DT_STRING", "[?]"] in lines


def test_a_base_path_shows_its_versions_in_order(tmp_path: Path) -> None:
    """Versions are the children named by numbers, counted as numbers."""
    for version in (10, 9):
        numpy_models.write_dense(tmp_path, version)
    (tmp_path / "notes").mkdir()

    found = json.loads(inspect(tmp_path, "--output", "json").stdout)

    assert [(each["version"], each["loader"]) for each in found["versions"]] == [(9, "numpy"), (10, "numpy")]


def test_json_says_the_same_to_programs(tmp_path: Path) -> None:
    """Open sizes are null, and every fact has a key."""
    directory = numpy_models.write_dense(tmp_path)

    done = inspect(directory, "--output", "json")

    assert json.loads(done.stdout) == {
        "path": str(directory),
        "versions": [
            {
                "version": 1,
                "path": str(directory),
                "loader": "numpy",
                "problem": None,
                "graphs": [
                    {
                        "tags": [],
                        "signatures": {
                            "serving_default": {
                                "method_name": "headrace/numpy",
                                "batchable": True,
                                "inputs": {"x": {"dtype": "DT_FLOAT", "shape": [None, 64]}},
                                "outputs": {
                                    "scores": {"dtype": "DT_FLOAT", "shape": [None, 10]},
                                    "best": {"dtype": "DT_INT64", "shape": [None]},
                                },
                            }
                        },
                        "unservable": {},
                    }
                ],
            }
        ],
    }


def test_a_wrong_version_is_told_beside_the_right_ones(tmp_path: Path) -> None:
    """The others are shown, the reason is given, and the exit status says that something is wrong."""
    numpy_models.write_dense(tmp_path, 1)
    (tmp_path / "2").mkdir()
    (numpy_models.write_dense(tmp_path, 3) / "weights.npy").unlink()

    done = inspect(tmp_path)

    assert done.exit_code == 1
    assert "serving_default" in done.stdout
    assert "there is no model: expected saved_model.pb or saved_model.pbtxt or model.json or" in done.stdout
    assert "weights.npy cannot be read: No such file" in done.stdout


def test_a_directory_without_a_model_fails_and_says_what_was_expected(tmp_path: Path) -> None:
    """An empty folder is neither a version nor a base path."""
    done = inspect(tmp_path)

    assert done.exit_code == 1
    assert (
        "or model.json or lookup_table.json or vocabulary.json or servable.json or *.keras in it"
        in done.stdout
    )
    assert json.loads(inspect(tmp_path, "--output", "json").stdout)["versions"] == []


def test_a_keras_model_is_recognised_and_checked_without_keras(tmp_path: Path) -> None:
    """Its signatures are known once it is loaded."""
    for version, config in (
        (1, {"module": "keras"}),
        (2, {"module": "our_layers", "class_name": "Doubling"}),
    ):
        (tmp_path / str(version)).mkdir()
        with zipfile.ZipFile(tmp_path / str(version) / "model.keras", "w") as archive:
            archive.writestr("config.json", json.dumps(config))

    done = inspect(tmp_path, "--output", "json")

    assert done.exit_code == 1
    right, wrong = json.loads(done.stdout)["versions"]
    assert (right["loader"], right["problem"]) == ("keras", None)
    assert "needs 'Doubling' of 'our_layers'" in wrong["problem"]


def test_a_missing_directory_is_a_usage_error(tmp_path: Path) -> None:
    """Nothing was tried, and the path is named."""
    done = inspect(tmp_path / "nowhere")

    assert done.exit_code == 2
    assert "does not exist" in done.stderr


@pytest.mark.tensorflow
def test_a_saved_model_is_shown_with_its_tags(tmp_path: Path) -> None:
    """A real SavedModel, with an open rank and a scalar among its signatures."""
    done = inspect(SavedModels(tmp_path).shapes())

    assert done.exit_code == 0
    assert "version 1 (saved_model)" in done.stdout
    assert "tags: serve" in done.stdout
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["any_rank", "no", "in", "x", "DT_FLOAT", "any", "rank"] in lines
    assert ["out", "count", "DT_INT32", "[]"] in lines


def test_inspecting_imports_no_tensorflow(tmp_path: Path) -> None:
    """The command answers at once."""
    numpy_models.write_dense(tmp_path)
    script = (
        "import sys\n"
        "from worker.commands import cli\n"
        "code = cli.run(['inspect', sys.argv[1]])\n"
        "assert 'tensorflow' not in sys.modules\n"
        "sys.exit(code)\n"
    )

    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, capture_output=True)

    assert done.returncode == 0, done.stderr
