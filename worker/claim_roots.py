"""Which places claims may name: those under a root that an operator, or the user of a client, has set.

Whoever writes a request may name any place. So a place is compared as text before anything is asked of a store
(`worker.store_uris`).
"""

from collections.abc import Iterable

from schemas.errors import Code
from worker.store_uris import MEANS_MORE, has_more_meaning, lies_below, normal_place


class ClaimError(Exception):
    """The data of a claim cannot be had, or cannot be stored.

    The message is for the requester: it names the tensor and the reason, and neither places nor the store's own words.

    Attributes:
        code: what the requester is told.
        problem: what an operator is to see to, for the log; empty where the requester is.
    """

    def __init__(self, code: Code, message: str, problem: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.problem = problem


class Roots:
    """The roots that are allowed; may be used by any thread.

    Args:
        roots: as `normal_place` takes them.
        setting: what to call the setting in which they stand, and the place where it stands.
    """

    def __init__(self, roots: Iterable[str], setting: str) -> None:
        self._roots = tuple(map(normal_place, roots))
        self._setting = setting

    def __bool__(self) -> bool:
        return bool(self._roots)

    def of(self, tensor: str, uri: str) -> str:
        """The root that a place lies under.

        Raises:
            ClaimError: none, or nothing is allowed at all.
        """
        if not self._roots:
            raise ClaimError(
                Code.FAILED_PRECONDITION,
                f"tensor '{tensor}': its data lies elsewhere, and no place is allowed here; {self._setting} says "
                "which are",
            )
        if has_more_meaning(uri):
            raise ClaimError(
                Code.INVALID_ARGUMENT,
                f"tensor '{tensor}': the uri of its claim has '::' or one of {' '.join(sorted(MEANS_MORE))} in it; "
                "only plain places are taken",
            )
        for root in self._roots:
            if lies_below(uri, root):
                return root
        raise ClaimError(
            Code.INVALID_ARGUMENT,
            f"tensor '{tensor}': the uri of its claim lies under none of the places that are allowed here "
            f"({self._setting})",
        )
