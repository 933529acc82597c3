"""The memory that is traced on shapes is the memory that the same passes take with weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from loretta_cli.config import Config, load_config
from loretta_cli.measure.live_memory import peak_rise_bytes
from loretta_cli.planning.checking import without_weights
from loretta_cli.planning.memory import LONGER, SHORT, Memory, memory_of
from loretta_cli.planning.passes import longest_rows
from loretta_cli.planning.plan import load_base, make_plan, put_adapter
from tests.command_line import write_sentences
from tests.tiny_folders import save_tiny_decoder, save_tiny_encoder, save_tiny_encoder_decoder
from tests.tiny_masked import save_tiny_masked


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("memory")
    save_tiny_encoder(folder / "encoder", hidden=64)
    save_tiny_decoder(folder / "decoder", hidden=64)
    save_tiny_encoder_decoder(folder / "t5")
    save_tiny_masked(folder / "masked", "bert")
    write_sentences(folder / "sentences")
    texts = [f'{{"text": "the day was very{" good and warm" * (number % 4)}"}}\n' for number in range(20)]
    (folder / "texts.jsonl").write_text("".join(texts), encoding="utf-8")
    return folder


def config(place: Path, model: str, *settings: str) -> Config:
    is_text = "texts" in settings
    flags = {"model.name": str(place / model), "task.name": "language-modeling" if is_text else "sst2"}
    flags["data.source"] = str(place / ("texts.jsonl" if is_text else "sentences"))
    settings = tuple(setting for setting in settings if setting != "texts")
    return load_config(None, flags, settings).config


def memory(place: Path, model: str, *settings: str) -> Memory:
    plan = make_plan(config(place, model, *settings))
    train, evaluated = (plan.form.encode(rows).rows for rows in (plan.data.train, plan.data.validation))
    return memory_of(plan, without_weights(plan).config, train, evaluated)


def taken(place: Path, model: str, *settings: str) -> int:
    """What a step takes with weights, beyond those."""
    plan = make_plan(config(place, model, *settings))
    adapted: Any = put_adapter(plan, load_base(plan)).model
    training = plan.config.training
    every = plan.form.encode(plan.data.train).rows
    # One short row: without padding there is no mask, and a trace supposes one.
    rows = [*longest_rows(every, training.batch_size - 1), longest_rows(every, len(every))[-1]]
    batch = plan.form.collate(rows)
    is_backprop = training.gradient == "backprop"
    adapted.train(is_backprop)
    if training.gradient_checkpointing:
        adapted.gradient_checkpointing_enable({"use_reentrant": False})

    def step() -> None:
        with torch.set_grad_enabled(is_backprop):
            loss = plan.form.losses(adapted, batch).mean()
        if is_backprop:
            loss.backward()

    return peak_rise_bytes(step, torch.device("cpu"))


FORMS = {
    "a head on an encoder": ("encoder", ()),
    "a head on a decoder": ("decoder", ("task.form=classification",)),
    "a prompt": ("decoder", ()),
    "options of several tokens": ("decoder", ('task.options=["very good day", "bad"]',)),
    "a gap": ("masked", ("task.form=masked",)),
    "texts": ("decoder", ("texts",)),
    "an encoder-decoder": ("t5", ()),
    "adapters": ("encoder", ("adapter.method=adp",)),
    "every weight": ("encoder", ("adapter.method=full",)),
    "virtual tokens": ("decoder", ("adapter.method=prompt",)),
    "checkpointing": ("decoder", ("training.gradient_checkpointing=true",)),
}


@pytest.mark.parametrize("gradient", ["backprop", "zo"])
@pytest.mark.parametrize("name", FORMS)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_traced_step_holds_what_a_real_one_holds(place: Path, name: str, gradient: str) -> None:
    model, settings = FORMS[name]
    if gradient == "zo" and name == "checkpointing":
        pytest.skip("there is no backward pass")
    settings = ("adapter.method=rep", *settings, f"training.gradient={gradient}", "training.batch_size=8")

    found = memory(place, model, *settings)
    assert not found.why_not
    estimate = found.estimates[found.chosen]
    rows = estimate.rows
    traced = rows["activations"] + rows["logits"]
    if gradient == "backprop":
        traced += rows["gradients"]

    real = taken(place, model, *settings)
    assert traced == pytest.approx(real, rel=0.03), (traced, real)
    assert estimate.evaluation > 0


def test_both_gradients_are_estimated_with_one_adapter_and_the_chosen_one_is_named(place: Path) -> None:
    found = memory(place, "encoder", "adapter.method=lora", "training.gradient=zo", "zo.queries=4")

    assert found.chosen == "zo"
    assert list(found.estimates) == ["backprop", "zo"]
    assert found.estimates["backprop"].rows["adapters"] == found.estimates["zo"].rows["adapters"]
    assert found.estimates["backprop"].optimizer == "adamw"
    assert found.as_json()["zo"]["copies"] > 0


def test_a_model_that_cannot_be_traced_has_no_estimate_and_a_reason(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no kernel\nfor this")

    monkeypatch.setattr("loretta_cli.planning.memory.loss_of", broken)
    found = memory(place, "encoder", "adapter.method=rep")

    assert not found.estimates
    assert found.why_not.endswith(": no kernel")


def test_a_deep_model_is_estimated_from_two_shallow_ones(place: Path) -> None:
    plan = make_plan(config(place, "decoder", "adapter.method=lora", "training.batch_size=8"))

    def activations(depth: int) -> int:
        deep = dataclasses.replace(plan, model_config=type(plan.model_config)(**plan.model_config.to_dict()))
        deep.model_config.num_hidden_layers = depth
        train = plan.form.encode(plan.data.train).rows
        found = memory_of(deep, without_weights(deep).config, train, train[:4])
        assert not found.why_not
        return found.estimates["backprop"].rows["activations"]

    short, longer = activations(SHORT), activations(LONGER)
    assert activations(16) == pytest.approx(longer + 2 * (longer - short), rel=0.02)


def test_quantised_weights_take_a_fraction(place: Path) -> None:
    pytest.importorskip("bitsandbytes")
    plain = memory(place, "decoder", "adapter.method=lora")
    four_bits = memory(place, "decoder", "adapter.method=lora", "model.quantization=nf4")

    assert four_bits.estimates["backprop"].rows["weights"] < plain.estimates["backprop"].rows["weights"]
