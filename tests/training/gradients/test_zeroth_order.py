"""The estimator against independent truth: autograd, textbook updates in float64, closed forms."""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from loretta_cli.errors import TrainingError
from loretta_cli.training.gradients.directions import direction
from loretta_cli.training.gradients.guards import LOSSES_KEPT
from loretta_cli.training.gradients.vector import WEIGHTS
from tests.batch_losses import batch_loss, family_loss
from tests.bowls import (
    SIZE,
    Bowl,
    Rows,
    bowl_loss,
    bowl_vector,
    estimator,
    exact,
    moment,
    no_backward,
    take,
    z_of,
)


@pytest.mark.parametrize("kind", ["central", "one-sided"])
@pytest.mark.parametrize("directions", ["gaussian", "rademacher"])
def test_the_mean_of_many_estimates_nears_the_gradient_as_fast_as_theory_says(
    kind: str, directions: str
) -> None:
    # On a quadratic a central difference is exact, and the mean of N estimates has the error
    # |error|^2 = (D + 1) / N |g|^2 on average (Gaussian; D - 1 for Rademacher). The mean of 20 such errors,
    # each with the relative deviation sqrt(2 / D + 2 / N), is within five of its deviations of that: a right
    # estimator fails once in 1.7 million.
    bowl = Bowl()
    loss, vector = bowl_loss(bowl), bowl_vector(bowl)
    truth = exact(loss, vector)
    queries, steps = 100, 20
    made = estimator(vector, estimator=kind, directions=directions, queries=queries, eps=1e-3)

    found = [take(made, loss, step).double() for step in range(steps)]

    factor = SIZE + (1 if directions == "gaussian" else -1)
    rate = factor / queries * float(truth.square().sum())
    errors = [float((one - truth).square().sum()) / rate for one in found]
    deviation = math.sqrt((2 / SIZE + 2 / queries) / steps)
    assert abs(statistics.fmean(errors) - 1) < 5 * deviation
    # The mean of all of them has 20 times less squared error.
    error = float((torch.stack(found).mean(0) - truth).square().sum()) / (rate / steps)
    assert abs(error - 1) < 5 * math.sqrt(2 / SIZE + 2 / (queries * steps))


@pytest.mark.parametrize("kind", ["central", "one-sided"])
def test_on_a_model_the_mean_nears_autograds_gradient_as_fast_as_theory_says(kind: str) -> None:
    loss, vector = family_loss("bert", "rep", "lean")
    vector.become(vector.read() + 0.05 * direction(0, 0, 99, vector.read().numel(), "gaussian"))
    truth, size, queries = exact(loss, vector), vector.read().numel(), 100

    found = take(estimator(vector, estimator=kind, queries=queries, eps=2e-3), loss).double()

    # Five deviations, as above, and 3 % for the curvature over eps and the rounding of the losses.
    error = float((found - truth).square().sum() / truth.square().sum()) * queries / (size + 1)
    assert abs(error - 1) < 5 * math.sqrt(2 / size + 2 / queries) + 0.03
    # Along the gradient itself the estimate is |g|^2 (1 +- sqrt(2 / Q)).
    along = float(found @ truth / truth.square().sum())
    assert abs(along - 1) < 5 * math.sqrt(2 / queries) + 0.03


