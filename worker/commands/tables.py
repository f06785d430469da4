"""`headrace tables`: makes versions of lookup tables and vocabularies out of files."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from worker.commands.failure import CommandFailedError
from worker.commands.options import output_option
from worker.commands.output import Output

KEY_DTYPES = ("DT_INT64", "DT_STRING")


def version_directory(_ctx: click.Context, _parameter: click.Parameter, value: Path) -> Path:
    """A directory that workers take for a version."""
    if not value.name.isdecimal():
        raise click.BadParameter(
            f"{value} is not named by a number; expected the directory of a version, as in models/users/1"
        )
    return value


def assignments(_ctx: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """`NAME=VALUE`, several times."""
    found = {}
    for text in value:
        name, equals, said = text.partition("=")
        if not equals or not name or not said:
            raise click.BadParameter(f"{text!r} is not understood; expected NAME=VALUE, as in vector=0")
        found[name] = said
    return found


_FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
_DIRECTORY = click.argument(
    "directory", type=click.Path(path_type=Path), metavar="DIR", callback=version_directory
)


@click.group()
def tables() -> None:
    """Make lookup tables and vocabularies out of files.

    A table is made as a version in a directory of its own, and then served like any other model: by
    `headrace models set --loader lookup_table`, or `vocabulary`. Neither a broker nor a worker is needed.
    """


@tables.command("make-lookup-table")
@_FILE
@_DIRECTORY
@click.option(
    "--key",
    default="keys",
    show_default=True,
    metavar="NAME",
    help="Column or array of the keys; the model's input has its name.",
)
@click.option("--key-dtype", type=click.Choice(KEY_DTYPES), help="What the keys of a CSV file are.")
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    callback=assignments,
    metavar="NAME=DTYPE",
    help="Dtype of an output of a CSV file; by default DT_FLOAT. May be repeated.",
)
@click.option(
    "--default",
    "defaults",
    multiple=True,
    callback=assignments,
    metavar="NAME=NUMBER,…",
    help="The row of an output for keys that are not there: one number, or all of its numbers; by default 0. May "
    "be repeated.",
)
@output_option
def make_lookup_table(
    file: Path,
    directory: Path,
    key: str,
    key_dtype: str | None,
    dtypes: Mapping[str, str],
    defaults: Mapping[str, str],
    output: Output,
) -> None:
    """Make the version DIR of a lookup table: rows of numbers by key.

    FILE is .npz: an array of the keys and an array of rows for each output. Or it is .csv: a line of names, then
    a line for each key. A column NAME gives the output NAME one number a key, columns NAME[0], NAME[1] … give it
    a row of as many.

    Exit status 1: a line of FILE cannot be used (it is named), a key stands twice, or DIR is there already.
    Nothing is left behind then.
    """
    from lifecycle import lookup_table_writer  # noqa: PLC0415 - --help needs no NumPy
    from worker import table_files  # noqa: PLC0415 - likewise

    default_rows = {name: _numbers(name, text) for name, text in defaults.items()}
    if table_files.is_npz(file):
        if key_dtype is not None or dtypes:
            raise click.UsageError(
                "the arrays of an .npz file have dtypes; leave out --key-dtype and --dtype"
            )

        def make() -> object:
            keys, rows = table_files.npz_table(file, key)
            return lookup_table_writer.write(directory, keys, rows, default_rows=default_rows, key_name=key)
    elif table_files.is_csv(file):
        if key_dtype is None:
            raise click.UsageError(
                f"say what the keys of a CSV file are: --key-dtype {' or '.join(KEY_DTYPES)}"
            )
        of_file = table_files.CsvTable(key, key_dtype, {n: _dtype(n, dtype) for n, dtype in dtypes.items()})

        def make() -> object:
            blocks = table_files.csv_table(file, of_file)
            return lookup_table_writer.write_blocks(
                directory, blocks, default_rows=default_rows, key_name=key
            )
    else:
        raise click.UsageError(f"{file} ends in neither .npz nor .csv, so nobody knows how to read it")
    _made(make, file, directory, output)


@tables.command("make-vocabulary")
@_FILE
@_DIRECTORY
@click.option(
    "--column",
    default="strings",
    show_default=True,
    metavar="NAME",
    help="Column of a CSV file, or array of an .npz file, that has the strings.",
)
@click.option(
    "--oov-buckets",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Ids behind those of the vocabulary that strings outside it share, by their hash.",
)
@click.option(
    "--default-id",
    type=click.IntRange(-(2**63), 2**63 - 1),
    default=-1,
    show_default=True,
    help="The id of a string outside the vocabulary, where there are no such buckets.",
)
@click.option(
    "--default-string", default="UNK", show_default=True, help="The string of an id outside the vocabulary."
)
@output_option
def make_vocabulary(
    file: Path,
    directory: Path,
    column: str,
    oov_buckets: int,
    default_id: int,
    default_string: str,
    output: Output,
) -> None:
    """Make the version DIR of a vocabulary: ids by string, and strings by id.

    FILE is a list with a string on each line, as TensorFlow's vocabulary files are; or .csv with a line of names
    first; or .npz. The first string gets the id 0, the next one 1, and so on.

    Exit status 1: FILE cannot be used, a string stands twice, or DIR is there already. Nothing is left behind
    then.
    """
    from lifecycle import vocabulary_writer  # noqa: PLC0415 - --help needs no NumPy
    from lifecycle.vocabulary_format import VocabularyOptions  # noqa: PLC0415 - likewise
    from worker import table_files  # noqa: PLC0415 - likewise

    options = VocabularyOptions(oov_buckets, default_id, default_string.encode("utf-8", "surrogateescape"))

    def make() -> object:
        return vocabulary_writer.write_blocks(directory, table_files.strings(file, column), options)

    _made(make, file, directory, output)


def _made(make: Callable[[], object], file: Path, directory: Path, output: Output) -> None:
    """Make a version and show it as `headrace inspect` does; every failure names the file's line where it has one."""
    from lifecycle.errors import DuplicateKey, InvalidTable  # noqa: PLC0415 - --help needs no NumPy
    from worker.commands.inspect_model import as_document, as_tables  # noqa: PLC0415 - likewise
    from worker.csv_lines import TableFileError  # noqa: PLC0415 - likewise
    from worker.model_directory import inspect_directory  # noqa: PLC0415 - likewise
    from worker.table_files import row_place  # noqa: PLC0415 - likewise

    try:
        make()
    except DuplicateKey as error:
        first, second = (row_place(file, row) for row in error.rows)
        raise CommandFailedError(
            f"{file} {second}: {_shown(error.key)} stands in {first} already; each may stand once"
        ) from error
    except (InvalidTable, TableFileError) as error:
        raise CommandFailedError(str(error)) from error
    versions = inspect_directory(directory)
    output.show(as_document(directory, versions), *as_tables(directory, versions))


def _shown(key: int | bytes) -> str:
    return repr(key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else key)


def _numbers(name: str, text: str) -> Any:
    """`0.5`, or `1,2,3`: whole numbers stay whole."""
    try:
        numbers = [_number(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not understood; expected numbers, as in {name}=0 or {name}=1,2,3",
            param_hint="--default",
        ) from None
    return numbers if len(numbers) > 1 else numbers[0]


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _dtype(name: str, text: str) -> str:
    from lifecycle import dtype_names  # noqa: PLC0415 - --help needs no NumPy

    dtype = None if text == "DT_BFLOAT16" else dtype_names.numpy_dtype(text)
    if dtype is None or dtype.kind not in "iuf":
        raise click.BadParameter(
            f"{name}={text}: expected the name of an integer or float dtype, such as DT_FLOAT or DT_INT64",
            param_hint="--dtype",
        )
    return text
