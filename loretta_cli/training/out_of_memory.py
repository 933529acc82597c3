"""Memory that is refused in a run: what was being done, what is the least to give up, what is left.

On a GPU torch says so. On a CPU most systems end the process without a word; where there is a limit
(``ulimit -v``, a job's address space), an allocation is refused, and that is caught too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loretta_cli.artifacts.checkpoints import last_complete, step_of
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.artifacts.run_settings import FILLED_IN, settings_of
from loretta_cli.config import Config
from loretta_cli.errors import TrainingError
from loretta_cli.measure.machine import free_memory
from loretta_cli.numerals import counted
from loretta_cli.planning.remedies import Need, Remedy, longest_at_once, remedies
from loretta_cli.refused_memory import is_out_of_memory, let_go, refused
from loretta_cli.training.returned_memory import kept_for_later

NOTHING_LEFT = "No setting makes it smaller: use a smaller model, or a machine with more memory."


@dataclass(slots=True)
class Activity:
    """What a run is doing, kept as it was when an error passed.

    Args:
        now: In words that follow "out of memory".
        is_evaluation: Whether rows are scored.
    """

    now: str = "before the first step"
    is_evaluation: bool = False

    @contextlib.contextmanager
    def doing(self, what: str, *, is_evaluation: bool = False) -> Iterator[None]:
        """Do something else for the time of the block; if it fails, that is what was being done.

        Args:
            what: As :attr:`now`.
            is_evaluation: Whether rows are scored.
        """
        before = self.now, self.is_evaluation
        self.now, self.is_evaluation = what, is_evaluation
        yield
        self.now, self.is_evaluation = before


@contextlib.contextmanager
def memory_explained(activity: Activity, need: Callable[[Activity], Need], run: RunFolder) -> Iterator[None]:
    """Say what is left of a run that had too little memory, and what it could do without.

    Args:
        activity: What the run is doing.
        need: What that needs memory for.
        run: The run.

    Raises:
        TrainingError: If memory was refused.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        said = refused(error)
        let_go(error)
        asked = need(activity)
        if asked.work != "loading":
            asked = dataclasses.replace(asked, room=_room())
        found = remedies(asked)
        at_once, longest = counted(asked.at_once, "row"), counted(longest_at_once(asked), "token")
        raise TrainingError(
            f"Out of memory {activity.now}: {said} ({at_once} at once, the longest of {longest}).",
            hint=f"{_cheapest(found)} {_what_is_left(run, found)}",
        ) from error


def _room() -> int:
    """Bytes that the work could have now that its tensors are let go."""
    machine = free_memory()
    return machine.free + (kept_for_later() if machine.device == "cpu" else 0)


def given_settings(run: RunFolder, config: Config) -> tuple[str, ...]:
    """Dotted keys of what the user gave; where that is not recorded, of all that is not the default."""
    return tuple(one.key for one in settings_of(run, config) if one.origin != FILLED_IN)


def _cheapest(found: list[Remedy]) -> str:
    """The remedies, numbered."""
    if not found:
        return NOTHING_LEFT
    numbered = "; ".join(f"({number}) {one.told}" for number, one in enumerate(found, start=1))
    return f"Cheapest first: {numbered}."


def _what_is_left(run: RunFolder, found: list[Remedy]) -> str:
    """The last checkpoint, and how to go on."""
    last = last_complete(run.checkpoints)
    if last is None:
        return "There is no checkpoint yet: start again with such flags and --overwrite."
    whole = f"The checkpoint of step {step_of(last)} is whole"
    resumed = next((one for one in found if one.resumes), None)
    if resumed is None:
        return f"{whole}, but a run is resumed with its own settings: start again with another --output."
    values = " and ".join(f"{key} to {value}".lower() for key, value in resumed.values.items())
    path = run.path.absolute()
    path = path.parent.parent if path.parent.name == "stages" else run.path
    return (
        f"{whole}. To go on from it, set {values} in {shlex.quote(str(run.config_file))}, then: "
        f"loretta train --output {shlex.quote(str(path))} --resume"
    )
