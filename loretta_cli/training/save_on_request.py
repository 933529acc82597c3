"""A checkpoint when the user asks for one: touching a file ``save`` in the run folder.

``touch runs/my-run/save``, from any terminal or machine that sees the folder. At the end of the step in
flight a checkpoint is written from which ``--resume`` goes on exactly, the file is removed, and a note names
the checkpoint. The training goes on as if nothing had been asked. In a run of several tasks the file may lie
in the folder of the whole run or in that of the stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from loretta_cli.artifacts.checkpoints import name_of
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.processes import processes
from loretta_cli.report import Reporter
from loretta_cli.training.interruption import any_process, is_inside_epoch


def request_files(run: RunFolder) -> tuple[Path, ...]:
    """The files that ask for a checkpoint of a run: its own and, of a stage, that of the whole run."""
    if run.path.absolute().parent.name != "stages":
        return (run.save_request,)
    return (run.save_request, RunFolder(run.path.absolute().parent.parent).save_request)


class SaveOnRequest(TrainerCallback):
    """Has a checkpoint written at the end of the step, where a file asks for it.

    The first process looks; all hear of it at the same step.

    Args:
        files: Any of which asks.
        reporter: Told of the checkpoint.
    """

    def __init__(self, files: Sequence[Path], reporter: Reporter) -> None:
        self.files = files
        self.reporter = reporter
        self._asked: list[Path] = []
        self._is_due = False
        self._is_off = False

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Save now, unless the end of the epoch comes next, which saves by itself."""
        if processes().is_first and not self._is_off:
            self._asked = [file for file in self.files if file.is_file()]
        self._is_due = any_process(bool(self._asked), args.device)
        if self._is_due and (is_inside_epoch(state) or args.save_strategy != "epoch"):
            control.should_save = control.should_log = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The checkpoint is written: remove the file, so that it asks once."""
        if not self._is_due:
            return
        self._is_due = False
        if self._asked:
            checkpoint = Path(args.output_dir) / name_of(state.global_step)
            self.reporter.note(f"saved, as the file {self._asked[0]} asks: {checkpoint}")
        self._remove()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """What is asked behind the last step is there already."""
        if processes().is_first and not self._is_off:
            self._asked = [file for file in self.files if file.is_file()]
            self._remove()

    def _remove(self) -> None:
        for file in self._asked:
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                self._is_off = True
                self.reporter.warn(f"the file {file} cannot be removed, so it asks no more: {error.strerror}")
        self._asked = []
