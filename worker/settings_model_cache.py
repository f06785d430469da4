"""The settings of the model cache: copies, on this machine, of versions that lie in stores."""

from typing import Annotated

from pydantic import Field, field_validator

from worker.settings_group import SettingsGroup


class ModelCacheSettings(SettingsGroup):
    """Copies of versions whose base paths lie in stores, as `lifecycle.base_path_roots` allows them.

    A version is copied before it is loaded, and checked. Credentials are fsspec's own business, as with `claims`.
    """

    folder: str = ""
    """Folder of this machine for the copies, as `/var/cache/headrace`; workers that share it share the copies. Empty by
    default, and needed once `lifecycle.base_path_roots` names a place in a store: which disk has the room is not known
    beforehand. Nobody but the workers' user may write there: who can runs models."""

    most_bytes: Annotated[int, Field(ge=1)] = 10_737_418_240
    """Bytes of all copies in the folder, those in use included (at least 1). Room for one more is made by removing
    those that no worker uses, the longest unused first; a version that does not fit all the same fails, and says by how
    much. 10 GiB: a few large models, each with its predecessor beside it."""

    keep_seconds: Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)] = 86_400.0
    """Seconds for which a copy stays that no worker uses (0: it goes with its version; up to a year); what is older is
    removed when a version is loaded from a store or unloaded. A day, so that a restart or a way back copies nothing."""

    @field_validator("folder")
    @classmethod
    def _is_a_folder(cls, folder: str) -> str:
        if folder and (not folder.startswith("/") or ".." in folder.split("/")):
            raise ValueError(
                f"{folder!r} is no folder; expected an absolute path without '..', as /var/cache/headrace"
            )
        return folder
