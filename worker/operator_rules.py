"""What the operator of a worker allows control records to ask for, beyond the form of a record."""

from collections.abc import Collection
from dataclasses import dataclass, field

from worker.base_path_roots import BasePathRoots

LOADERS_SETTING = "lifecycle.loaders"


@dataclass(frozen=True)
class OperatorRules:
    """The rules of one worker, from its settings; immutable, so any thread may ask.

    Attributes:
        roots: where base paths may lie.
        disabled_loaders: loaders that are here, and that `lifecycle.loaders` does not name.
    """

    roots: BasePathRoots = field(default_factory=BasePathRoots)
    disabled_loaders: Collection[str] = frozenset()

    def problem_of_loader(self, loader: str, enabled: Collection[str]) -> str | None:
        """Why a record may not name this loader; None when it may, or when it is not here at all."""
        if loader not in self.disabled_loaders:
            return None
        return (
            f"loader {loader!r} is not enabled on this worker, which has {', '.join(sorted(enabled)) or 'none'}; set "
            f"the model with one of these, or add it to {LOADERS_SETTING} and start the workers again"
        )
