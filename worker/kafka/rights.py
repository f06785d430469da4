"""Rights on a cluster's resources: what they are called, who lacks which, and how one is given.

https://kafka.apache.org/documentation/#operations_resources_and_protocols says which request wants which. READ and
WRITE bring DESCRIBE with them.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

SOMEBODY = "this user"
"""Where it is not known whom the broker takes this client for."""


class Resource(StrEnum):
    """What rights are about, as `kafka-acls.sh` names its options."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"


_IN_WORDS = {
    Resource.TOPIC: "topic",
    Resource.GROUP: "consumer group",
    Resource.TRANSACTIONAL_ID: "transactional id",
}


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One right.

    Attributes:
        operation: Kafka's name of it, as `READ` or `DESCRIBE_CONFIGS`.
        resource: on what kind of thing.
        name: on which one.
        prefixed: whether it is on all whose names begin with *name*.
    """

    operation: str
    resource: Resource
    name: str
    prefixed: bool = False

    def __str__(self) -> str:
        what = _IN_WORDS[self.resource]
        if self.prefixed:
            return f"{self.operation} on each {what} that begins with {self.name!r}"
        return f"{self.operation} on {what} {self.name!r}"

    def options(self) -> str:
        """What `kafka-acls.sh` takes for it."""
        operation = "".join(map(str.capitalize, self.operation.split("_")))
        pattern = " --resource-pattern-type prefixed" if self.prefixed else ""
        return f"--operation {operation} --{self.resource} {shlex.quote(self.name)}{pattern}"


def on_topic(operation: str, topic: str) -> Right:
    """A right on one topic."""
    return Right(operation, Resource.TOPIC, topic)


def on_group(operation: str, group: str) -> Right:
    """A right on one group of consumers."""
    return Right(operation, Resource.GROUP, group)


def given_by(right: Right, user: str) -> str:
    """The command that gives somebody a right, but for the address of the cluster."""
    principal = shlex.quote(user) if user.startswith("User:") else "User:…"
    return f"kafka-acls.sh --add --allow-principal {principal} {right.options()}"


def lacks(user: str, rights: Sequence[Right], error_name: str = "") -> str:
    """A sentence about the rights that somebody lacks, and what to do; *error_name* is the broker's."""
    said = f" ({error_name})" if error_name else ""
    if len(rights) == 1:
        (right,) = rights
        return f"{user} lacks the right {right}{said}; it is given by: {given_by(right, user)}"
    named = ", ".join(map(str, rights))
    return f"{user} lacks {len(rights)} rights: {named}{said}; `headrace topics acls` prints what gives them"
