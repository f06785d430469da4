"""What the operator of a worker allows control records to ask for, beyond the form of a record."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from schemas.traffic_shadow import TrafficShadow
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
        own_topics: every topic that the settings name: none of them takes the replies of a shadow.
        reply_topics: patterns (full match) of the topics that requests may name for their replies: nor do these.
    """

    roots: BasePathRoots = field(default_factory=BasePathRoots)
    disabled_loaders: Collection[str] = frozenset()
    most_models: int = 10_000
    most_versions: int = 1_000
    own_topics: Collection[str] = frozenset()
    reply_topics: Sequence[str] = ()

    def problem_of_loader(self, loader: str, enabled: Collection[str]) -> str | None:
        """Why a record may not name this loader; None when it may, or when it is not here at all."""
        if loader not in self.disabled_loaders:
            return None
        return (
            f"loader {loader!r} is not enabled on this worker, which has {', '.join(sorted(enabled)) or 'none'}; set "
            f"the model with one of these, or add it to {LOADERS_SETTING} and start the workers again"
        )

    def problem_of_shadow(self, shadow: str | None) -> str | None:
        """Why the replies of this shadow may not go to its topic; None when they may, or it means nothing."""
        try:
            topic = None if shadow is None else TrafficShadow.parse(shadow).topic
        except ValueError:
            return None
        if topic is None:
            return None
        if topic not in self.own_topics and not any(re.fullmatch(each, topic) for each in self.reply_topics):
            return None
        return (
            f"shadow names topic {topic!r}, which this worker reads or answers by, so that requesters or workers would "
            "take its replies for others; name a topic of its own"
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
