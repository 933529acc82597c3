"""The processes that work on one command: who this one is, and what they say to each other.

torchrun and ``accelerate launch`` start every process with the same command line and tell each its place in
``RANK``, ``LOCAL_RANK`` and ``WORLD_SIZE``. The first process writes and prints; the others compute.
Imports torch inside functions only, and :mod:`errors`.
"""

from __future__ import annotations

import datetime
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from loretta_cli.errors import ConfigError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

SECONDS_FOR_THE_FIRST = 2.0
"""So long another process leaves the first the right to tell of a failure."""
SECONDS_TO_BE_ENDED = 10.0
"""So long a process that has failed in silence waits for the launcher to end it."""
FAILURE = "loretta/failure"
"""Begin of the key under which the process that tells of a failure leaves its name."""


@dataclass(frozen=True, slots=True)
class Processes:
    """The place of this process among those of a command.

    Args:
        rank: Its number, from 0.
        local_rank: Its number on this machine, from 0; also the number of its GPU.
        count: Of all processes on all machines.
    """

    rank: int = 0
    local_rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def share(self, rows: int) -> int:
        """What each process gets of so many rows.

        Raises:
            ConfigError: If they cannot be divided evenly.
        """
        if rows % self.count:
            lower, upper = rows // self.count * self.count, -(-rows // self.count) * self.count
            choices = f"{lower} or {upper}" if lower else f"{upper}"
            raise ConfigError(
                f"training.batch_size counts the rows of all processes together, and {rows} cannot be "
                f"divided by {self.count} processes.",
                hint=f"Use --set training.batch_size={upper} ({choices} would do), or another number of "
                "processes.",
            )
        return rows // self.count


def processes(environment: Mapping[str, str] | None = None) -> Processes:
    """Who this process is, by the launcher's environment variables; without a launcher the only one.

    Args:
        environment: To read; this process's own if None.

    Raises:
        ConfigError: If the variables are no numbers, or only some of them are set.
    """
    environment = os.environ if environment is None else environment
    count = _number(environment, "WORLD_SIZE", 1)
    if count <= 1:
        return Processes()
    missing = [
        name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in environment
    ]
    if missing:
        raise ConfigError(
            f"WORLD_SIZE is {count}, but not set: {', '.join(missing)}.",
            hint="Start several processes with torchrun or accelerate launch; for one, unset WORLD_SIZE.",
        )
    rank, local_rank = _number(environment, "RANK", 0), _number(environment, "LOCAL_RANK", 0)
    return Processes(rank, local_rank, count)


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not text.isdigit():
        raise ConfigError(
            f"The environment variable {name} is {text!r}; expected a number.",
            hint="torchrun and accelerate launch set it; unset it where neither is used.",
        )
    return int(text)


def own_device() -> torch.device:
    """The GPU of this process if there is one, the CPU otherwise."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda", processes().local_rank)
    return torch.device("cpu")


def connect() -> Processes:
    """Bring the processes in touch with each other (gloo on CPUs, NCCL on GPUs); safe to call twice."""
    mine = processes()
    if mine.count > 1:
        import torch
        from accelerate import PartialState

        PartialState(cpu=not torch.cuda.is_available())
    return mine


def disconnect() -> None:
    """End what :func:`connect` began; a process connects once."""
    if processes().count > 1:
        import torch.distributed as dist

        dist.destroy_process_group()


def from_first(value: T) -> T:
    """The first process's ``value``, on every process; they wait for it."""
    if processes().count == 1:
        return value
    from accelerate.utils import broadcast_object_list

    told: list[T] = broadcast_object_list([value])
    return told[0]


def from_all(value: T) -> list[T]:
    """The ``value`` of every process, in their order, on every process."""
    if processes().count == 1:
        return [value]
    from accelerate.utils import gather_object

    gathered: list[T] = gather_object([value])
    return gathered


def may_tell_of_failure() -> bool:
    """Whether this process is the one to print an error, so that each is printed once.

    The first process wins where it fails too; where it does not, because another alone ran out of memory
    for example, the first of the others to ask. Before torch is imported all processes do the same, and
    the first on each machine speaks. The others wait here to be ended by the launcher: ended by themselves,
    they would have it end the one that speaks.
    """
    mine = processes()
    if mine.count == 1:
        return True
    store = _store() if "torch" in sys.modules else None
    if store is None:
        tells = mine.local_rank == 0
    else:
        tells = (mine.is_first or not _is_told(store, SECONDS_FOR_THE_FIRST)) and _tells_first(store, mine)
    if not (tells or mine.is_first):
        time.sleep(SECONDS_TO_BE_ENDED)
    return tells


def another_has_failed() -> bool:
    """Whether a process has told of a failure; the others then lose their connection to it."""
    store = _store() if processes().count > 1 else None
    return store is not None and _is_told(store, 1.0)


def _store() -> Any:
    """The launcher's table of keys and values, or None if it is gone."""
    import torch.distributed as dist

    try:
        return dist.TCPStore(  # type: ignore[attr-defined]  # public, but not exported in torch's annotations
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            is_master=False,
            timeout=datetime.timedelta(seconds=5),
        )
    except (dist.DistError, RuntimeError, ValueError):
        return None


def _tells_first(store: Any, mine: Processes) -> bool:
    """Leave this process's name in the table, if no other stands there."""
    from torch.distributed import DistError

    name = str(mine.rank)
    try:
        return bool(store.compare_set(_failure_key(), "", name).decode() == name)
    except (DistError, RuntimeError):
        return mine.local_rank == 0


def _is_told(store: Any, seconds: float) -> bool:
    """Whether a name stands in the table, or comes to stand there within so many seconds."""
    from torch.distributed import DistError

    end = time.monotonic() + seconds
    try:
        # The table's own way to wait complains on stderr when nothing comes.
        while not (told := store.check([_failure_key()])) and time.monotonic() < end:
            time.sleep(0.05)
    except (DistError, RuntimeError):
        return False
    return bool(told)


def _failure_key() -> str:
    """A key of this start of the processes; torchrun may start them again."""
    return f"{FAILURE}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
