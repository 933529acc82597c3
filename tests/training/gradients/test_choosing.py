"""How the points of a run are evaluated: several at once only if that is right, allowed and faster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import peft
import pytest
import torch
from torch import nn

from loretta_cli.config import ZerothOrderSettings
from loretta_cli.training.gradients import choosing
from loretta_cli.training.gradients.base import BatchLoss
from loretta_cli.training.gradients.batched import Batched, tokens_of
from loretta_cli.training.gradients.choosing import Choice, choose, losses_by, most_passes_to_choose
from loretta_cli.training.gradients.losses_at import Sequential
from loretta_cli.training.gradients.vector import ParameterVector, trained_parameters
from tests.batch_losses import LabelledForm, batch_loss, directions_for, family_loss
from tests.tiny_models import labelled_batch, tiny_model

BATCHED = ZerothOrderSettings(backend="batched")


def chosen(
    settings: ZerothOrderSettings, loss: BatchLoss, vector: ParameterVector, *, points: int = 4
) -> Choice:
    """The choice, whose price is held against the rows that the model was given."""
    rows = len(loss.inputs["labels"])
    seen: list[int] = []
    hook = loss.model.register_forward_pre_hook(
        lambda _, args, given: seen.append(len(given["input_ids"])), with_kwargs=True
    )
    before = vector.read()
    found = choose(settings, vector, loss, directions_for(vector), points=points, eps=1e-3)
    hook.remove()
    assert found.passes == sum(seen) // rows <= most_passes_to_choose(settings, points=points, eps=1e-3)
    assert torch.equal(vector.read(), before)
    return found


def with_share(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """Have the clock say that a point among several takes so much of the time of one alone."""
    shares = [share / 9, share, share * 9]  # the median counts
    times = iter([time for one in shares for time in (0.0, 2.0, 2.0 + 4 * one)])
    monkeypatch.setattr(choosing.time, "perf_counter", lambda: next(times))


def test_what_is_set_to_be_sequential_costs_nothing() -> None:
    found = chosen(ZerothOrderSettings(backend="sequential"), *family_loss("bert", "adp", "lean"))
    assert (found.backend, found.tokens, found.passes) == ("sequential", 0, 0)


@pytest.mark.parametrize(("share", "backend"), [(0.9, "batched"), (1.1, "sequential")])
def test_the_faster_one_is_taken_and_the_note_says_why(
    share: float, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss, vector = family_loss("bert", "adp", "standard")
    with_share(monkeypatch, share)
    found = chosen(ZerothOrderSettings(), loss, vector)
    assert found.backend == backend
    assert found.tokens == (4 * tokens_of(loss) if backend == "batched" else 0)
    assert f"4 in a forward pass take {share:.2f} of the time" in found.note
    assert ("; set zo.backend=batched to have the same bits again" in found.note) == (backend == "batched")


def test_what_is_set_to_be_batched_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    with_share(monkeypatch, 9.0)
    found = chosen(BATCHED, *family_loss("bert", "adp", "lean"))
    assert (found.backend, found.why) == ("batched", "4 in a forward pass, as set")
    assert "bits" not in found.note


def test_no_more_copies_are_made_than_the_memory_holds() -> None:
    loss, vector = family_loss("bert", "adp", "lean", rows=64)
    found = chosen(ZerothOrderSettings(backend="batched", memory=2), loss, vector, points=40)
    copies = found.tokens // tokens_of(loss)
    assert 2 <= copies < 40
    twice = chosen(ZerothOrderSettings(backend="batched", memory=4), loss, vector, points=40)
    assert twice.tokens // tokens_of(loss) in (2 * copies, 2 * copies + 1)


def test_where_the_memory_holds_one_copy_there_is_nothing_to_choose() -> None:
    found = chosen(ZerothOrderSettings(memory=1), *family_loss("bert", "adp", "lean", rows=200))
    assert (found.backend, found.passes) == ("sequential", 1)
    assert "zo.memory=1 has no room for two copies" in found.note


@pytest.mark.parametrize(("method", "preset"), [("adp", "paper"), ("rep", "standard")])
def test_a_model_whose_rows_share_what_is_trained_is_evaluated_one_by_one(method: str, preset: str) -> None:
    # Its relative positions go through a trained norm, or through a query projection, once for all rows.
    found = chosen(BATCHED, *family_loss("deberta-v2", method, preset))
    assert found.backend == "sequential"
    assert found.passes > 1
    assert "one by one: the " in found.note


class MixingForm(LabelledForm):
    """Losses that depend on the other rows of the batch."""

    def losses(self, model: nn.Module, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """``(rows,)``."""
        found = super().losses(model, batch)
        return found - found[0]


def test_losses_that_differ_are_not_taken() -> None:
    loss, vector = family_loss("bert", "adp", "lean")
    mixing = batch_loss(loss.model, loss.inputs, MixingForm())
    found = chosen(BATCHED, mixing, vector)
    assert found.backend == "sequential"
    assert "from those of one by one" in found.why


class FlatForm(LabelledForm):
    """Losses that depend on nothing."""

    def losses(self, model: nn.Module, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """``(rows,)``."""
        return super().losses(model, batch) * 0


def test_losses_that_do_not_change_prove_nothing() -> None:
    loss, vector = family_loss("bert", "adp", "lean")
    found = chosen(BATCHED, batch_loss(loss.model, loss.inputs, FlatForm()), vector)
    assert (found.backend, "changes too little" in found.why) == ("sequential", True)
    assert found.passes == 1 + 4 * 5, "eps is 0.001, 0.004 ... 0.256"
    assert most_passes_to_choose(BATCHED, points=4, eps=1e-3) == 1 + 4 * (5 + 1) + 3 * (2 + 4)


@pytest.mark.parametrize("eps", [2.0, 1.0, 0.25, 0.2, 1e-4])
def test_the_most_passes_to_choose_are_those_of_a_loss_that_changes_late(
    eps: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Losses that are told apart at the last distance only, and then the clock is asked.
    loss, vector = family_loss("bert", "adp", "lean")
    last = choosing._distances(eps)[-1]
    monkeypatch.setattr(choosing, "SPREAD", 0)
    evaluate = choosing._Trial._evaluate

    def flat(trial: Any, losses_at: Any, points: Any, eps: float) -> list[float]:
        found = evaluate(trial, losses_at, points, eps)
        return found if eps == last or losses_at.__class__ is Batched else [0.0] * len(found)

    monkeypatch.setattr(choosing._Trial, "_evaluate", flat)
    found = choose(ZerothOrderSettings(), vector, loss, directions_for(vector), points=4, eps=eps)
    assert found.is_timed
    assert found.passes == most_passes_to_choose(ZerothOrderSettings(), points=4, eps=eps)


@pytest.mark.parametrize(
    "config",
    [
        peft.IA3Config(task_type="CAUSAL_LM"),
        peft.VeraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], r=4),
        peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], use_dora=True),
    ],
    ids=["ia3", "vera", "dora"],
)
def test_a_foreign_method_is_evaluated_right_whether_it_takes_copies_or_not(config: Any) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = peft.get_peft_model(tiny_model("llama"), config).eval()
    loss, vector = batch_loss(model, labelled_batch("llama")), trained_parameters(model)
    found = chosen(BATCHED, loss, vector)
    assert found.backend == "sequential"
    assert found.why


def test_a_metric_is_evaluated_one_by_one() -> None:
    loss, vector = family_loss("bert", "adp", "lean")
    scored = BatchLoss(loss.model, loss.form, loss.inputs, loss.weights, loss.precision, lambda: 0.5)
    assert chosen(BATCHED, scored, vector) == Choice("sequential", 0, 0, "what is improved is a metric")


def test_the_back_end_follows_from_what_the_header_keeps() -> None:
    loss, vector = family_loss("bert", "adp", "lean")
    several = losses_by("batched", 50, vector, loss, print)
    assert isinstance(several, Batched)
    assert several.tokens == 50
    assert several.tell is print
    assert isinstance(losses_by("sequential", 0, vector, loss, print), Sequential)
