"""Fits a zeroth-order estimator into a run: its trajectory so far, and what its first batch decides."""

from __future__ import annotations

import functools
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import cast

import torch

from loretta_cli.artifacts.checkpoints import name_of
from loretta_cli.artifacts.files import new_folder
from loretta_cli.artifacts.metrics_log import MetricsLog
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import RunError
from loretta_cli.planning.gradients import trains_in_place
from loretta_cli.processes import from_first, processes
from loretta_cli.training.gradients.alignment import align
from loretta_cli.training.gradients.base import BatchLoss, TrainingRun
from loretta_cli.training.gradients.calibration import (
    CALIBRATION_STEP,
    DIRECTIONS,
    MOST_ERROR,
    Calibration,
    Evaluation,
    calibrate,
    evaluation_around,
)
from loretta_cli.training.gradients.choosing import Choice, choose, losses_by
from loretta_cli.training.gradients.directions import GENERATOR
from loretta_cli.training.gradients.in_place import IN_PLACE, InPlace, evaluated
from loretta_cli.training.gradients.length import length_of_training
from loretta_cli.training.gradients.losses_at import Point
from loretta_cli.training.gradients.mending import mending_of
from loretta_cli.training.gradients.query_schedules import most_queries, passes_of
from loretta_cli.training.gradients.recent_directions import RecentDirections
from loretta_cli.training.gradients.telling import tell
from loretta_cli.training.gradients.trajectory import Backend, Header, OptimizerOptions, Record, Trajectory
from loretta_cli.training.gradients.vector import ParameterVector, trained_parameters
from loretta_cli.training.gradients.weights import Weights
from loretta_cli.training.gradients.zeroth_order import Beginning, ZerothOrder


def start_zeroth_order(run: TrainingRun) -> ZerothOrder:
    """The estimator of a run, new or resumed.

    Raises:
        RunError: If the trajectory of a run that is resumed is broken.
        TrainingError: If what trains cannot be trained so.
    """
    mine = processes()
    align(run.model)
    in_place = trains_in_place(run.config)
    vector = trained_parameters(run.model, any_dtype=in_place)
    weights = _weights(run, vector) if in_place else None
    trajectory = Trajectory(run.folder.trajectory)
    header: Header | None = None
    past: Sequence[Record] = ()
    if trajectory.path.exists():
        if mine.is_first:
            trajectory.repair()
        header, past = trajectory.read()
    check_resumed(run.taken, header, past, vector, trajectory.path)
    if header is not None and header.threads != torch.get_num_threads():
        run.reporter.note(
            f"the run was begun with {header.threads} threads and goes on with {torch.get_num_threads()}: "
            "its last bits may differ from those of a run in one go"
        )
    if mine.is_first and not run.folder.start.exists():
        with new_folder(run.folder.start) as folder:
            run.model.save_pretrained(str(folder), save_embedding_layers=False)
            (folder / "README.md").unlink(missing_ok=True)
    checkpoints = run.folder.checkpoints

    def point(steps: int) -> Path:
        return checkpoints / name_of(steps) if steps else run.folder.start

    def begin(loss: BatchLoss) -> Beginning:
        nonlocal header
        if header is None:
            header = _header(run, vector, loss, weights)
            if mine.is_first:
                trajectory.begin(header)
        losses_at = (
            None if in_place else losses_by(header.backend, header.chunk, vector, loss, run.reporter.note)
        )
        return Beginning(header.eps, losses_at, 0 if past else header.passes)

    kind = ZerothOrder if weights is None else functools.partial(InPlace, weights=weights)
    return kind(
        run.config.zo,
        vector,
        seed=run.config.training.seed,
        epochs=length_of_training(run.config, run.rows).epochs,
        mine=mine,
        begin=begin,
        trajectory=trajectory if mine.is_first else None,
        past=past,
        taken=run.taken,
        checkpoints=_evaluated(run.folder),
        point=point,
        optimizer=run.optimizer,
        tell=functools.partial(tell, run.reporter, run.config.zo),
        mending=mending_of(run),
    )


def _evaluated(run: RunFolder) -> set[int]:
    """Steps after which there was an evaluation, and so a checkpoint, whether or not it is still kept.

    Checkpoints that the user asked for between them are none to go back to: they change nothing.
    """
    records = MetricsLog(run.metrics_file).read()
    return {int(cast("int", record["step"])) for record in records if record["split"] != "train"}


