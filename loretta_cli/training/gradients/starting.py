"""Fits a zeroth-order estimator into a run: its trajectory so far, and what its first batch decides."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version

import torch

from loretta_cli.artifacts.checkpoints import step_of
from loretta_cli.artifacts.files import new_folder
from loretta_cli.processes import processes
from loretta_cli.training.gradients.base import BatchLoss, TrainingRun
from loretta_cli.training.gradients.calibration import DIRECTIONS, calibrate
from loretta_cli.training.gradients.directions import GENERATOR, direction
from loretta_cli.training.gradients.query_schedules import length_of_training
from loretta_cli.training.gradients.trajectory import Header, Record, Trajectory
from loretta_cli.training.gradients.vector import ParameterVector, trained_parameters
from loretta_cli.training.gradients.zeroth_order import Beginning, Point, Sequential, ZerothOrder

Evaluation = Callable[[Sequence[Point], float], dict[Point, float]]
CALIBRATION_STEP = 2**63
"""Directions of the calibration have a step of their own."""


def start_zeroth_order(run: TrainingRun) -> ZerothOrder:
    """The estimator of a run, new or resumed.

    Raises:
        RunError: If the trajectory of a run that is resumed is broken.
        TrainingError: If what trains cannot be trained so.
    """
    mine = processes()
    vector = trained_parameters(run.model)
    trajectory = Trajectory(run.folder.trajectory)
    header: Header | None = None
    past: Sequence[Record] = ()
    if trajectory.path.exists():
        if mine.is_first:
            trajectory.repair()
        header, past = trajectory.read()
    if mine.is_first and not run.folder.start.exists():
        with new_folder(run.folder.start) as folder:
            run.model.save_pretrained(str(folder), save_embedding_layers=False)
            (folder / "README.md").unlink(missing_ok=True)
    checkpoints = run.folder.checkpoints

    def point(steps: int) -> torch.Tensor:
        return vector.load(checkpoints / f"checkpoint-{steps}" if steps else run.folder.start)

    def begin(loss: BatchLoss) -> Beginning:
        nonlocal header
        if header is None:
            header = _header(run, vector, loss)
            if mine.is_first:
                trajectory.begin(header)
            return Beginning(header.eps, Sequential(vector), header.passes)
        return Beginning(header.eps, Sequential(vector), 0)

    def forget() -> None:
        run.optimizer().state.clear()

    return ZerothOrder(
        run.config.zo,
        vector,
        seed=run.config.training.seed,
        epochs=length_of_training(run.config, run.rows).epochs,
        mine=mine,
        begin=begin,
        trajectory=trajectory if mine.is_first else None,
        past=past,
        taken=run.taken,
        checkpoints={step_of(path) for path in checkpoints.glob("checkpoint-*")},
        point=point,
        forget=forget,
    )


def _header(run: TrainingRun, vector: ParameterVector, loss: BatchLoss) -> Header:
    """Decide with the first batch what is left open."""
    settings, training = run.config.zo, run.config.training
    eps, passes = settings.epsilon, 0
    if eps is None:
        found = calibrate(_evaluation(run, vector, loss))
        eps, passes = found.eps, found.passes
        run.reporter.note(f"zo.epsilon is {eps:g}, measured with {passes} forward passes")
    return Header(
        seed=training.seed,
        distribution=settings.directions,
        estimator=settings.estimator,
        generator=GENERATOR,
        parameters=vector.sizes,
        undecayed=tuple(
            name for name, one in zip(vector.names, vector.parameters, strict=True) if one in run.undecayed
        ),
        optimizer=training.optimizer or "sgd",
        optimizer_options={"weight_decay": training.weight_decay},
        eps=eps,
        passes=passes,
        backend="sequential",
        chunk=1,
        threads=torch.get_num_threads(),
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "transformers", "peft")},
        },
    )


def _evaluation(run: TrainingRun, vector: ParameterVector, loss: BatchLoss) -> Evaluation:
    theta, losses_at = vector.read(), Sequential(vector)
    zo, seed = run.config.zo, run.config.training.seed
    directions = {
        query: direction(seed, CALIBRATION_STEP, query, theta.numel(), zo.directions).to(theta.device)
        for query in range(DIRECTIONS)
    }

    def evaluate(points: Sequence[Point], eps: float) -> dict[Point, float]:
        loss.model.eval()
        try:
            with torch.no_grad():
                return losses_at(loss, theta, points, directions.__getitem__, eps)
        finally:
            vector.become(theta)

    return evaluate