@pytest.mark.parametrize("kind", ["central", "one-sided"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_steps_equal_the_textbook_update_in_float64(kind: str, momentum: float) -> None:
    bowl, eps, rate, decay, queries = Bowl(), 0.05, 0.004, 0.1, 3
    loss, vector = bowl_loss(bowl), bowl_vector(bowl)
    optimizer = torch.optim.SGD([bowl.w], lr=1.0, weight_decay=decay, momentum=momentum)
    made = estimator(vector, optimizer=optimizer, estimator=kind, queries=queries, eps=eps)
    theta, velocity = bowl.w.detach().double().clone(), torch.zeros(SIZE, dtype=torch.float64)
    centres, curvatures = loss.inputs["centres"].double(), bowl.curvatures.double()

    def book(at: torch.Tensor) -> float:
        return float(((at - centres).square() * curvatures).sum(-1).mean() / 2)

    for step in range(10):
        take(made, loss, step, rate)
        optimizer.step()
        gradient = torch.zeros_like(theta)
        for query in range(queries):
            z = z_of(step, query)
            if kind == "central":
                slope = (book(theta + eps * z) - book(theta - eps * z)) / (2 * eps)
            else:
                slope = (book(theta + eps * z) - book(theta)) / eps
            gradient += slope * z / queries
        velocity = momentum * velocity + gradient + decay * theta
        theta = theta - rate * velocity
        torch.testing.assert_close(bowl.w.detach().double(), theta, rtol=0, atol=2e-4)


def test_a_central_difference_is_the_slope_of_a_quadratic_whatever_the_distance() -> None:
    bowl = Bowl()
    loss, vector = bowl_loss(bowl), bowl_vector(bowl)
    truth = exact(loss, vector)

    for eps in (1e-2, 1.0):
        z = z_of(0, 0)
        found = take(estimator(vector, eps=eps), loss).double()
        torch.testing.assert_close(found, float(truth @ z) * z, rtol=1e-3, atol=1e-3)


def test_queries_are_averaged() -> None:
    bowl = Bowl()
    loss, vector = bowl_loss(bowl), bowl_vector(bowl)
    truth = exact(loss, vector)

    found = take(estimator(vector, queries=2, eps=0.1), loss).double()

    first, second = z_of(0, 0), z_of(0, 1)
    expected = (float(truth @ first) * first + float(truth @ second) * second) / 2
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_query_that_is_not_finite_does_not_count() -> None:
    bowl = Bowl()
    vector = bowl_vector(bowl)
    loss = bowl_loss(bowl, Rows(values=(math.inf, 1.0, 3.0, 1.0)))

    found = take(estimator(vector, queries=2, eps=0.5), loss).double()

    torch.testing.assert_close(found, 2.0 * z_of(0, 1), rtol=1e-6, atol=1e-6)


def test_fzoo_divides_the_differences_by_their_standard_deviation() -> None:
    bowl, values = Bowl(), (1.0, 1.5, 0.5, 3.0)
    loss = bowl_loss(bowl, Rows(values=values))

    made = estimator(bowl_vector(bowl), estimator="one-sided", queries=3, normalize=True, eps=0.25)
    found = take(made, loss).double()

    spread = statistics.stdev(values[1:])
    expected = sum((value - 1.0) / spread * z_of(0, query) for query, value in enumerate(values[1:])) / 3
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_fzoo_skips_a_step_with_one_finite_loss_which_has_no_spread() -> None:
    bowl, told = Bowl(), []
    loss = bowl_loss(bowl, Rows(values=(1.0, 2.0, math.inf)))
    made = estimator(bowl_vector(bowl), estimator="one-sided", queries=2, normalize=True, told=told)

    made.accumulate(loss, scale=1.0, backward=no_backward, moment=moment(0))

    assert bowl.w.grad is None
    assert [record.event for record in told] == ["skip"]


def test_fzoo_finds_slopes_of_zero_where_all_losses_are_equal() -> None:
    bowl, told = Bowl(), []
    loss = bowl_loss(bowl, Rows(values=(1.0, 2.0, 2.0) * 20))
    made = estimator(bowl_vector(bowl), estimator="one-sided", queries=2, normalize=True, told=told)

    for step in range(20):
        made.accumulate(loss, scale=1.0, backward=no_backward, moment=moment(step))

    assert not bowl.w.grad.any()
    assert {(record.event, record.g) for record in told} == {("", (0.0, 0.0))}
    assert told[-1].loss == pytest.approx(5 / 3)


@pytest.mark.parametrize("kind", ["central", "one-sided"])
def test_two_batches_accumulated_equal_one_of_both(kind: str) -> None:
    bowl = Bowl()
    vector = bowl_vector(bowl)
    whole = take(estimator(vector, estimator=kind, queries=2, eps=0.1), bowl_loss(bowl, rows=8))
    made = estimator(vector, estimator=kind, queries=2, eps=0.1)

    first = made.accumulate(
        bowl_loss(bowl, rows=4), scale=0.5, backward=no_backward, moment=moment(0, is_last=False)
    )
    assert bowl.w.grad is not None
    second = made.accumulate(
        bowl_loss(bowl, rows=4, first=4), scale=0.5, backward=no_backward, moment=moment(0)
    )

    torch.testing.assert_close(bowl.w.grad, whole, rtol=1e-3, atol=1e-3)
    assert float(first) == 0
    assert float(second) > 0
    assert made.summary()["forward_passes"] == 2 * (4 if kind == "central" else 3)


def test_dropout_is_off() -> None:
    bowl = Bowl()
    bowl.train()

    take(estimator(bowl_vector(bowl)), bowl_loss(bowl))

    assert bowl.modes == [False, False]


def test_the_global_generators_are_untouched() -> None:
    bowl = Bowl()
    made, loss = estimator(bowl_vector(bowl), queries=3), bowl_loss(bowl)
    before = torch.get_rng_state(), repr(np.random.get_state()), random.getstate()

    for step in range(20):
        take(made, loss, step)

    assert torch.equal(torch.get_rng_state(), before[0])
    assert (repr(np.random.get_state()), random.getstate()) == before[1:]


@pytest.mark.parametrize("fail_at", [1, 2, 3, 4])
def test_parameters_are_restored_bit_for_bit_when_a_forward_pass_fails(fail_at: int) -> None:
    bowl = Bowl()
    before = bowl.w.detach().clone()

    with pytest.raises(RuntimeError, match="out of memory"):
        take(estimator(bowl_vector(bowl), queries=2), bowl_loss(bowl, Rows(fail_at=fail_at)))

    assert torch.equal(bowl.w, before)


def test_a_step_leaves_the_parameters_to_the_optimizer() -> None:
    bowl = Bowl()
    before = bowl.w.detach().clone()

    take(estimator(bowl_vector(bowl), queries=3, eps=10.0), bowl_loss(bowl))

    assert torch.equal(bowl.w, before)


def test_a_recorded_step_is_taken_again_without_a_forward_pass() -> None:
    bowl, loss = Bowl(), None
    loss, vector = bowl_loss(bowl), bowl_vector(bowl)
    first = take(estimator(vector, queries=2), loss)
    made = estimator(vector, queries=2)
    take(made, loss)
    record = made.last
    assert record is not None
    form = Rows()

    again = take(estimator(vector, queries=2, past=[record]), replace(loss, form=form))

    assert torch.equal(again, first)
    assert form.calls == 0


def test_a_step_without_a_finite_loss_is_skipped_and_told_once() -> None:
    bowl, told = Bowl(), []
    loss = bowl_loss(bowl, Rows(values=(1.0, 1.0, math.nan, math.inf, 1.0, 2.0)))
    made = estimator(bowl_vector(bowl), told=told)
    for step in range(3):
        made.accumulate(loss, scale=1.0, backward=no_backward, moment=moment(step))
        assert (bowl.w.grad is None) == (step == 1)

    assert [(record.step, record.event, record.loss) for record in told if record.event] == [
        (1, "skip", None)
    ]
    assert made.summary()["events"] == {"skip": 1, "clip": 0, "rollback": 0}


def test_after_a_rollback_optimizers_that_divide_by_the_gradients_size_slow_down_too(tmp_path: Path) -> None:
    bowl = Bowl()
    start = bowl.w.detach().clone()
    save_file({"w": start}, tmp_path / WEIGHTS)
    optimizer = torch.optim.Adam([bowl.w], lr=0.1)
    values = (1.0, 1.0, *(9.0, 9.0) * 4, *(1.0, 2.0) * 5)
    made = estimator(bowl_vector(bowl), optimizer=optimizer)
    made.point = lambda steps: tmp_path
    loss = bowl_loss(bowl, Rows(values=values))
    moved = []
    for step in range(9):
        before = bowl.w.detach().clone()
        made.accumulate(loss, scale=1.0, backward=no_backward, moment=moment(step))
        optimizer.step()
        moved.append(float((bowl.w.detach() - before).abs().max()))
        if step == 5:
            assert made.summary()["events"]["rollback"] == 1
            assert torch.equal(bowl.w, start)

    # Adam's first step has the length of the learning rate, whatever the gradient.
    assert moved[6] == pytest.approx(0.01, rel=1e-3)


def test_a_training_that_begins_without_a_finite_loss_ends() -> None:
    bowl = Bowl()
    made = estimator(bowl_vector(bowl))
    loss = bowl_loss(bowl, Rows(values=(math.nan,) * 99))

    for step in range(LOSSES_KEPT - 1):
        made.accumulate(loss, scale=1.0, backward=no_backward, moment=moment(step))

    with pytest.raises(TrainingError, match="None of the losses of the first 5 steps is finite") as caught:
        made.accumulate(loss, scale=1.0, backward=no_backward, moment=moment(LOSSES_KEPT - 1))

    assert "model.dtype" in caught.value.hint


def test_the_loss_of_a_batch_is_the_weighted_mean_of_its_rows() -> None:
    loss, _ = family_loss("bert", "rep", "lean", rows=3)
    rows = loss.form.losses(loss.model, loss.inputs).detach()

    assert float(loss().detach()) == pytest.approx(
        float((rows * torch.tensor([1, 2, 3]) / 6).sum()), abs=1e-6
    )
    assert batch_loss(loss.model, loss.inputs).weights.sum() == 1
