"""The benchmark of zeroth-order steps on a tiny shape."""

from __future__ import annotations

import json

import pytest
import torch
from peft import TaskType

from benchmarks import zo_step
from benchmarks.step_time.cases import Setting, Workload
from benchmarks.zo_step import ADAPTERS, MANY, ONE_PASS, Case, adapted, batch_loss, copies_of
from tests.tiny_models import tiny_model, token_batch


def tiny(_: Setting, rows: int, tokens: int) -> Workload:
    """The tiny llama."""
    model = tiny_model("llama").requires_grad_(False)
    return Workload(model, token_batch(rows=rows, length=tokens), TaskType.CAUSAL_LM)


WORKLOAD = tiny(Setting(torch.device("cpu"), torch.float32), 3, 5)


def test_every_way_is_measured_for_every_adapter(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(zo_step, "CASES", {"tiny": Case("a tiny llama", tiny, 2, 5)})
    monkeypatch.setattr(zo_step, "MANY", 20_000)
    zo_step.main(["--pairs", "1", "--queries", "1", "--json"])
    (case,) = json.loads(capsys.readouterr().out)["cases"]
    rows = case["rows"]
    assert [(row["adapter"], row["way"]) for row in rows] == [
        (adapter, way) for adapter in ADAPTERS for way in ("sequential", "batched", ONE_PASS)
    ]
    assert all(row["seconds"] > 0 and row["ratio"]["median"] > 0 for row in rows)
    zo_step.main(["--pairs", "1", "--queries", "1", "--adapter", "rep"])
    assert "| a tiny llama | step by" in capsys.readouterr().out


def test_a_step_moves_the_parameters_and_leaves_no_gradient() -> None:
    loss = batch_loss(WORKLOAD, adapted(WORKLOAD, "adp"))
    vector = zo_step.trained_parameters(loss.model)
    before = vector.read()
    steps: list[str] = []
    monkey = zo_step.Sequential(vector)
    step = zo_step.stepper(
        vector, loss, lambda *given: steps.append("evaluated") or monkey(*given), 2, zo_step.Path("/dev/null")
    )
    step()
    assert steps == ["evaluated"]
    assert not torch.equal(vector.read(), before)
    assert all(parameter.grad is None for parameter in vector.parameters)


def test_the_large_adapter_has_the_largest_rank_that_the_limit_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zo_step, "MANY", 30_000)
    counts = [
        sum(one.numel() for one in adapted(WORKLOAD, name).parameters() if one.requires_grad)
        for name in ("adp", "adp, large")
    ]
    assert counts[0] < 20_000 < counts[1] <= 30_000 < MANY


def test_the_copies_of_a_batch_have_its_loss_each() -> None:
    loss = batch_loss(WORKLOAD, adapted(WORKLOAD, "adp"))
    with torch.no_grad():
        assert copies_of(loss, 4)().item() == pytest.approx(4 * loss().item(), rel=1e-6)
