"""What the live workers report of one model: enough to read JSON by its signature, or to say why no reply came.

Pure, on the fleet's snapshot; for commands.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.dtype import DType
from schemas.servable_status import ServableState
from schemas.signature_spec import SignatureSpec
from worker.fleet import Fleet


class UnknownSignature(Exception):
    """The version that would be asked has no such signature, or one that no request can serve."""


@dataclass(frozen=True)
class KnownModel:
    """One model as the live workers report it.

    Attributes:
        model: its name.
        live_workers: how many workers are alive, whatever they serve.
        reported: versions that live workers report in whatever state, with their latest reason for not being available.
        available: versions that can answer now, each with its signatures by name.
    """

    model: str
    live_workers: int
    reported: Mapping[int, str]
    available: Mapping[int, Mapping[str, SignatureSpec]]

    def inputs(self, signature: str, version: int | None = None) -> dict[str, DType] | None:
        """The dtypes of a signature's inputs; None where no live worker has any version available.

        Without a version it is the signature of the highest available one, which is what workers choose. It also stands
        for a version that is not available, and for a label: so the request can go, and the worker's answer is the
        one that counts.

        Raises:
            UnknownSignature: the version does not have it, or one of its inputs has a dtype that no request can carry.
        """
        if not self.available:
            return None
        asked = version if version is not None and version in self.available else max(self.available)
        signatures = self.available[asked]
        found = signatures.get(signature)
        if found is None:
            raise UnknownSignature(
                f"version {asked} of model '{self.model}' has no signature '{signature}'; "
                f"it has {', '.join(sorted(signatures))}"
            )
        return {spec.name: _dtype(spec.dtype, spec.name) for spec in found.inputs}

    def advice(self, version: int | None = None) -> str:
        """Where to look when no reply has come."""
        if not self.live_workers:
            return "no worker is alive; start one with `headrace worker`, and see `headrace status`"
        alive = f"{self.live_workers} worker{'s are' if self.live_workers > 1 else ' is'} alive"
        if not self.reported:
            return f"{alive}, and none knows the model '{self.model}'; see `headrace models list`"
        if not self.available or (version is not None and version not in self.available):
            what = f"the model '{self.model}'" if version is None else f"version {version} of '{self.model}'"
            told = "; ".join(
                f"version {v}: {reason}" for v, reason in self.reported.items() if v not in self.available
            )
            served = ", ".join(map(str, sorted(self.available))) or "none"
            told = f" ({told})" if told else ""
            return (
                f"{alive}, and none has {what} available{told}; versions of it that can answer: {served}; "
                "see `headrace status`"
            )
        return f"{alive} and can serve it; see their logs and lag, and that they answer on this reply topic"


def known_model(fleet: Fleet, now_ms: float, model: str) -> KnownModel:
    """What is known of a model at this moment; lost workers do not count."""
    live = fleet.live(now_ms)
    reported: dict[int, str] = {}
    available: dict[int, dict[str, SignatureSpec]] = {}
    for status in fleet.servables(model=model):
        if status.worker in live:
            reported[status.version] = status.message or str(status.state)
            if status.state is ServableState.AVAILABLE:
                available[status.version] = {signature.name: signature for signature in status.signatures}
    return KnownModel(model, len(live), reported, available)


def _dtype(name: str, of_input: str) -> DType:
    found = DType.__members__.get(name, DType.UNKNOWN)
    if found is DType.UNKNOWN:
        raise UnknownSignature(f"the input '{of_input}' is {name}, which no request can carry")
    return found
