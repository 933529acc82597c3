"""What the plan decides, and which settings it refuses rather than ignores."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from loretta_cli.config import Config, load_config
from loretta_cli.errors import ConfigError
from loretta_cli.planning.plan import AdaptedModel, load_base, make_plan, put_adapter, split_rows
from loretta_cli.tuners.targets import TargetModulesError
from tests.command_line import write_sentences
from tests.tiny_folders import POSITIONS, save_tiny_decoder, save_tiny_encoder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    save_tiny_encoder(folder / "encoder")
    save_tiny_decoder(folder / "decoder")
    write_sentences(folder / "sentences")
    return folder


def config(place: Path, model: str, *settings: str) -> Config:
    flags = {
        "model.name": str(place / model),
        "task.name": "sst2",
        "data.source": str(place / "sentences"),
    }
    return load_config(None, flags, settings).config


def adapted(place: Path, model: str, *settings: str) -> AdaptedModel:
    plan = make_plan(config(place, model, *settings))
    return put_adapter(plan, load_base(plan))


def test_a_head_that_a_prompt_does_not_have_is_refused(place: Path) -> None:
    with pytest.raises(ConfigError, match="head=frozen is set"):
        adapted(place, "decoder", "adapter.head=frozen")


def test_modes_for_a_size_that_no_matrix_has_are_refused(place: Path) -> None:
    with pytest.raises(TargetModulesError, match="mode_shapes has modes for 99x8") as caught:
        adapted(place, "encoder", "adapter.mode_shapes={99x8: [9, 11, 8]}")

    assert "32x8" in caught.value.hint


def test_modes_for_a_size_that_is_there_are_taken(place: Path) -> None:
    model = adapted(place, "encoder", "adapter.mode_shapes={32x8: [4, 8, 8]}")

    assert {shape.modes for shape in model.count.shapes} >= {"4·8 | 8"}


def test_a_layer_beyond_the_last_is_refused(place: Path) -> None:
    for method in ("rep", "lora"):
        with pytest.raises(TargetModulesError, match="last layer of the model is 1"):
            adapted(place, "encoder", f"adapter.method={method}", "adapter.layers_to_transform=[0, 9]")


def test_a_warmup_of_a_schedule_without_one_is_refused(place: Path) -> None:
    with pytest.raises(ConfigError, match="no warm-up") as caught:
        make_plan(config(place, "encoder", "training.scheduler=constant", "training.warmup=5"))

    assert "constant_with_warmup" in caught.value.hint


def test_a_constant_schedule_is_resolved_without_warmup_and_can_be_read_again(place: Path) -> None:
    resolved = make_plan(config(place, "encoder", "training.scheduler=constant")).config

    assert resolved.training.warmup == 0
    assert make_plan(resolved).config.training == resolved.training


def test_a_length_beyond_the_models_positions_is_said(place: Path) -> None:
    plan = make_plan(config(place, "encoder", "data.max_length=4096"))

    assert plan.form.max_length == POSITIONS
    assert any("4096" in note and str(POSITIONS) in note for note in plan.data.notes)


def test_a_plan_made_of_a_resolved_config_is_the_same(place: Path) -> None:
    for model, method in (("decoder", "adp"), ("encoder", "rep"), ("encoder", "lora")):
        first = adapted(place, model, f"adapter.method={method}")
        plan = make_plan(first.config)
        second = put_adapter(plan, load_base(plan))

        assert second.config == first.config
        assert second.count == first.count
        names = [name for name, _ in first.model.named_parameters()]
        assert names == [name for name, _ in second.model.named_parameters()]
        pairs = zip(first.model.parameters(), second.model.parameters(), strict=True)
        assert all(torch.equal(one, two) for one, two in pairs)


def test_the_column_that_is_cut_is_resolved_so_that_an_evaluation_on_other_rows_cuts_the_same(
    tmp_path: Path, place: Path
) -> None:
    texts = {"train": ("the sun is warm today", "hot"), "other": ("warm", "the water is cold today")}
    for name, (first, second) in texts.items():
        lines = [f"day,{first},{second},{label}" for label in ("good", "bad") * 10]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,first,second,label", *lines]) + "\n")
    settings = {
        "model.name": str(place / "decoder"),
        "task.name": "classification",
        "task.prompt": "{first} or {second}:",
        "data.source": str(tmp_path / "train.csv"),
    }

    plan = make_plan(load_config(None, settings).config)
    rows = split_rows(plan.config, split="validation", rows=None, data=str(tmp_path / "other.csv"))

    assert plan.config.task.cut == "first"
    assert rows.task.prompt is not None
    assert rows.task.prompt.cut == "first"
    assert make_plan(plan.config, rows).config.task.cut == "first"
    assert make_plan(config(place, "decoder")).config.task.cut is None


def test_lora_saves_the_whole_new_head_of_deberta(tmp_path: Path, place: Path) -> None:
    from peft import get_peft_model, get_peft_model_state_dict

    from loretta_cli.config import AdapterSettings
    from loretta_cli.tuners.settings import make_peft_config
    from tests.tiny_models import tiny_model

    peft_config = make_peft_config(
        AdapterSettings(method="lora"),
        task_type="SEQ_CLS",
        model_type="deberta",
        new_modules=("pooler.dense",),
    )
    saved = get_peft_model_state_dict(get_peft_model(tiny_model("deberta"), peft_config))

    assert any("pooler.dense.weight" in name for name in saved)
    assert any("classifier.weight" in name for name in saved)