def check_resumed(
    taken: int, header: Header | None, past: Sequence[Record], vector: ParameterVector, path: Path
) -> None:
    """Refuse a trajectory that does not lead to the checkpoint of a run that is resumed.

    Args:
        taken: Steps that the checkpoint has behind it.
        header: Of the trajectory; None if there is none.
        past: Its records.
        vector: What trains.
        path: Of the trajectory.

    Raises:
        RunError: If it is too short, or of other parameters.
    """
    if taken > len(past):
        raise RunError(
            f"The run has a checkpoint after step {taken}, but its trajectory {path} has {len(past)} steps.",
            hint="The file is missing or was cut; put it back, or start the run anew with --overwrite.",
        )
    if header is not None and header.parameters != vector.sizes:
        raise RunError(
            f"The trajectory {path} is of other parameters than those that the run trains.",
            hint="The file was changed; put it back, or start the run anew with --overwrite.",
        )


def _weights(run: TrainingRun, vector: ParameterVector) -> Weights:
    training, zo = run.config.training, run.config.zo
    return Weights(
        vector,
        seed=training.seed,
        distribution=zo.directions,
        two_sided=zo.estimator == "central",
        weight_decay=training.weight_decay,
        undecayed=_undecayed(run, vector),
    )


def _undecayed(run: TrainingRun, vector: ParameterVector) -> tuple[str, ...]:
    pairs = zip(vector.names, vector.parameters, strict=True)
    return tuple(name for name, one in pairs if one in run.undecayed)


def _header(run: TrainingRun, vector: ParameterVector, loss: BatchLoss, weights: Weights | None) -> Header:
    """Decide with the first batch what is left open."""
    settings, training = run.config.zo, run.config.training
    eps, passes = settings.epsilon, 0
    if eps is None:
        found = _calibration(run, vector, loss, weights)
        eps, passes = found.eps, found.passes
        run.reporter.note(f"zo.epsilon is {eps:g}, measured with {passes} forward passes")
        if found.error is not None and found.error > MOST_ERROR:
            run.reporter.warn(
                f"even with the best zo.epsilon, {eps:g}, slopes are {found.error:.0%} off or more; they are "
                "better with model.dtype=float32 and zo.estimator=central"
            )
    backend: Backend = IN_PLACE
    chunk = 0
    if weights is None:
        choice = _choice(run, vector, loss, eps)
        run.reporter.note(choice.note)
        backend, chunk, passes = choice.backend, choice.tokens, passes + choice.passes
    return Header(
        seed=training.seed,
        distribution=settings.directions,
        estimator=settings.estimator,
        generator=GENERATOR,
        parameters=vector.sizes,
        undecayed=_undecayed(run, vector),
        optimizer=training.optimizer or "sgd",
        optimizer_options=OptimizerOptions(training.weight_decay, training.momentum or 0.0),
        eps=eps,
        passes=passes,
        backend=backend,
        chunk=chunk,
        threads=torch.get_num_threads(),
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "transformers", "peft")},
        },
    )


def _choice(run: TrainingRun, vector: ParameterVector, loss: BatchLoss, eps: float) -> Choice:
    """How to evaluate the points of all steps; every process takes the first one's choice."""
    zo, mine = run.config.zo, processes()
    queries = most_queries(zo, length_of_training(run.config, run.rows).epochs)
    points = passes_of(zo, queries if zo.split == "rows" else -(-queries // mine.count))
    draw = RecentDirections(run.config.training.seed, zo.directions, vector)
    found = choose(zo, vector, loss, functools.partial(draw, CALIBRATION_STEP), points=points, eps=eps)
    return from_first(found)


def _calibration(
    run: TrainingRun, vector: ParameterVector, loss: BatchLoss, weights: Weights | None
) -> Calibration:
    """What the first process measures with its part of the first batch: all must use one eps.

    The others do not measure: of a batch with fewer rows than processes they may have none.
    """
    found = _measured(run, vector, loss, weights) if processes().is_first else None
    shared = from_first(found)
    assert shared is not None, "the first process has measured"
    return shared


def _measured(
    run: TrainingRun, vector: ParameterVector, loss: BatchLoss, weights: Weights | None
) -> Calibration:
    zo, training = run.config.zo, run.config.training
    evaluate: Evaluation
    if weights is None:
        evaluate = evaluation_around(vector, loss, zo, training.seed)
    else:
        evaluate = functools.partial(_losses_in_place, weights, loss)
    found = calibrate(
        evaluate,
        two_sided=zo.estimator == "central",
        metric=training.objective != "loss",
        numbers=mending_of(run).numbers,
    )
    if weights is not None:
        # Perturbing in place has rounded the weights; the first step is to begin where the run began.
        vector.take(run.folder.start)
    return found


def _losses_in_place(
    weights: Weights, loss: BatchLoss, points: Sequence[Point], eps: float
) -> dict[Point, float]:
    return weights.losses_at(CALIBRATION_STEP, DIRECTIONS, set(points), lambda: float(evaluated(loss)), eps)
