"""Requests of unlike lengths for a real SavedModel: one batch, padded where its signature leaves a dimension open."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.servable import Servable
from lifecycle.servable_id import ServableId
from schemas import headers
from schemas.errors import Code
from schemas.model_config import RAGGED, RAGGED_PAD_VALUES, SHADOW, SIGNATURES, SPLIT
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.fakes.request_path import Lab, Worker
from tests.kit.models import SavedModels

pytestmark = pytest.mark.tensorflow

ON: dict[str, Any] = {"ragged": True}
BAD = -13


class Watched:
    """The model, and what it was given; a batch with a bad number fails."""

    def __init__(self, servable: Servable) -> None:
        self._servable = servable
        self.runs: list[dict[str, npt.NDArray[Any]]] = []
        self.on_run: Callable[[], object] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._servable, name)

    def run(
        self, signature: str, inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]
    ) -> Mapping[str, npt.NDArray[Any]]:
        """Run it."""
        self.runs.append(dict(inputs))
        self.on_run()
        if (inputs["ids"] == BAD).any():
            raise FloatingPointError("too hard")
        return self._servable.run(signature, inputs, outputs)

    def shapes(self, name: str = "ids") -> list[tuple[int, ...]]:
        """The shapes of an input, run by run."""
        return [run[name].shape for run in self.runs]


@pytest.fixture(scope="module")
def servable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servable]:
    """The model, loaded once."""
    loader = SavedModelLoader(SavedModels(tmp_path_factory.mktemp("saved_models")).texts())
    loader.load()
    yield loader.servable
    loader.unload()


@pytest.fixture
def model(servable: Servable) -> Watched:
    """The same, watched."""
    return Watched(servable)


def serving(
    model: Watched, parameters: Mapping[str, bytes] | None = None, **batching: Any
) -> tuple[Lab, Worker]:
    """A worker with the model as `m`, version 1, whose config has these parameters."""
    lab = Lab()
    servable: Any = model
    lab.servables[ServableId("m", 1)] = servable
    lab.set_model(parameters=parameters or {})
    return lab, lab.worker(batching=batching).join()


def text(*tokens: int, rows: int = 1, **fields: Any) -> PredictRequest:
    """A request of so many rows, each of these tokens."""
    ids = np.array([tokens] * rows, np.int64).reshape(rows, len(tokens))
    words = np.array([[f"{token}." for token in tokens]] * rows, object).reshape(ids.shape)
    arrays = {
        "ids": ids,
        "mask": np.ones_like(ids, bool),
        "words": np.vectorize(str.encode, [object])(words) if words.size else words,
        "pair": np.full((rows, 2), len(tokens), np.float32),
    }
    return PredictRequest("m", inputs=tuple(Tensor.from_numpy(*each) for each in arrays.items()), **fields)


def ask(lab: Lab, worker: Worker, requests: Sequence[PredictRequest]) -> list[PredictReply]:
    """Send all before the worker looks; the replies in the order of the requests."""
    for n, each in enumerate(requests):
        lab.send(PredictRequest(each.model, id=str(n), inputs=each.inputs))
    worker.until_committed(len(requests))
    replies = {reply.id: reply for reply in lab.replies()}
    assert len(lab.replies()) == len(requests)
    return [replies[str(n)] for n in range(len(requests))]


def outputs(reply: PredictReply) -> dict[str, Any]:
    """Its outputs as plain values."""
    assert not reply.error, reply.error
    return {tensor.name: tensor.to_numpy().tolist() for tensor in reply.outputs}


def assert_own(reply: PredictReply, tokens: Sequence[int], rows: int = 1) -> None:
    """It answers that text, whoever was in the batch with it."""
    own = outputs(reply)
    assert own["sums"] == [sum(tokens)] * rows
    assert own["text"] == ["".join(f"{token}." for token in tokens).encode()] * rows
    assert own["same"] == [[len(tokens)] * 2] * rows
    assert all(row[: len(tokens)] == list(tokens) for row in own["padded"])


def test_without_it_lengths_share_no_batch(model: Watched) -> None:
    """Off by default: nothing is padded."""
    lab, worker = serving(model)
    texts = [(1, 2), (3,), (4, 5)]

    for reply, tokens in zip(ask(lab, worker, [text(*each) for each in texts]), texts, strict=True):
        assert_own(reply, tokens)
    assert sorted(model.shapes()) == [(1, 1), (2, 2)]


def test_unlike_lengths_share_a_batch(model: Watched) -> None:
    """Of all dtypes, also a text without any token; each reply is of its own rows, as long as the batch was."""
    lab, worker = serving(model, **ON)
    texts = [(1, 2), (3,), (4, 5, 6), ()]
    replies = ask(lab, worker, [text(*each) for each in texts])

    for reply, tokens in zip(replies, texts, strict=True):
        assert_own(reply, tokens)
    assert model.shapes() == [(4, 3)]
    assert model.shapes("pair") == [(4, 2)]
    assert model.runs[0]["words"].tolist()[1] == [b"3.", b"", b""]
    assert outputs(replies[1])["padded"] == [[3, 0, 0]]


def test_buckets_pad_values_and_allowed_rows(model: Watched) -> None:
    """What is set is what the model sees; a fixed dimension is in no bucket."""
    lab, worker = serving(
        model,
        **ON,
        ragged_buckets=(4, 8),
        ragged_pad_values=("ids=7", "words=[PAD]", "mask=false"),
        max_batch_rows=4,
        allowed_batch_rows=(4,),
    )
    texts = [(1, 2), (3,)]
    for reply, tokens in zip(ask(lab, worker, [text(*each) for each in texts]), texts, strict=True):
        assert outputs(reply)["sums"] == [sum(tokens)]

    assert model.runs[0]["ids"].tolist() == [[1, 2, 7, 7], *[[3, 7, 7, 7]] * 3]
    assert model.runs[0]["words"].tolist()[0] == [b"1.", b"2.", b"[PAD]", b"[PAD]"]
    assert model.shapes("pair") == [(4, 2)]


@pytest.mark.parametrize(
    ("said", "worker_says", "lengths"),
    [
        ({RAGGED: b"on"}, {}, [2]),
        ({RAGGED: b"8"}, {"ragged": True, "ragged_buckets": (4,)}, [8]),
        ({RAGGED: b"on"}, {"ragged_buckets": (4,)}, [2]),
        ({RAGGED: b"off"}, {"ragged": True}, [1, 2]),
        ({}, {"ragged": True}, [2]),
        ({RAGGED_PAD_VALUES: b"ids=5"}, {}, [1, 2]),
        ({SIGNATURES: b'{"serving_default": {"ragged": "4"}}', RAGGED: b"off"}, {}, [4]),
        ({SIGNATURES: b'{"other": {"ragged": "on"}}'}, {}, [1, 2]),
    ],
    ids=str,
)
def test_what_a_model_says_goes_before_what_the_worker_says(
    model: Watched, said: Mapping[str, bytes], worker_says: Mapping[str, Any], lengths: list[int]
) -> None:
    """Each parameter by itself."""
    lab, worker = serving(model, said, **worker_says)
    ask(lab, worker, [text(1, 2), text(3)])

    assert sorted(length for _, length in model.shapes()) == lengths


def test_a_model_that_changes_its_mind_is_batched_so_from_then_on(model: Watched) -> None:
    """Its next requests have new queues, and its own pad values."""
    lab, worker = serving(model)
    ask(lab, worker, [text(1, 2), text(3)])
    lab.set_model(parameters={RAGGED: b"on", RAGGED_PAD_VALUES: b"ids=5"})
    lab.send(text(1, 2))
    lab.send(text(3))
    worker.until_committed(4)

    assert model.runs[-1]["ids"].tolist() == [[1, 2], [3, 5]]


def test_a_pad_value_that_its_input_does_not_take_is_told_and_nothing_is_padded(
    model: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """Wrong numbers would be worse than small batches."""
    lab, worker = serving(model, **ON, ragged_pad_values=("ids=[PAD]",))
    texts = [(1, 2), (3,)]

    for reply, tokens in zip(ask(lab, worker, [text(*each) for each in texts]), texts, strict=True):
        assert_own(reply, tokens)
    assert len(model.runs) == 2
    assert "inputs cannot be padded as is set" in caplog.text


def test_the_text_at_fault_fails_alone(model: Watched) -> None:
    """Bisection works with parts of unlike lengths."""
    lab, worker = serving(model, **ON)
    texts = [(1,), (2, 2), (BAD, 1, 1, 1), (3,), (4, 4, 4)]
    replies = ask(lab, worker, [text(*each) for each in texts])

    assert [reply.error.code if reply.error else None for reply in replies] == [
        Code.INTERNAL if BAD in tokens else None for tokens in texts
    ]
    for reply, tokens in zip(replies, texts, strict=True):
        if BAD not in tokens:
            assert_own(reply, tokens)


def test_blocks_are_split_between_requests_of_unlike_lengths(model: Watched) -> None:
    """Batches of four rows at most, of requests of one to three rows."""
    lab, worker = serving(model, **ON, max_batch_rows=4)
    texts = [((n % 5 + 1) * (n,), n % 3 + 1) for n in range(20)]
    replies = ask(lab, worker, [text(*tokens, rows=rows) for tokens, rows in texts])

    for reply, (tokens, rows) in zip(replies, texts, strict=True):
        assert_own(reply, tokens, rows)
    assert all(rows <= 4 for rows, _ in model.shapes())
    assert len(model.runs) < len(texts)


def test_a_batch_is_bounded_by_its_bytes_padded(model: Watched) -> None:
    """One long text among short ones does not make all of them as long."""
    most_bytes = 4000
    lab, worker = serving(model, **ON, max_batch_bytes=most_bytes, max_batch_rows=16)
    texts = [(1,)] * 10 + [(2,) * 150] + [(3, 3)] * 10
    replies = ask(lab, worker, [text(*each) for each in texts])

    for reply, tokens in zip(replies, texts, strict=True):
        assert_own(reply, tokens)
    assert len(model.runs) < 8
    assert all(sum(array.nbytes for array in run.values()) <= most_bytes for run in model.runs)


def test_dimensions_that_are_long_in_unlike_inputs_are_run_apart(model: Watched) -> None:
    """Each request is small by itself; padded to each other's dimensions they would not be."""
    most_bytes = 2100
    lab, worker = serving(model, **ON, max_batch_bytes=most_bytes, max_batch_rows=4)
    many_ids, many_words = text(*[1] * 55), text(*[1] * 60)
    few = {tensor.name: tensor for tensor in text().inputs}
    replies = ask(
        lab,
        worker,
        [
            *[
                PredictRequest(
                    "m", inputs=tuple(few["words"] if t.name == "words" else t for t in many_ids.inputs)
                )
            ]
            * 2,
            *[
                PredictRequest(
                    "m",
                    inputs=tuple(few[t.name] if t.name in ("ids", "mask") else t for t in many_words.inputs),
                )
            ]
            * 2,
        ],
    )

    assert [outputs(reply)["sums"] for reply in replies] == [[55], [55], [0], [0]]
    assert [len(outputs(reply)["text"][0]) for reply in replies] == [0, 0, 120, 120]
    assert model.shapes() == [(2, 55), (2, 0)]
    assert all(sum(array.nbytes for array in run.values()) <= most_bytes for run in model.runs)


