"""What the operator of a worker allows control records to ask for, beyond the form of a record."""

from collections.abc import Collection
from dataclasses import dataclass, field

from worker.base_path_roots import BasePathRoots

LOADERS_SETTING = "lifecycle.loaders"
MODELS_SETTING = "lifecycle.most_models"
VERSIONS_SETTING = "lifecycle.most_versions"


@dataclass(frozen=True)
class OperatorRules:
    """The rules of one worker, from its settings; immutable, so any thread may ask.

    Attributes:
        roots: where base paths may lie.
        disabled_loaders: loaders that are here, and that `lifecycle.loaders` does not name.
        most_models: how many models may be desired at once.
        most_versions: how many versions of one model may be.
    """

    roots: BasePathRoots = field(default_factory=BasePathRoots)
    disabled_loaders: Collection[str] = frozenset()
    most_models: int = 10_000
    most_versions: int = 1_000

    def problem_of_loader(self, loader: str, enabled: Collection[str]) -> str | None:
        """Why a record may not name this loader; None when it may, or when it is not here at all."""
        if loader not in self.disabled_loaders:
            return None
        return (
            f"loader {loader!r} is not enabled on this worker, which has {', '.join(sorted(enabled)) or 'none'}; set "
            f"the model with one of these, or add it to {LOADERS_SETTING} and start the workers again"
        )

    def problem_of_one_more(self, model: str, models: int) -> str | None:
        """Why a model that is not desired yet may not become so, beside that many others; None when it may."""
        if models < self.most_models:
            return None
        return (
            f"model {model!r} is one more than the {self.most_models:,} that this worker takes ({MODELS_SETTING}); "
            "remove others and set it again, or raise that setting and start the workers again"
        )

    def problem_of_versions(self, versions: int) -> str | None:
        """Why so many versions of one model may not be served; None when they may."""
        if versions <= self.most_versions:
            return None
        return (
            f"{versions:,} versions are wanted, and at most {self.most_versions:,} of a model are served "
            f"({VERSIONS_SETTING}); remove old ones, ask for fewer, as in latest:3, or raise that setting and start "
            "the workers again"
        )
