"""The benchmarks' SavedModel as MLServer serves it: a runtime of one's own, as its documentation says to write one.

Imported by MLServer, in its own environment (`.build/peers`); nothing of headrace is imported here.
"""

from typing import Any

import mlserver
import numpy as np
import tensorflow as tf
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class SavedModelRuntime(mlserver.MLModel):  # type: ignore[misc]  # MLServer is not in the environment of the checks
    """One signature of a SavedModel. MLServer's event loop calls it, with a batch of requests merged to one."""

    async def load(self) -> bool:
        """Load the SavedModel that `parameters.uri` names, and call it once."""
        path = await mlserver.utils.get_model_uri(self._settings)
        self._loaded: Any = tf.saved_model.load(path)  # what holds the weights
        self._call: Any = self._loaded.signatures["serving_default"]
        width = self._call.structured_input_signature[1]["x"].shape[1]
        self._call(x=tf.constant(np.zeros((1, width), np.float32)))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """The scores of all rows."""
        rows = self.decode(payload.inputs[0], default_codec=NumpyCodec)
        scores = self._call(x=tf.constant(rows, tf.float32))["scores"].numpy()
        return InferenceResponse(
            model_name=self.name, id=payload.id, outputs=[NumpyCodec.encode_output("scores", scores)]
        )
