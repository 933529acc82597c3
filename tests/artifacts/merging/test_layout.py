"""Which tensor of the base is which parameter, and what the merged files are to hold."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from loretta_cli.artifacts.merging import NotStreamable
from loretta_cli.artifacts.merging.checkpoint import Checkpoint, find_checkpoint
from loretta_cli.artifacts.merging.layout import Entry, merged_files
from loretta_cli.artifacts.merging.updates import Adapted, read_adapter
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import ModelError
from loretta_cli.planning.plan import make_plan
from tests.artifacts.merging.untrained_runs import make_run, save_base, tensors_of

CLASSIFY = "task.form=classification"


def read(run: RunFolder) -> tuple[Checkpoint, Adapted]:
    plan = make_plan(run.read_config())
    return find_checkpoint(plan.source, None), read_adapter(plan, run)


def entries(run: RunFolder, dtype: torch.dtype | None = None) -> dict[str, Entry]:
    return {entry.name: entry for file in merged_files(*read(run), dtype) for entry in file}


def test_a_bare_base_gets_the_prefix_of_the_model_and_a_head(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", "bert", bare=True)
    run = make_run(tmp_path / "run", base)

    found = entries(run)

    stored = tensors_of(base)
    assert {entry.source for entry in found.values()} == {*stored, None}
    assert {name for name, entry in found.items() if entry.source is None} >= {
        "classifier.weight",
        "classifier.bias",
    }
    assert all(name == f"bert.{entry.source}" for name, entry in found.items() if entry.source is not None)
    assert all(entry.name == entry.parameter for entry in found.values())


def test_a_language_model_that_becomes_a_classifier_loses_its_output_layer(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", save_base(tmp_path / "base", "llama"), CLASSIFY)

    found = entries(run)

    assert "lm_head.weight" not in found
    assert found["score.weight"].source is None
    assert found["score.weight"].shape == (2, 48)


def test_a_number_type_is_of_the_floating_point_tensors_alone(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", "bert", bare=True)
    with_ids = tensors_of(base) | {"embeddings.position_ids": torch.arange(130).reshape(1, -1)}
    save_file(with_ids, base / "model.safetensors", metadata={"format": "pt"})
    run = make_run(tmp_path / "run", base)

    kept, asked = entries(run), entries(run, torch.bfloat16)

    assert {entry.dtype for entry in kept.values()} == {torch.float32}
    assert {entry.dtype for entry in asked.values()} == {torch.bfloat16}
    assert not any("position_ids" in name for name in kept), "no parameter of the model"


def test_new_tensors_have_the_number_type_of_the_base(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", "bert", bare=True, dtype=torch.float16)

    found = entries(make_run(tmp_path / "run", base))

    assert found["classifier.weight"].dtype == torch.float16


def rewrite(base: Path, **changed: torch.Tensor | None) -> None:
    """Replace or remove tensors of a base that was trained on already."""
    tensors = tensors_of(base)
    for name, tensor in changed.items():
        full = next(one for one in tensors if one.endswith(name.replace("__", ".")))
        if tensor is None:
            del tensors[full]
        else:
            tensors[full] = tensor
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(("shape", "says"), [((7, 48), "7x48"), ((48, 7), "48x7"), ((), "a single number")])
def test_weights_that_do_not_fit_the_config_are_refused(
    tmp_path: Path, shape: tuple[int, ...], says: str
) -> None:
    base = save_base(tmp_path / "base", "llama")
    run = make_run(tmp_path / "run", base)
    rewrite(base, **{"0__self_attn__o_proj__weight": torch.ones(shape)})

    with pytest.raises(ModelError, match=f"o_proj.weight is {says}, expected 48x48") as refusal:
        entries(run)

    assert "config.json" in refusal.value.hint


@pytest.mark.parametrize("name", ["0__self_attn__q_proj__weight", "1__mlp__up_proj__weight"])
def test_a_base_that_lacks_a_tensor_is_not_streamed(tmp_path: Path, name: str) -> None:
    base = save_base(tmp_path / "base", "llama")
    run = make_run(tmp_path / "run", base)
    rewrite(base, **{name: None})

    with pytest.raises(NotStreamable, match=f"have no tensor model.layers.{name.replace('__', '.')}"):
        entries(run)


def test_a_tied_output_layer_may_be_stored_once_or_twice(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", "gpt2")
    run = make_run(tmp_path / "run", base, method="lora")
    assert "lm_head.weight" not in tensors_of(base)
    assert "lm_head.weight" not in entries(run)

    twice = tensors_of(base) | {"lm_head.weight": tensors_of(base)["transformer.wte.weight"].clone()}
    save_file(twice, base / "model.safetensors", metadata={"format": "pt"})

    assert entries(run)["lm_head.weight"].source == "lm_head.weight"
