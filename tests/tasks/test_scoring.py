"""What scores mean: losses against torch's or by hand, predictions, and ties."""

from __future__ import annotations

import pytest
import torch

from loretta_cli.tasks.scoring import ExpectedScore, OptionCrossEntropy, SquaredError, TeacherForcing

SCORES = torch.tensor([[1.0, 2.0, -1.0], [0.5, 0.5, 0.5]])


def test_choosing_one_is_trained_by_cross_entropy() -> None:
    labels = torch.tensor([2, 0])
    by_hand = -(SCORES.exp() / SCORES.exp().sum(-1, keepdim=True)).log()[[0, 1], labels]
    torch.testing.assert_close(OptionCrossEntropy().losses(SCORES, labels), by_hand)
    assert OptionCrossEntropy().predictions(SCORES) == [1, 0]


def test_an_option_that_a_row_does_not_have_costs_nothing_and_never_wins() -> None:
    scores = torch.tensor([[-3.0, -4.0, -torch.inf]])
    loss = OptionCrossEntropy().losses(scores, torch.tensor([0]))
    torch.testing.assert_close(loss, OptionCrossEntropy().losses(scores[:, :2], torch.tensor([0])))
    assert OptionCrossEntropy().predictions(scores) == [0]


def test_saying_the_right_one_is_trained_by_its_own_score_alone() -> None:
    assert TeacherForcing().losses(SCORES, torch.tensor([1, 2])).tolist() == [-2.0, -0.5]
    assert TeacherForcing().predictions(SCORES) == [1, 0]


def test_one_value_is_trained_by_its_squared_error() -> None:
    scores = torch.tensor([[2.5], [-1.0]])
    assert SquaredError().losses(scores, torch.tensor([3.0, -1.0])).tolist() == [0.25, 0.0]
    assert SquaredError().predictions(scores) == [2.5, -1.0]


def test_a_scale_is_answered_by_the_mean_value() -> None:
    scores = torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]).log()
    assert ExpectedScore((0.0, 2.0, 5.0)).predictions(scores) == pytest.approx([1.75, 0.0])


@pytest.mark.parametrize("label", [0.0, 0.5, 2.0, 3.5, 5.0, 9.0, -1.0])
def test_the_loss_of_a_scale_is_least_where_its_mean_is_the_label(label: float) -> None:
    scale = ExpectedScore((0.0, 2.0, 5.0))
    scores = torch.zeros(1, 3, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = scale.losses(scores, torch.tensor([label])).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert scale.predictions(scores.detach()) == pytest.approx([min(max(label, 0.0), 5.0)], abs=0.02)
