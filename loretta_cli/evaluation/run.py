"""``loretta eval``: the metrics of a run, or of a model as it is, on one split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from loretta_cli.artifacts.restore import restore
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.config import Config
from loretta_cli.errors import ModelError
from loretta_cli.evaluation.evaluate import encode, evaluate
from loretta_cli.models.forms import choose_form
from loretta_cli.models.loading import load_config, to_device
from loretta_cli.models.source import find_model
from loretta_cli.planning.plan import Plan, load_base, make_plan, split_rows
from loretta_cli.processes import connect, disconnect


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Metrics of one task on one split; an entry of ``eval --json``.

    ``shortened`` rows were too long and were truncated; in ``ties`` rows the two best options have the same
    score.
    """

    task: str
    split: str
    rows: int
    main_metric: str
    metrics: Mapping[str, float]
    shortened: int
    ties: int

    def as_json(self) -> dict[str, Any]:
        """The fields of the contract."""
        return {name: getattr(self, name) for name in self.__slots__}


def evaluate_run(
    run: RunFolder,
    *,
    data: str | None,
    split: str,
    rows: int | None,
    adapter: Path | None = None,
    note: Callable[[str], object] | None = None,
) -> EvaluationResult:
    """Evaluate a run's adapter.

    Args:
        run: A finished run; with ``adapter``, one in training too.
        data: Another data source than the run's own.
        split: ``train``, ``validation`` or ``test``.
        rows: At most so many rows.
        adapter: A checkpoint of the run in place of its finished adapter.
        note: Told what could not be checked.
    """
    connect()
    restored = restore(run, data=data, split=split, rows=rows, adapter=adapter, note=note)
    result = evaluate_plan(restored.plan, restored.model, split)
    disconnect()
    return result


def evaluate_model(config: Config, *, split: str, rows: int | None) -> EvaluationResult:
    """Evaluate a model without an adapter: zero-shot with a prompt, or a trained classification head.

    Raises:
        ModelError: If the classification head is not in the checkpoint.
    """
    connect()
    config = _with_own_labels(config)
    plan = make_plan(config, split_rows(config, split=split, rows=rows, whole_file=True))
    base = load_base(plan)
    if base.new_modules:
        raise ModelError(
            f"The model {config.model.name} has no weights for {', '.join(base.new_modules)}, so its "
            "predictions would be random.",
            hint="Evaluate a run folder or a merged model; a language model can use --set task.form=prompt.",
        )
    result = evaluate_plan(plan, to_device(base.model), split)
    disconnect()
    return result


def _with_own_labels(config: Config) -> Config:
    """The config with the labels of the checkpoint's own head, in its order, where none are given."""
    if config.task.name != "classification" or config.data.labels is not None or config.model.name is None:
        return config
    model = config.model
    settings = load_config(
        find_model(config.model.name), revision=model.revision, trust_remote_code=model.trust_remote_code
    )
    names = [name for _, name in sorted((settings.id2label or {}).items())]
    if choose_form(config.task.form, settings) != "classification" or names == _unnamed(len(names)):
        return config
    return config.model_copy(update={"data": config.data.model_copy(update={"labels": names})})


def _unnamed(count: int) -> list[str]:
    """The label names that transformers makes up."""
    return [f"LABEL_{number}" for number in range(count)]


def evaluate_plan(plan: Plan, model: nn.Module, split: str) -> EvaluationResult:
    """The metrics of a model on the validation rows of a plan, of whatever split they are."""
    rows = encode(plan.form, plan.data.validation)
    found = evaluate(model, plan.form, rows, batch_size=plan.config.training.evaluation_batch_size)
    task = plan.data.task
    return EvaluationResult(
        task=task.name,
        split=split,
        rows=len(rows.examples),
        main_metric=task.main_metric,
        metrics=found.metrics,
        shortened=found.shortened,
        ties=found.ties,
    )
