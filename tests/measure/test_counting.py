"""Counting without weights equals counting the model that is trained."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from loretta_cli.config import Config
from loretta_cli.errors import ConfigError, ModelError
from loretta_cli.measure.counting import MethodCount, count_methods
from loretta_cli.measure.parameters import count_adapter, count_base
from loretta_cli.models.families import Form
from loretta_cli.models.loading import load_model
from loretta_cli.models.source import find_model
from loretta_cli.tuners.settings import make_peft_config
from tests.tiny_folders import save_tiny_decoder, save_tiny_encoder


def counts(
    name: str,
    methods: Sequence[str],
    *,
    asked: set[str] | None = None,
    labels: int | None = None,
    **sections: Any,
) -> list[MethodCount]:
    config = Config.model_validate({"model": {"name": name}, **sections})
    return count_methods(config, methods, asked=set(methods) if asked is None else asked, labels=labels)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Form, Path]:
    parent = tmp_path_factory.mktemp("models")
    return {
        "classification": save_tiny_encoder(parent / "encoder"),
        "prompt": save_tiny_decoder(parent / "decoder"),
    }


@pytest.mark.parametrize("method", ["adp", "rep", "lora"])
@pytest.mark.parametrize("form", ["classification", "prompt"])
def test_a_count_without_weights_is_that_of_the_loaded_model(
    folders: dict[Form, Path], form: Form, method: str
) -> None:
    import peft

    labels = 3 if form == "classification" else None
    (entry,) = counts(
        str(folders[form]), [method], labels=labels, adapter={"method": method, "bottleneck": 4}
    )
    loaded = load_model(find_model(str(folders[form])), form, labels=("a", "b", "c"))
    total = count_base(loaded.model)
    settings = Config.model_validate({"adapter": {"method": method, "bottleneck": 4}}).adapter
    task_type = "SEQ_CLS" if form == "classification" else "CAUSAL_LM"
    model_type = loaded.model.config.model_type
    peft_config = make_peft_config(
        settings, task_type=task_type, model_type=model_type, new_modules=loaded.new_modules
    )
    assert entry.count == count_adapter(peft.get_peft_model(loaded.model, peft_config), total, model_type)
    assert sum(entry.count.parts.values()) == entry.count.trainable > 0


@pytest.mark.parametrize(
    ("name", "method", "trainable"),
    [
        ("microsoft/deberta-base", "adp", 99_034),
        ("deberta-base", "rep", 54_068),
        ("llama-2-7b", "adp", 876_800),
        ("Llama-2-7b-hf", "rep", 507_904),
    ],
)
def test_a_well_known_name_is_counted_with_the_preset_of_the_paper(
    name: str, method: str, trainable: int
) -> None:
    (entry,) = counts(name, [method])
    assert entry.count.trainable == sum(entry.count.parts.values()) == trainable
    assert (entry.preset, entry.reason) == ("paper", "the paper has this model")


def test_full_counts_everything(folders: dict[Form, Path]) -> None:
    (entry,) = counts(str(folders["prompt"]), ["full"])
    assert entry.count.trainable == entry.count.total == sum(entry.count.parts.values())
    assert entry.count.percent == 100.0
    assert entry.preset is None


def test_settings_apply_to_the_methods_they_were_meant_for(folders: dict[Form, Path]) -> None:
    name = str(folders["prompt"])
    rep, lora = counts(
        name, ["rep", "lora"], asked={"rep"}, adapter={"method": "rep", "bottleneck": 4, "tt_rank": 2}
    )
    (alone,) = counts(name, ["lora"], adapter={"method": "lora"})
    (larger,) = counts(name, ["rep"], adapter={"method": "rep", "bottleneck": 4, "tt_rank": 3})
    assert lora.count == alone.count
    assert rep.count.trainable < larger.count.trainable


def test_a_setting_that_the_method_lacks_is_refused(folders: dict[Form, Path]) -> None:
    with pytest.raises(ConfigError, match=r"lora does not have the setting adapter\.tt_rank"):
        counts(str(folders["prompt"]), ["lora"], adapter={"tt_rank": 3})


@pytest.mark.parametrize(
    ("labels", "data", "number"),
    [(None, {}, 2), (None, {"labels": ["a", "b", "c"]}, 3), (5, {"labels": ["a", "b"]}, 5)],
)
def test_the_head_has_the_labels_asked_for(
    folders: dict[Form, Path], labels: int | None, data: dict[str, Any], number: int
) -> None:
    (entry,) = counts(str(folders["classification"]), ["rep"], labels=labels, data=data)
    assert entry.count.parts["head"] == number * 32 + number


def test_the_form_of_the_task_decides_about_the_head(folders: dict[Form, Path]) -> None:
    name = str(folders["prompt"])
    (prompt,), (head,) = counts(name, ["rep"]), counts(name, ["rep"], task={"form": "classification"})
    assert prompt.count.parts["head"] == 0
    assert head.count.parts["head"] == 2 * 32


def test_the_json_is_the_contract_with_shapes_on_request(folders: dict[Form, Path]) -> None:
    (entry,) = counts(str(folders["classification"]), ["adp"])
    short, long = entry.as_json(with_shapes=False), entry.as_json(with_shapes=True)
    assert list(short) == [
        "model", "method", "trainable", "total", "percent", "parts", "storage_bytes", "layers", "preset",
    ]  # fmt: skip
    shapes = long.pop("shapes")
    assert long == short
    assert set(shapes[0]) == {"name", "modes", "ranks", "parameters"}
    json.dumps(shapes)


def test_a_model_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        counts(str(tmp_path), ["rep"])


def test_a_revision_of_a_well_known_model_is_not_answered_from_the_facts_at_hand() -> None:
    with pytest.raises(ModelError, match="Cannot read the model"):
        count_methods(
            Config.model_validate({"model": {"name": "gpt2", "revision": "v2"}}),
            ["rep"],
            asked={"rep"},
            labels=None,
        )
