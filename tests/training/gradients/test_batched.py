"""Several points in one forward pass have the losses that they have one by one, whatever trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM, AutoTokenizer

from loretta_cli.tasks import TASKS, Example
from loretta_cli.tasks.forms import make_form
from loretta_cli.training.gradients.base import BatchLoss
from loretta_cli.training.gradients.batched import Batched, tokens_of
from loretta_cli.training.gradients.losses_at import Point, Sequential
from loretta_cli.training.gradients.own_copies import CopiesError, each_copy_apart, owners
from loretta_cli.training.gradients.vector import ParameterVector, trained_parameters
from loretta_cli.tuners import LorettaAdpConfig, LorettaRepConfig
from tests.batch_losses import batch_loss, directions_for, family_loss
from tests.tiny_folders import save_tiny_decoder, save_tiny_encoder_decoder
from tests.tiny_masked import save_tiny_masked
from tests.tiny_models import labelled_batch, tiny_model
from tests.tuners.adapters import CASES

CENTRAL = [(0, 1), (0, -1), (1, 1), (1, -1)]
ONE_SIDED = [(0, 0), (0, 1), (1, 1)]
EPS = 0.05
MIXED = {("deberta-v2", "adp", "paper"), ("deberta-v2", "rep", "standard")}
"""A norm or a query projection reads something that all rows share; see ``test_choosing.py``."""


def losses(
    loss: BatchLoss, vector: ParameterVector, points: Sequence[Point] = CENTRAL, *, copies: int | None = None
) -> tuple[list[float], list[float]]:
    """Those of both ways, from parameters that are not the start values."""
    draw, start = directions_for(vector), vector.read()
    theta = start + 0.02 * draw(9)
    several = Batched(vector, loss.model, (copies or len(points)) * tokens_of(loss))
    with torch.no_grad():
        together = several(loss, theta, points, draw, EPS)
        single = Sequential(vector)(loss, theta, points, draw, EPS)
    vector.become(start)
    assert list(together) == list(single) == list(points)
    return list(together.values()), list(single.values())


def assert_equal(found: tuple[list[float], list[float]], *, tolerance: float = 1e-5) -> None:
    together, single = found
    # A batch whose copies were mixed up would be seen: the points' losses lie far apart.
    assert max(single) - min(single) > 100 * tolerance
    assert together == pytest.approx(single, abs=tolerance, rel=0)


@pytest.mark.parametrize(("family", "method", "preset"), [case for case in CASES if case not in MIXED])
def test_every_family_has_the_losses_of_one_by_one(family: str, method: str, preset: str) -> None:
    assert_equal(losses(*family_loss(family, method, preset)))


@pytest.mark.parametrize("method", ["adp", "rep"])
@pytest.mark.parametrize("head", ["dense", "tt", "frozen"])
def test_every_kind_of_head_has_the_losses_of_one_by_one(method: str, head: str) -> None:
    assert_equal(losses(*family_loss("roberta", method, "standard", head=head)))


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("adp", {"projections": "dense"}),
        ("adp", {"tt_rank": 40}),
        ("adp", {"mode_shapes": {"48x64": [8, 8, 48], "64x48": [8, 8, 48]}}),
        ("rep", {"init_weights": "noise-reduction"}),
        ("rep", {"r": 3, "tt_rank": 7}),
    ],
    ids=["dense projections", "dense products", "modes not aligned", "noise reduction", "narrow waist"],
)
def test_every_way_to_multiply_has_the_losses_of_one_by_one(method: str, settings: dict[str, Any]) -> None:
    assert_equal(losses(*family_loss("llama", method, "lean", **settings)))


def test_the_parameters_as_they_are_are_a_point_like_the_others() -> None:
    assert_equal(losses(*family_loss("bert", "adp", "standard"), ONE_SIDED))


def test_a_half_precision_model_with_trained_norms_agrees_within_its_rounding() -> None:
    loss, vector = family_loss("llama", "adp", "paper", model=tiny_model("llama", dtype=torch.bfloat16))
    together, single = losses(loss, vector)
    assert together == pytest.approx(single, rel=0.02)


def test_a_lora_and_its_head_have_the_losses_of_one_by_one() -> None:
    config = peft.LoraConfig(task_type="SEQ_CLS", r=3, target_modules=["query", "value"])
    model = peft.get_peft_model(tiny_model("bert"), config).eval()
    assert_equal(losses(batch_loss(model, labelled_batch("bert")), trained_parameters(model)))


def test_what_has_no_forward_pass_of_its_own_is_refused() -> None:
    model = peft.get_peft_model(tiny_model("llama"), peft.IA3Config(task_type="CAUSAL_LM")).eval()
    with pytest.raises(CopiesError, match="no forward pass of their own"):
        Batched(trained_parameters(model), model, 100)


EXAMPLES = [
    Example({"sentence": text}, label)
    for text, label in (("a great film", 1), ("a bad, boring and very sad film", 0), ("fun", 1))
]
OPTIONS = {"one token each": (" bad", " good"), "several tokens": (" really bad", " good")}


def folder_loss(
    folder: Path, kind: Any, form: str, task: Any, examples: Sequence[Example], config: Any, **options: Any
) -> tuple[BatchLoss, ParameterVector]:
    """The loss of a form of the project."""
    made = make_form(form, task, AutoTokenizer.from_pretrained(folder), 100, **options)  # type: ignore[arg-type]
    torch.manual_seed(0)
    model = peft.get_peft_model(kind.from_pretrained(folder), config).eval()
    inputs = made.collate(made.encode(examples).rows)
    return batch_loss(model, inputs, made), trained_parameters(model)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("config", [LorettaAdpConfig, LorettaRepConfig])
def test_options_behind_a_prompt_have_the_losses_of_one_by_one(
    options: str, config: Any, tmp_path: Path
) -> None:
    task = TASKS.get("sst2")
    assert task.prompt is not None
    task = replace(task, prompt=replace(task.prompt, options=OPTIONS[options]))
    found = folder_loss(
        save_tiny_decoder(tmp_path),
        AutoModelForCausalLM,
        "prompt",
        task,
        EXAMPLES,
        config(task_type="CAUSAL_LM"),
    )
    assert ("option_tokens" in found[0].inputs) == (options == "one token each")
    assert_equal(losses(*found))


def test_a_gap_in_a_text_has_the_losses_of_one_by_one(tmp_path: Path) -> None:
    folder, config = save_tiny_masked(tmp_path, "roberta"), LorettaAdpConfig(task_type="FEATURE_EXTRACTION")
    found = folder_loss(folder, AutoModelForMaskedLM, "masked", TASKS.get("sst2"), EXAMPLES, config)
    assert_equal(losses(*found))


def test_an_answer_in_own_words_has_the_losses_of_one_by_one(tmp_path: Path) -> None:
    texts = [("the sky is blue", "is it red", "no"), ("the sun is warm", "is it cold", "not very cold")]
    examples = [
        Example({"title": "", "context": context, "question": question}, 0, answers=((answer,),))
        for context, question, answer in texts
    ]
    folder, config = save_tiny_decoder(tmp_path), LorettaAdpConfig(task_type="CAUSAL_LM")
    found = folder_loss(folder, AutoModelForCausalLM, "generation", TASKS.get("squad"), examples, config)
    assert_equal(losses(*found))


def test_an_answer_of_an_encoder_decoder_has_the_losses_of_one_by_one(tmp_path: Path) -> None:
    found = folder_loss(
        save_tiny_encoder_decoder(tmp_path),
        AutoModelForSeq2SeqLM,
        "prompt",
        TASKS.get("sst2"),
        EXAMPLES,
        LorettaRepConfig(task_type="SEQ_2_SEQ_LM"),
        decoder_start=0,
    )
    assert_equal(losses(*found))


def test_as_few_passes_as_the_tokens_allow_are_made_and_of_like_size() -> None:
    loss, vector = family_loss("bert", "adp", "lean", rows=3)
    rows: list[int] = []
    loss.model.register_forward_pre_hook(
        lambda _, args, given: rows.append(len(given["input_ids"])), with_kwargs=True
    )
    points = [*CENTRAL, (2, 1), (2, -1), (3, 1)]
    together, single = losses(loss, vector, points, copies=3)
    assert rows == [6, 6, 9, *[3] * 7]
    assert together == pytest.approx(single, abs=1e-5)


def test_a_longer_batch_has_fewer_copies_and_at_least_one() -> None:
    loss, vector = family_loss("bert", "rep", "lean", rows=2)
    longer = replace(
        loss,
        inputs={name: value.repeat(4, *[1] * (value.dim() - 1)) for name, value in loss.inputs.items()},
        weights=loss.weights.repeat(4) / 4,
    )
    several, draw, theta = (
        Batched(vector, loss.model, 2 * tokens_of(loss)),
        directions_for(vector),
        vector.read(),
    )
    with torch.no_grad():
        found = several(longer, theta, CENTRAL, draw, EPS)
        single = Sequential(vector)(longer, theta, CENTRAL, draw, EPS)
    assert found == single  # one by one, to the bit


def test_the_same_batch_has_the_same_losses_to_the_bit() -> None:
    loss, vector = family_loss("bert", "adp", "paper")
    assert losses(loss, vector)[0] == losses(loss, vector)[0]


def test_a_process_without_a_query_evaluates_nothing() -> None:
    loss, vector = family_loss("bert", "rep", "lean")
    several = Batched(vector, loss.model, tokens_of(loss))
    assert several(loss, vector.read(), [], directions_for(vector), EPS) == {}


def test_a_batch_that_takes_no_copies_is_met_one_by_one_and_told_once() -> None:
    # A norm of DeBERTa reads the relative positions, which all rows share; 3 copies do not divide them.
    loss, vector = family_loss("deberta-v2", "adp", "paper")
    heard: list[str] = []
    several = Batched(vector, loss.model, len(ONE_SIDED) * tokens_of(loss), heard.append)
    draw, theta = directions_for(vector), vector.read()
    with torch.no_grad():
        found = [several(loss, theta, ONE_SIDED, draw, EPS) for _ in range(2)]
        single = Sequential(vector)(loss, theta, ONE_SIDED, draw, EPS)
    assert found == [single, single]  # to the bit
    assert len(heard) == 1
    assert "is not given as many rows for each copy" in heard[0]
    several.tell = None
    with pytest.raises(CopiesError), torch.no_grad():
        several(loss, theta, ONE_SIDED, draw, EPS)


def test_the_model_is_left_as_it_was_also_by_a_failure() -> None:
    loss, vector = family_loss("bert", "adp", "paper")
    before = dict(loss.model.named_parameters())
    theta = vector.read()
    broken = replace(loss, inputs={**loss.inputs, "input_ids": loss.inputs["input_ids"] + 10**6})
    several = Batched(vector, loss.model, 100 * tokens_of(loss))
    with pytest.raises(IndexError), torch.no_grad():
        several(broken, theta, CENTRAL, directions_for(vector), EPS)
    assert not [module for module in loss.model.modules() if "forward" in module.__dict__]
    assert dict(loss.model.named_parameters()) == before
    assert torch.equal(vector.read(), theta)


def test_a_forward_of_a_modules_own_is_put_back() -> None:
    module = torch.nn.Linear(3, 2)
    own = module.forward = lambda value: torch.nn.Linear.forward(module, value) + 1  # type: ignore[method-assign]
    weights, inputs = torch.randn(2, 2, 3), torch.randn(4, 3)
    with each_copy_apart({module: ("weight",)}, 2), torch.no_grad():
        found = torch.func.functional_call(module, {"weight": weights}, (inputs,))
    expected = torch.cat([inputs[:2] @ weights[0].T, inputs[2:] @ weights[1].T]) + module.bias + 1
    assert torch.allclose(found, expected, atol=1e-6)
    assert module.forward is own


def test_the_owners_are_the_modules_that_are_no_tensor_trains() -> None:
    loss, vector = family_loss("bert", "adp", "standard")
    found = owners(loss.model, vector.parameters)
    assert [(type(module).__name__, names) for module, names in found.items()] == [
        ("Linear", ("weight", "bias"))
    ]
