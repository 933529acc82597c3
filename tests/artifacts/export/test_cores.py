"""Bare cores say all that adp and rep do: TensorLy and the two files are enough."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import tensorly as tl
import torch
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file

from loretta_cli.artifacts.export.cores import DESCRIPTION, TENSORS, put_cores, trains_of, write_cores
from loretta_cli.tuners import LorettaAdpConfig, LorettaRepConfig
from tests.artifacts.export.serving_docs import documented
from tests.tiny_models import TASK_TYPES, tiny_model, token_batch

KINDS: dict[str, Any] = {"adp": LorettaAdpConfig, "rep": LorettaRepConfig}


def adapted(family: str, method: str, **settings: Any) -> PeftModel:
    """A tiny model with a random adapter and a scale that is not 1."""
    own = {"adp": {"bottleneck": 6}, "rep": {"r": 6}}[method]
    config = KINDS[method](
        **{
            **{"task_type": TASK_TYPES[family], "init_weights": False, "alpha": 15.0, "tt_rank": 3},
            **own,
            **settings,
        }
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return get_peft_model(tiny_model(family), config).eval()


def by_tensorly(tensors: dict[str, torch.Tensor], train: dict[str, Any]) -> torch.Tensor:
    """The matrix as the description tells it, with nothing of this project."""
    with tl.backend_context("pytorch"):
        whole: torch.Tensor = tl.tt_to_tensor([tensors[core] for core in train["cores"]])
    assert list(whole.shape) == train["modes"]
    return whole.reshape(train["in"], train["out"])


@pytest.mark.parametrize("family", ["roberta", "llama"])
def test_the_matrices_of_rep_come_out_of_the_files(family: str, tmp_path: Path) -> None:
    model = adapted(family, "rep")
    write_cores(model, tmp_path)

    said = json.loads((tmp_path / DESCRIPTION).read_text(encoding="utf-8"))
    tensors = load_file(tmp_path / TENSORS)
    assert said["formula"] == "layer(x) + scaling * x @ A @ B"
    assert len(said["layers"]) == 4, "two layers of each of two blocks"
    for one in said["layers"]:
        layer: Any = model.get_base_model().get_submodule(one["layer"])
        assert one["scaling"] == 15.0 / 6
        product = by_tensorly(tensors, one["trains"]["A"]) @ by_tensorly(tensors, one["trains"]["B"])
        delta = layer.get_delta_weight("default").T.detach()
        assert delta.abs().max() > 0.1
        assert (one["scaling"] * product - delta).abs().max() < 1e-6 * max(1.0, float(delta.abs().max()))


def test_the_matrices_of_adp_come_out_of_the_files(tmp_path: Path) -> None:
    model = adapted("bert", "adp")
    write_cores(model, tmp_path)

    said = json.loads((tmp_path / DESCRIPTION).read_text(encoding="utf-8"))
    tensors = load_file(tmp_path / TENSORS)
    for one in said["layers"]:
        layer: Any = model.get_base_model().get_submodule(one["layer"])
        for part, held in (("down", layer.loretta_adp_down), ("up", layer.loretta_adp_up)):
            found = by_tensorly(tensors, one["trains"][part])
            assert (found - held["default"].dense().detach()).abs().max() < 1e-6
            assert torch.equal(tensors[one["trains"][part]["bias"]], held["default"].bias.detach())


def test_every_number_of_the_description_is_that_of_its_cores(tmp_path: Path) -> None:
    said = write_cores(adapted("roberta", "adp", preset="paper"), tmp_path)

    tensors = load_file(tmp_path / TENSORS)
    trains = list(trains_of(said))
    assert len(trains) == 9, "two of each of four places, and one of the head"
    for train in trains:
        cores = [tensors[name] for name in train["cores"]]
        assert [core.shape[1] for core in cores] == train["modes"]
        assert [1, *(core.shape[2] for core in cores)] == train["ranks"]
        assert math.prod(train["modes"]) == train["in"] * train["out"]
        assert math.prod(train["modes"][: train["input_modes"]]) == train["in"]
    described = {name for train in trains for name in (*train["cores"], train["bias"]) if name}
    assert described | set(said["replaced"]) == set(tensors)


@pytest.mark.parametrize(
    ("family", "method", "settings"),
    [
        ("roberta", "adp", {"preset": "paper"}),
        ("roberta", "rep", {"preset": "paper"}),
        ("deberta", "rep", {"init_weights": "noise-reduction"}),
        ("llama", "adp", {"placement": "mlp"}),
        ("llama", "rep", {}),
        ("gpt2", "rep", {}),
    ],
)
def test_the_base_model_with_hooks_made_from_the_files_gives_the_logits_of_the_run(
    family: str, method: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    model = adapted(family, method, **settings)
    for name, core in model.named_parameters():
        if "loretta_rep_B" in name:  # away from its start, where noise reduction gives zero
            core.data += 0.5
    write_cores(model, tmp_path)
    batch = token_batch()
    base = tiny_model(family)
    with torch.no_grad():
        expected, plain = model(**batch).logits, base(**batch).logits
        put_cores(base, tmp_path)
        found = base(**batch).logits

    assert (plain - expected).abs().max() > 1e-2, "the adapter does something"
    assert (found - expected).abs().max() < 2e-5 * max(1.0, float(expected.abs().max()))


def test_a_head_of_trains_is_among_them_and_not_among_the_dense_tensors(tmp_path: Path) -> None:
    said = write_cores(adapted("roberta", "rep", preset="paper"), tmp_path)

    assert list(said["heads"]) == ["classifier.dense"]
    assert said["heads"]["classifier.dense"]["bias"] == "classifier.dense.bias"
    assert "classifier.out_proj.weight" in said["replaced"]
    assert not [name for name in said["replaced"] if name.startswith("classifier.dense.")]


def test_modes_that_are_not_aligned_have_no_boundary(tmp_path: Path) -> None:
    shapes = {"48x6": [9, 32], "6x48": [32, 9]}
    model = adapted("bert", "adp", mode_shapes=shapes)
    said = write_cores(model, tmp_path)

    assert {train["input_modes"] for train in trains_of(said)} == {None}
    base, batch = tiny_model("bert"), token_batch()
    put_cores(base, tmp_path)
    with torch.no_grad():
        assert (base(**batch).logits - model(**batch).logits).abs().max() < 2e-5


def test_the_code_of_the_docs_makes_the_matrices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = adapted("llama", "rep")
    said = write_cores(model, tmp_path)
    try:
        matrix = documented("Bare cores", tmp_path, monkeypatch)["matrix"]
        found = [[matrix(one["trains"][side]) for side in "AB"] for one in said["layers"]]
    finally:
        tl.set_backend("numpy")

    for one, (a, b) in zip(said["layers"], found, strict=True):
        layer: Any = model.get_base_model().get_submodule(one["layer"])
        assert torch.allclose(
            one["scaling"] * (a @ b), layer.get_delta_weight("default").T.detach(), atol=1e-5
        )
