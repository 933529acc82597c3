"""Gradient checkpointing: recomputing the activations of a block changes no gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.tiny_models import labelled_batch, tiny_model
from tests.tuners.adapters import CONFIGS, adapted, config_for

both_methods = pytest.mark.parametrize("method", CONFIGS)
both_families = pytest.mark.parametrize("family", ["bert", "llama"])
reentrant_or_not = pytest.mark.parametrize("reentrant", [True, False])


def turn_on(model: Any, reentrant: bool) -> None:
    model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": reentrant})


def gradients(model: Any, family: str) -> dict[str, torch.Tensor]:
    """Of one training step, dropout drawn the same every time."""
    model.train()
    model.zero_grad()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model(**labelled_batch(family)).loss.backward()
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


def assert_same_gradients(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6, msg=name)


def check_the_same(model: Any, family: str, *, on: Any) -> None:
    expected = gradients(model, family)
    assert expected.keys() == {name for name, value in model.named_parameters() if value.requires_grad}
    on()
    assert model.get_base_model().is_activation_checkpointing
    found = gradients(model, family)
    assert_same_gradients(found, expected)


@both_families
@both_methods
@reentrant_or_not
def test_turned_on_before_the_adapter_is_made_it_changes_no_gradient(
    family: str, method: str, reentrant: bool
) -> None:
    expected = gradients(adapted(family, method, "paper", init_weights=False), family)
    base = tiny_model(family)
    turn_on(base, reentrant)
    # PEFT lets the embeddings require gradients here, without which a reentrant block has none.
    found = gradients(adapted(family, method, "paper", model=base, init_weights=False), family)
    assert_same_gradients(found, expected)


@both_families
@both_methods
@reentrant_or_not
def test_turned_on_for_a_model_with_an_adapter_it_changes_no_gradient(
    family: str, method: str, reentrant: bool
) -> None:
    model = adapted(family, method, "paper", init_weights=False)
    check_the_same(model, family, on=lambda: turn_on(model.get_base_model(), reentrant))


@both_methods
@reentrant_or_not
def test_an_adapter_that_trains_nothing_but_cores_has_all_its_gradients(method: str, reentrant: bool) -> None:
    model = adapted("llama", method, "lean", init_weights=False)
    model.get_base_model().enable_input_require_grads()
    check_the_same(model, "llama", on=lambda: turn_on(model.get_base_model(), reentrant))


@both_methods
@reentrant_or_not
def test_a_half_precision_base_has_the_same_gradients_too(method: str, reentrant: bool) -> None:
    model = adapted(
        "bert", method, "paper", model=tiny_model("bert", dtype=torch.bfloat16), init_weights=False
    )
    check_the_same(model, "bert", on=lambda: turn_on(model.get_base_model(), reentrant))


@both_methods
def test_two_active_adapters_have_the_same_gradients_too(method: str) -> None:
    model = adapted("llama", method, "lean", init_weights=False)
    model.add_adapter("second", config_for("llama", method, "lean", init_weights=False))
    model.base_model.set_adapter(["default", "second"])
    check_the_same(model, "llama", on=lambda: turn_on(model.get_base_model(), False))
