"""torch.compile: one graph without breaks, forward and backward, and the numbers of eager mode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from loretta_cli.tuners import swap_adapter
from tests.tiny_models import labelled_batch, tiny_model
from tests.tuners.adapters import CONFIGS, PRESETS, adapted, config_for, train

CASES = [(family, method) for family in ("bert", "llama") for method in CONFIGS]
FAST = [("bert", "adp"), ("llama", "rep")]
"""A compilation takes many seconds; the default suite has these two, CI all."""


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def small(family: str, method: str, preset: str = "paper", **settings: Any) -> Any:
    """A random adapter on a model of one block, which compiles in a second or two."""
    dtype = settings.pop("dtype", torch.float32)
    base = tiny_model(family, num_hidden_layers=1, dtype=dtype)
    settings = {"init_weights": False, **settings}
    return adapted(family, method, preset, model=base, **settings)


def one_step(model: Any, compiled: Any, family: str) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Loss and gradients of a model, computed by its compiled form."""
    model.zero_grad()
    loss = compiled(**labelled_batch(family)).loss
    loss.backward()
    parameters = model.named_parameters()
    return loss.detach(), {name: value.grad.clone() for name, value in parameters if value.grad is not None}


def check_equal_to_eager(model: Any, family: str, backend: str, tolerance: float) -> None:
    loss, gradients = one_step(model, model, family)
    assert gradients.keys() == {name for name, value in model.named_parameters() if value.requires_grad}
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    found, compiled_gradients = one_step(model, compiled, family)
    torch.testing.assert_close(found, loss, rtol=0, atol=tolerance)
    assert compiled_gradients.keys() == gradients.keys()
    for name, value in gradients.items():
        torch.testing.assert_close(compiled_gradients[name], value, rtol=tolerance, atol=tolerance, msg=name)


@pytest.mark.parametrize(
    ("family", "method"),
    [pytest.param(*case, marks=() if case in FAST else pytest.mark.slow) for case in CASES],
)
def test_a_compiled_model_has_the_loss_and_the_gradients_of_eager(family: str, method: str) -> None:
    check_equal_to_eager(small(family, method), family, "aot_eager", 1e-6)


@pytest.mark.parametrize(
    ("family", "method", "preset"),
    [
        pytest.param(*case, preset, marks=pytest.mark.slow if in_ci else pytest.mark.exhaustive)
        for case, taken in zip(CASES, ("standard", "lean", "lean", "standard"), strict=True)
        for preset, in_ci in ((preset, preset == taken) for preset in PRESETS if preset != "paper")
    ],
)
def test_every_preset_compiles_in_one_graph(family: str, method: str, preset: str) -> None:
    check_equal_to_eager(small(family, method, preset), family, "aot_eager", 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("method", CONFIGS)
def test_saved_modules_in_fp32_inside_a_half_precision_model_compile(method: str) -> None:
    check_equal_to_eager(small("bert", method, dtype=torch.bfloat16), "bert", "aot_eager", 1e-2)


@pytest.mark.slow
def test_noise_reduction_compiles() -> None:
    model = small("llama", "rep", init_weights="noise-reduction")
    train(model, "llama")
    model.eval()
    check_equal_to_eager(model, "llama", "aot_eager", 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("method", CONFIGS)
def test_a_head_of_tensor_trains_and_two_active_adapters_compile(method: str) -> None:
    check_equal_to_eager(small("roberta", method), "roberta", "aot_eager", 1e-6)
    model = small("llama", method, "lean")
    model.add_adapter("second", config_for("llama", method, "lean", init_weights=False, tt_rank=3))
    model.base_model.set_adapter(["default", "second"])
    check_equal_to_eager(model, "llama", "aot_eager", 1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")  # torch itself uses it
@pytest.mark.parametrize(("family", "method"), FAST)
def test_inductor_gives_the_same_within_rounding(family: str, method: str) -> None:
    check_equal_to_eager(small(family, method), family, "inductor", 1e-4)


@pytest.mark.parametrize("method", [pytest.param("adp", marks=pytest.mark.slow), "rep"])
def test_swapping_an_adapter_in_a_compiled_model_compiles_nothing_anew(method: str, tmp_path: Path) -> None:
    other = small("llama", method)
    train(other, "llama")
    other.save_pretrained(tmp_path)
    model = small("llama", method)
    compiled: Any = torch.compile(model, backend="aot_eager", fullgraph=True)
    batch = labelled_batch("llama")
    with torch.no_grad():
        before, expected = compiled(**batch).logits, other(**batch).logits
        assert not torch.equal(before, expected)
        swap_adapter(compiled, tmp_path)
        with torch.compiler.set_stance("fail_on_recompile"):
            assert torch.equal(compiled(**batch).logits, expected)


def test_the_arguments_for_single_rows_are_refused_by_a_compiled_model_too() -> None:
    model = small("llama", "rep")
    compiled = torch.compile(model, backend="eager")
    with pytest.raises(ValueError, match="adapter_names was given"):
        compiled(**labelled_batch("llama", rows=2), adapter_names=["default", "default"])


@pytest.mark.slow
@pytest.mark.parametrize("method", CONFIGS)
def test_an_adapter_loaded_into_a_compiled_base_computes_the_same(method: str, tmp_path: Path) -> None:
    model = small("llama", method)
    model.save_pretrained(tmp_path)
    base = tiny_model("llama", num_hidden_layers=1)
    loaded = peft.PeftModel.from_pretrained(base, tmp_path).eval()
    base.compile(backend="aot_eager")
    batch = labelled_batch("llama")
    with torch.no_grad():
        assert torch.equal(loaded(**batch).logits, model(**batch).logits)