def test_requests_of_more_rows_than_a_batch_are_run_in_parts(model: Watched) -> None:
    """Padded together, and cut into parts of a batch's rows."""
    lab, worker = serving(model, **ON, max_batch_rows=2, max_request_rows=8)
    texts = [((1, 2, 3), 5), ((4,), 4)]
    replies = ask(lab, worker, [text(*tokens, rows=rows) for tokens, rows in texts])

    for reply, (tokens, rows) in zip(replies, texts, strict=True):
        assert_own(reply, tokens, rows)
    assert all(rows <= 2 for rows, _ in model.shapes())


def test_a_request_that_is_late_is_left_out(model: Watched) -> None:
    """Behind a batch that takes two seconds; the rest of its own batch is padded without it."""
    lab, worker = serving(model, **ON, max_batch_rows=4)
    model.on_run = lambda: lab.clock.advance(2.0)
    lab.send(text(9, rows=4, id="before"))
    lab.send(text(1, 1, 1, 1, id="late"), headers=[(headers.TIMEOUT_MS, b"1000")])
    lab.send(text(2, id="short"))
    lab.send(text(3, 3, id="longer"))
    worker.until_committed(4)
    replies = {reply.id: reply for reply in lab.replies()}

    assert lab.codes() == {"before": 0, "late": Code.DEADLINE_EXCEEDED, "short": 0, "longer": 0}
    assert_own(replies["short"], (2,))
    assert_own(replies["longer"], (3, 3))
    assert model.shapes() == [(4, 1), (2, 2)]


