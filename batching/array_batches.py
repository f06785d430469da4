"""A function of arrays, run on a batch: rows together, rows apart, and an end for each task whatever happens.

A task that makes the function fail fails alone: the batch is searched for it (`batching.bisection`).
"""

import copy
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from batching import arrays, errors, merging, padding
from batching.array_task import ArrayTask
from batching.batch import Batch
from batching.bisection import Bisection

Function = Callable[[Any], Any]


def run(
    function: Function, batch: Batch[ArrayTask], allowed_batch_rows: Sequence[int], *, bisect: bool = True
) -> None:
    """Call a function with the rows of those tasks that are still wanted, and end each task of the batch.

    Tasks that were cancelled are left out, and without any other the function is not called. The batch's tasks have
    one layout. Where the function raises an `Exception` it is called with either half of the tasks, and so on,
    as far as `Bisection` lets it, unless not to *bisect*: who made it fail is the only one to get that. Tasks with
    ragged dimensions are run in several calls where one would be too large.

    Raises:
        BaseException: what the function raised, or what is wrong with what it returned, where no task has a result;
            each has it too.
    """
    try:
        tasks = [task for task in batch.tasks if task.start()]
        if tasks:
            _run_groups(function, _small_enough(tasks), allowed_batch_rows, bisect=bisect)
    except BaseException as error:
        for task in batch.tasks:
            task.fail(_own(error))  # those that have ended stay as they are
        raise


def _small_enough(tasks: list[ArrayTask]) -> list[list[ArrayTask]]:
    """Return the tasks in groups that are not too large when they are padded; nearly always one."""
    ragged = tasks[0].ragged
    if ragged is None or len(tasks) == 1:
        return [tasks]
    rows = [task.rows for task in tasks]
    groups = ragged.groups(arrays.keys_of(tasks[0].form), [task.arrays for task in tasks], rows)
    return [tasks[group.start : group.stop] for group in groups]


def _run_groups(
    function: Function, groups: list[list[ArrayTask]], allowed_batch_rows: Sequence[int], *, bisect: bool
) -> None:
    """Run each group, whatever becomes of the others; raise the last one's error where none has any result."""
    failed = 0
    for tasks in groups:
        try:
            _search(function, tasks, allowed_batch_rows, bisect=bisect)
        except Exception as error:
            failed += 1
            if failed == len(groups):
                raise
            for task in tasks:
                task.fail(_own(error))


def _search(
    function: Function, tasks: list[ArrayTask], allowed_batch_rows: Sequence[int], *, bisect: bool
) -> None:
    """Run the tasks together, and then in halves where that fails; raise what no part of them got through."""
    search = Bisection(len(tasks))
    groups = [tasks]
    any_result = False
    while groups:
        group = groups.pop()
        half = group is not tasks
        try:
            form, outputs = _call(function, group, allowed_batch_rows)
        except Exception as error:
            # What comes back wrong is the function's own fault, whatever it is given.
            worth_it = search.failed(half=half) and bisect and not isinstance(error, errors.BatchingError)
            if worth_it and len(group) > 1:
                middle = len(group) // 2
                groups += [group[middle:], group[:middle]]
                continue
            if not groups and not any_result:
                raise
            for task in group:
                task.fail(_own(error))
            continue
        search.succeeded(half=half)
        any_result = True
        for task, own in zip(group, zip(*outputs, strict=True), strict=True):
            task.finish(form, own)


def _call(
    function: Function, tasks: list[ArrayTask], allowed_batch_rows: Sequence[int]
) -> tuple[arrays.Form, list[list[arrays.Array]]]:
    """Return the form of the outputs and, for each array among them, each task's rows."""
    rows = [task.rows for task in tasks]
    padded_rows = padding.next_allowed(sum(rows), allowed_batch_rows)
    columns = zip(*(task.arrays for task in tasks), strict=True)
    form, ragged = tasks[0].form, tasks[0].ragged
    if ragged is None:
        merged = [merging.merge(column, padded_rows) for column in columns]
    else:
        keys = arrays.keys_of(form)
        merged = [ragged.merge(key, column, padded_rows) for key, column in zip(keys, columns, strict=True)]
    form, outputs = arrays.checked_output(function(arrays.put_together(form, merged)))
    return form, [_divided(output, tasks, rows, padded_rows) for output in outputs]


def _divided(
    output: arrays.Array, tasks: list[ArrayTask], rows: list[int], padded_rows: int
) -> list[arrays.Array]:
    """Return each task's rows of one output, as arrays that keep nobody else's rows in memory.

    A piece's rows are copied when the pieces are joined, and the output of a single task is given to it as it is.
    """
    parts = merging.split_rows(output, rows, padded_rows)
    return [
        part if part is output or task.is_piece else part.copy()
        for part, task in zip(parts, tasks, strict=True)
    ]


def _own(error: BaseException) -> BaseException:
    """Return an error for one task: a copy, so that threads that raise it do not write into one traceback.

    Where no faithful copy can be made the tasks share the error. What would end a caller's thread or loop is wrapped.
    """
    if not isinstance(error, Exception):
        failed = errors.FunctionFailed(f"the function raised {type(error).__name__}: {error}")
        failed.__cause__ = error
        return failed
    try:
        copied = copy.copy(error)
        faithful = type(copied) is type(error) and copied.args == error.args and str(copied) == str(error)
    except Exception:  # noqa: BLE001 - an error's own methods may raise anything
        return error
    if not faithful:
        return error
    copied.__cause__, copied.__context__ = error.__cause__, error.__context__
    copied.__suppress_context__ = error.__suppress_context__
    return copied.with_traceback(_outside(error.__traceback__))


def _outside(traceback: TracebackType | None) -> TracebackType | None:
    """Return it without the frames of this module: they know every task, each of which would keep all others alive."""
    while traceback is not None and traceback.tb_frame.f_globals is globals():
        traceback = traceback.tb_next
    return traceback
