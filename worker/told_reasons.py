"""What of an operator's reason may be told to whoever made a request: why, but nothing of where files lie.

Loaders of other people say what they like: the paths of their files, several lines, a stack.
"""

import re

_LONGEST = 300
_PATH = re.compile(r"\w+://\S+|(?<![\w.])~?(?:/[\w.\-+@%=~]+)+/?")
_QUOTED_PATH = re.compile(r"'[^'\n]*/[^'\n]*'|\"[^\"\n]*/[^\"\n]*\"")


def told(reason: str, *paths: str) -> str:
    """The reason's first line, without these *paths* and whatever else looks like one."""
    line = next((line.strip() for line in reason.splitlines() if line.strip()), "")
    line = _PATH.sub("…", _QUOTED_PATH.sub("…", line))
    for path in paths:
        if "/" in path:  # any other may be a word of the sentence
            line = line.replace(path, "…")
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