def test_urgent_texts_are_filled_up_with_others_of_unlike_lengths(model: Watched) -> None:
    """Priorities have queues of their own, of one family; one run has both."""
    lab, worker = serving(model, **ON)
    lab.send(text(1, 2, 3, id="patient"), headers=[(headers.PRIORITY, b"1")])
    lab.send(text(4, id="urgent"), headers=[(headers.PRIORITY, b"9")])
    worker.until_committed(2)
    replies = {reply.id: reply for reply in lab.replies()}

    assert_own(replies["patient"], (1, 2, 3))
    assert_own(replies["urgent"], (4,))
    assert model.shapes() == [(2, 3)]


def test_a_model_that_finds_no_memory_is_run_with_fewer_rows_of_any_length(model: Watched) -> None:
    """Parts are cut and padded anew; nobody gets an error."""

    def look() -> None:
        if len(model.runs[-1]["ids"]) > 2:
            raise MemoryError

    model.on_run = look
    lab, worker = serving(model, **ON)
    texts = [(1,), (2, 2), (3, 3, 3), (4,)]
    for reply, tokens in zip(ask(lab, worker, [text(*each) for each in texts]), texts, strict=True):
        assert_own(reply, tokens)

    assert model.shapes() == [(4, 3), (2, 1), (2, 3)]


