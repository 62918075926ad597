"""What is told of the models in memory: where one stands, what is loaded, and how the device's memory stands.

It does not know how any of it is found out.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Status:
    """Where a model stands.

    stage is "absent" (not on this disk), "found" (on this disk), "downloading", "loading", "ready" or "failed";
    detail is a phrase for the tab, for "failed" the sentence of the Refusal. Bytes count a download, and
    are 0 while the Hub is asked how many there are. waiting is how many uses stand in line for the device besides the
    one that has it. ahead is how many have it before the job of `turns.caller` does, and wait in about how many seconds
    that will be, None if there is nothing to go by.
    """

    stage: str
    detail: str
    bytes_done: int = 0
    bytes_total: int = 0
    waiting: int = 0
    ahead: int = 0
    wait: float | None = None


@dataclass(frozen=True)
class Loaded:
    """A model in memory: what it takes, whether it is in use, and how many seconds ago it was last."""

    key: str
    memory_bytes: int
    in_use: bool
    idle: float = 0.0


@dataclass(frozen=True)
class Memory:
    """Of the device: its name, its free and total memory, and what models may take of it, in bytes, with those there.

    The models are those used longest ago first. Without a device nothing was loaded so far, and its figures are 0;
    they are 0 as well where they cannot be asked.
    """

    device: str | None = None
    free: int = 0
    total: int = 0
    budget: int = 0
    models: tuple[Loaded, ...] = ()

    @property
    def taken(self) -> int:
        """Bytes that the models take together."""
        return sum(model.memory_bytes for model in self.models)
