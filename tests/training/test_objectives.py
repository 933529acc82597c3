"""Metrics as objectives: their values by hand, trainings that improve them, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from loretta_cli.config import ZerothOrderSettings, load_config
from loretta_cli.errors import ConfigError
from loretta_cli.evaluation.question_answering import squad_f1
from loretta_cli.planning.plan import load_base, make_plan, put_adapter
from loretta_cli.training.gradients.guards import LOSSES_KEPT, Guard
from loretta_cli.training.gradients.trajectory import Record
from loretta_cli.training.objectives import BatchScorer, batch_scorer
from tests.command_line import Outcome, loretta, write_sentences


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_folders import save_tiny_decoder, save_tiny_encoder

    folder = tmp_path_factory.mktemp("objectives")
    save_tiny_encoder(folder / "encoder")
    save_tiny_decoder(folder / "decoder")
    write_sentences(folder / "sentences")
    (folder / "squad").mkdir()
    for split in ("train", "validation"):
        rows = [
            {
                "id": str(number),
                "title": "t",
                "context": f"the river is {word} and the sky is blue",
                "question": "what is the river",
                "answers": {"text": [word], "answer_start": [13]},
            }
            for number, word in enumerate(("cold", "warm", "old", "green") * 2)
        ]
        (folder / "squad" / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


def flags(place: Path, model: str, task: str) -> dict[str, object]:
    data = "squad" if task == "squad" else "sentences"
    return {
        "model.name": str(place / model),
        "task.name": task,
        "data.source": str(place / data),
        "data.protocol": "paper",
        "training.gradient": "zo",
    }


def scorer_of(place: Path, model: str, task: str, objective: str) -> tuple[BatchScorer, Any]:
    settings = (
        (f"training.objective={objective}", "task.max_new_tokens=3")
        if task == "squad"
        else (f"training.objective={objective}",)
    )
    plan = make_plan(load_config(None, flags(place, model, task), settings).config)
    model_in_use = put_adapter(plan, load_base(plan)).model.eval()
    rows = plan.form.encode(plan.data.train).rows
    found = batch_scorer(objective, plan.form, rows, plan.data.train)
    assert found is not None
    return found, model_in_use


@pytest.mark.parametrize("model", ["encoder", "decoder"])
def test_the_accuracy_of_a_batch_is_that_of_its_largest_scores(model: str, place: Path) -> None:
    scorer, adapted = scorer_of(place, model, "sst2", "accuracy")
    numbers = [7, 2, 11, 5, 3]
    with torch.no_grad():
        batch = scorer.form.collate([scorer.rows[number] for number in numbers])
        scores = scorer.form.scores(adapted, batch)  # type: ignore[attr-defined]  # of the forms with options
        value = scorer(adapted, numbers)

    right = [
        int(row.argmax()) == scorer.examples[number].label
        for row, number in zip(scores, numbers, strict=True)
    ]
    assert value == sum(right) / len(right)
    assert 0 < value < 1, "otherwise the test would not notice a constant"


def test_the_f1_of_answers_is_that_of_the_texts_that_are_written(place: Path) -> None:
    scorer, adapted = scorer_of(place, "decoder", "squad", "f1")
    with torch.no_grad():
        texts = [prediction.value for prediction in scorer.form.predict(adapted, list(scorer.rows[:3]))]
        value = scorer(adapted, [0, 1, 2])

    assert value == squad_f1(scorer.examples[:3], texts)
    answers = iter(["cold", "it is warm", "no"])
    by_hand = BatchScorer(_Writes(scorer.form, answers), scorer.metric, scorer.rows, scorer.examples)
    assert by_hand(adapted, [0, 1, 2]) == pytest.approx((1 + 0.5 + 0) / 3)


class _Writes:
    """A form that writes given texts."""

    def __init__(self, form: Any, texts: Any) -> None:
        self.form, self.texts = form, texts

    def __getattr__(self, name: str) -> Any:
        return getattr(self.form, name)

    def predict(self, model: Any, rows: Any) -> Any:
        import dataclasses

        return [dataclasses.replace(one, value=next(self.texts)) for one in self.form.predict(model, rows)]


def test_a_model_that_says_nothing_finite_scores_nothing(place: Path) -> None:
    scorer, adapted = scorer_of(place, "encoder", "sst2", "accuracy")
    with torch.no_grad():
        for parameter in adapted.parameters():
            parameter.fill_(math.nan)
        assert math.isnan(scorer(adapted, [0, 1]))


def train(place: Path, output: Path, model: str, task: str, *settings: str) -> Outcome:
    data = "squad" if task == "squad" else "sentences"
    return loretta(
        *("train", "--model", place / model, "--task", task, "--data", place / data, "--gradient", "zo"),
        *("--output", output, "--json", "--set", "data.protocol=paper"),
        *(part for setting in settings for part in ("--set", setting)),
    )


def records_of(run: Path) -> list[dict[str, Any]]:
    lines = (run / "trajectory.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[1:]]


def test_accuracy_rises_and_the_run_is_replayed(place: Path, tmp_path: Path) -> None:
    outcome = train(
        *(place, tmp_path / "run", "encoder", "sst2", "training.objective=accuracy", "zo.queries=8"),
        *("training.batch_size=24", "training.max_steps=60", "training.evaluate_every=30"),
        *("training.learning_rate=0.05", "training.scheduler=constant", "zo.second_moment=0.9"),
        "zo.epsilon=0.1",
    )
    assert outcome.exit_code == 0, outcome.stderr
    assert "what is improved is a metric" in outcome.stderr

    losses = [record["loss"] for record in records_of(tmp_path / "run")]
    assert all(-1 <= loss <= 0 for loss in losses)
    first, last = (-sum(part) / 10 for part in (losses[:10], losses[-10:]))
    assert last > first + 0.1
    replayed = loretta("replay", tmp_path / "run", "--json")
    assert replayed.document["verified"] is True


@pytest.mark.parametrize("objective", ["f1", "exact_match"])
def test_written_answers_are_an_objective(objective: str, place: Path, tmp_path: Path) -> None:
    outcome = train(
        *(place, tmp_path / "run", "decoder", "squad", f"training.objective={objective}"),
        *("training.max_steps=2", "task.max_new_tokens=3", "zo.epsilon=0.1", "training.batch_size=4"),
        "training.gradient_accumulation=2",
    )

    assert outcome.exit_code == 0, outcome.stderr
    assert all(-1 <= record["loss"] <= 0 for record in records_of(tmp_path / "run"))


@pytest.mark.parametrize(
    ("task", "settings", "words"),
    [
        ("sst2", ("training.objective=f1",), "the task sst2 has accuracy"),
        ("squad", ("training.objective=accuracy",), "the task squad has f1 and exact_match"),
        (
            "sst2",
            ("training.objective=accuracy", "training.gradient=backprop"),
            "no gradient to backpropagate",
        ),
        ("sst2", ("training.objective=accuracy", "zo.split=rows"), "scores a batch as a whole"),
    ],
)
def test_an_objective_that_is_not_there_is_refused(
    task: str, settings: tuple[str, ...], words: str, place: Path
) -> None:
    given = flags(place, "decoder", task)
    if any("backprop" in setting for setting in settings):
        del given["training.gradient"]
    with pytest.raises(ConfigError, match=words):
        make_plan(load_config(None, given, settings).config)


def record(step: int, loss: float | None) -> Record:
    g = (None,) if loss is None else (0.1,)
    return Record(step, loss, g, eps=0.1, lr=0.1, scale=1.0, forward_passes=2 * step + 2)


@pytest.mark.parametrize(("loss", "explodes"), [(-0.9, False), (-0.1, False), (0.0, False), (None, True)])
def test_a_worse_score_is_no_explosion_and_one_that_is_not_finite_is(
    loss: float | None, explodes: bool
) -> None:
    guard = Guard(ZerothOrderSettings())
    guard.add(record(0, -0.5))
    for step in range(1, 1 + LOSSES_KEPT):
        guard.add(record(step, loss))

    assert guard.has_exploded is explodes
    assert guard.is_calm is not explodes