def test_a_shadow_is_tried_on_texts_of_unlike_lengths(servable: Servable) -> None:
    """In batches of its own, padded in the same way."""
    regular, tried = Watched(servable), Watched(servable)
    lab = Lab()
    for version, model in ((1, regular), (2, tried)):
        watched: Any = model
        lab.servables[ServableId("m", version)] = watched
    lab.set_model(versions=(1, 2), parameters={RAGGED: b"on", SPLIT: b"1=1", SHADOW: b"2=1"})
    worker = lab.worker().join()
    texts = [(1,), (2, 2)]
    replies = ask(lab, worker, [text(*each) for each in texts])
    worker.until(lambda: bool(tried.runs), "tried")

    for reply, tokens in zip(replies, texts, strict=True):
        assert_own(reply, tokens)
    assert regular.shapes() == tried.shapes() == [(2, 2)]


@settings(max_examples=25)
@given(
    texts=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4)), min_size=1, max_size=12),
    max_batch_rows=st.sampled_from([4, 6, 64]),
    buckets=st.sampled_from([b"on", b"4", b"2,8"]),
    most_bytes=st.sampled_from([1, 700, 1 << 20]),
)
def test_each_request_gets_its_own_rows(
    servable: Servable,
    texts: list[tuple[int, int]],
    max_batch_rows: int,
    buckets: bytes,
    most_bytes: int,
) -> None:
    """Whatever lengths come together, however many rows there are, and however little room."""
    model = Watched(servable)
    parameters = {RAGGED: buckets}
    lab, worker = serving(model, parameters, max_batch_rows=max_batch_rows, max_batch_bytes=most_bytes)
    requests = [text(*[n + 1] * length, rows=rows) for n, (length, rows) in enumerate(texts)]

    for n, reply in enumerate(ask(lab, worker, requests)):
        length, rows = texts[n]
        assert_own(reply, [n + 1] * length, rows)
    assert all(rows <= max_batch_rows for rows, _ in model.shapes())
