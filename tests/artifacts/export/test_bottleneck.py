"""The dense bottlenecks of adp say all that the layers do: plain torch and the two files are enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file

from loretta_cli.artifacts.export.bottleneck import DESCRIPTION, TENSORS, put_bottlenecks, write_bottlenecks
from loretta_cli.tuners import LorettaAdpConfig
from loretta_cli.tuners.adp import AdpLayer
from tests.artifacts.export.serving_docs import documented
from tests.tiny_models import TASK_TYPES, tiny_model, token_batch

ACTIVATIONS = {
    "relu": torch.relu,
    "gelu": torch.nn.functional.gelu,
    "silu": torch.nn.functional.silu,
    "tanh": torch.tanh,
}


def with_adp(family: str, **settings: Any) -> PeftModel:
    """adp with random trains and biases, and a scale that is not 1."""
    config = LorettaAdpConfig(
        **{
            **{"task_type": TASK_TYPES[family], "init_weights": False},
            **{"bottleneck": 6, "tt_rank": 3, "alpha": 15.0, "adapter_bias": True},
            **settings,
        }
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = get_peft_model(tiny_model(family), config).eval()
        for name, parameter in model.named_parameters():
            if name.endswith(".bias") and "loretta_adp" in name:
                torch.nn.init.normal_(parameter, std=0.5)
    return model


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("projections", ["tt", "dense"])
def test_a_layer_rebuilt_from_the_files_alone_computes_what_the_run_computes(
    activation: str, projections: str, tmp_path: Path
) -> None:
    model = with_adp("bert", activation=activation, projections=projections)
    write_bottlenecks(model, tmp_path)

    said = json.loads((tmp_path / DESCRIPTION).read_text(encoding="utf-8"))
    tensors = load_file(tmp_path / TENSORS)
    assert said["activation"] == activation
    assert said["formula"] == "h + up(activation(down(h)))"
    assert len(said["layers"]) == 4, "behind attention and FFN of two blocks"
    for one in said["layers"]:
        layer: Any = model.get_base_model().get_submodule(one["layer"])
        assert isinstance(layer, AdpLayer)
        assert {name: list(tensors[name].shape) for name in one["tensors"]} == one["tensors"]
        h = torch.randn(5, one["width"], generator=torch.Generator().manual_seed(3))
        down, up = (
            [tensors[f"{one['layer']}.{part}.{kind}"] for kind in ("weight", "bias")]
            for part in ("down", "up")
        )
        hidden = ACTIVATIONS[said["activation"]](h @ down[0].T + down[1])
        assert hidden.shape == (5, one["bottleneck"])
        rebuilt = h + hidden @ up[0].T + up[1]
        with torch.no_grad():
            expected = layer._adapted(h, "default")
        assert (expected - h).abs().max() > 0.1
        assert (rebuilt - expected).abs().max() <= 1e-6 * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("roberta", {"preset": "paper"}),
        ("deberta", {"adapter_bias": False}),
        ("llama", {"placement": "mlp"}),
        ("llama", {"placement": "sublayer"}),
        ("gpt2", {}),
    ],
)
def test_the_base_model_with_hooks_made_from_the_files_gives_the_logits_of_the_run(
    family: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    model = with_adp(family, **settings)
    write_bottlenecks(model, tmp_path)
    batch = token_batch()
    base = tiny_model(family)
    with torch.no_grad():
        expected, plain = model(**batch).logits, base(**batch).logits
        put_bottlenecks(base, tmp_path)
        found = base(**batch).logits

    assert (plain - expected).abs().max() > 1e-2, "the adapter does something"
    assert (found - expected).abs().max() < 2e-5


def test_an_adapter_before_a_layer_is_marked_so(tmp_path: Path) -> None:
    said = write_bottlenecks(with_adp("llama", placement="mlp"), tmp_path)

    sides = {(one["layer"].rpartition(".")[2], one["at"]) for one in said["layers"]}
    assert sides == {("gate_proj", "input"), ("up_proj", "input"), ("down_proj", "output")}


def test_trained_norms_and_a_tensor_train_head_are_dense_tensors_of_the_base(tmp_path: Path) -> None:
    said = write_bottlenecks(with_adp("roberta", preset="paper"), tmp_path)

    shapes = {name: list(value.shape) for name, value in tiny_model("roberta").state_dict().items()}
    assert said["replaced"] == {name: shapes[name] for name in said["replaced"]}
    assert "classifier.dense.weight" in said["replaced"]
    assert any("LayerNorm" in name for name in said["replaced"])


@pytest.mark.parametrize("settings", [{}, {"adapter_bias": False, "activation": "gelu"}])
def test_the_code_of_the_docs_computes_the_layers(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = with_adp("bert", **settings)
    said = write_bottlenecks(model, tmp_path)
    bottleneck = documented("Dense bottlenecks", tmp_path, monkeypatch)["bottleneck"]

    for one in said["layers"]:
        layer: Any = model.get_base_model().get_submodule(one["layer"])
        h = torch.randn(5, one["width"], generator=torch.Generator().manual_seed(3))
        with torch.no_grad():
            assert torch.allclose(bottleneck(one["layer"], h), layer._adapted(h, "default"), atol=1e-5)
