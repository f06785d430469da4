"""A SavedModel in memory: its signatures, each behind calls that were prepared beforehand."""

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle import saved_model_errors
from lifecycle.saved_model_session import Call
from lifecycle.saved_model_signatures import GraphSignature
from lifecycle.signature import Signature

MOST_SUBSETS = 4
"""Output subsets of one signature that get a call of their own; preparing each takes 10 to 20 ms."""

Array = npt.NDArray[Any]
Prepare = Callable[[Sequence[str], Sequence[str]], Call]


class SavedModelServable:
    """The servable of a SavedModel; thread-safe.

    Called under a handle. An output may share memory with an input that it repeats, so a caller does not
    write into its inputs while it keeps the outputs.
    """

    def __init__(self, signatures: Mapping[str, GraphSignature], prepare: Prepare) -> None:
        self._signatures = {name: found.signature for name, found in signatures.items()}
        self._calls = {name: SignatureCalls(found, prepare) for name, found in signatures.items()}

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Each way to call it, by name."""
        return self._signatures

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        """Run one signature; no outputs named means all of them.

        Raises:
            InvalidInput: the model refuses these values (a shape that its operations cannot combine, a failed
                assertion).
            OutOfMemory: memory ran out.
            ExecutionInterrupted: the call was cut off; it may succeed later.
            ExecutionFailed: any other failure of the model.
        """
        try:
            return self._calls[signature].run(inputs, outputs)
        except Exception as error:
            raise saved_model_errors.run_error(error, signature) from error

    def close(self) -> None:
        """Drop every prepared call; nothing runs any more."""
        self._calls.clear()


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    """A prepared call, and where in its results each output stands."""

    call: Call
    positions: Mapping[str, int]


class SignatureCalls:
    """The prepared calls of one signature: one for all outputs, and a few for subsets of them.

    A subset beyond `MOST_SUBSETS` fetches all outputs and leaves some out afterwards, because preparing a
    call for each subset that requests can name would take more time and memory than it saves.
    """

    def __init__(self, found: GraphSignature, prepare: Prepare) -> None:
        self._found = found
        self._prepare = prepare
        self._inputs = tuple(found.signature.inputs)
        self._feeds = [found.input_tensors[name] for name in self._inputs]
        self._strings = {name for name, spec in found.signature.outputs.items() if spec.dtype == "DT_STRING"}
        # TensorFlow refuses to fetch what is fed; such an output is the input itself.
        self._repeats_inputs = not found.output_tensors.keys().isdisjoint(self._fed_outputs())
        self._lock = threading.Lock()
        self._all = self._plan(tuple(found.signature.outputs))
        self._subsets: dict[frozenset[str], _Plan] = {frozenset(found.signature.outputs): self._all}

    @property
    def prepared_subsets(self) -> int:
        """How many proper subsets of the outputs have a call of their own."""
        return len(self._subsets) - 1

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """The wanted outputs (all, when none is named) in the order in which they are named."""
        plan = self._plan_for(frozenset(outputs)) if outputs else self._all
        feeds = [inputs[name] for name in self._inputs]
        values = plan.call(*feeds)
        if self._repeats_inputs:
            values = [*values, *map(np.asarray, feeds)]
        return {
            name: self._array(name, values[plan.positions[name]])
            for name in outputs or self._found.signature.outputs
        }

    def _plan_for(self, wanted: frozenset[str]) -> _Plan:
        plan = self._subsets.get(wanted)
        if plan is not None:
            return plan
        if len(self._subsets) > MOST_SUBSETS:
            return self._all
        with self._lock:
            if wanted not in self._subsets and len(self._subsets) <= MOST_SUBSETS:
                self._subsets[wanted] = self._plan(tuple(sorted(wanted)))
            return self._subsets.get(wanted, self._all)

    def _plan(self, outputs: Sequence[str]) -> _Plan:
        tensors = {name: self._found.output_tensors[name] for name in outputs}
        fetches = list(dict.fromkeys(tensor for tensor in tensors.values() if tensor not in self._feeds))
        call = self._prepare(self._feeds, fetches) if fetches else _fetch_nothing
        order = [*fetches, *self._feeds]
        return _Plan(call, {name: order.index(tensor) for name, tensor in tensors.items()})

    def _fed_outputs(self) -> set[str]:
        return {name for name, tensor in self._found.output_tensors.items() if tensor in self._feeds}

    def _array(self, name: str, value: Any) -> Array:
        if isinstance(value, np.ndarray):
            return value
        if name in self._strings:  # NumPy would make a fixed-width string of it, and cut trailing zero bytes
            array = np.empty((), dtype=object)
            array[()] = value
            return array
        return np.asarray(value)


def _fetch_nothing(*_feeds: Array) -> Sequence[Array]:
    return ()
