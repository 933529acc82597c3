"""The comparison with llama.cpp passes for the same model and fails for another; a tie is no error."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model

pytest.importorskip("gguf", reason="the extra test-export is not installed")
pytest.importorskip("xllamacpp", reason="the extra test-export is not installed")

from loretta_cli.artifacts.comparison import Comparison
from loretta_cli.artifacts.engines import agreement as module
from loretta_cli.artifacts.engines.agreement import TOLERANCE, Agreement, Step, agreement, reference
from loretta_cli.errors import DataError
from loretta_cli.tuners import LorettaRepConfig
from tests.gguf_models import write_gguf
from tests.tiny_folders import decoder_tokenizer
from tests.tiny_models import tiny_model

TOKENIZER = decoder_tokenizer()
ROWS: list[dict[str, Any]] = [
    {"input_ids": TOKENIZER("the film was")["input_ids"], "options": [[100], [7, 8]]},
    {"input_ids": TOKENIZER("the water is")["input_ids"], "options": [[9]]},
]


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_model("llama", vocab_size=len(TOKENIZER))


@pytest.fixture(scope="module")
def file(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(model, TOKENIZER, tmp_path_factory.mktemp("gguf") / "model.gguf")


def test_the_same_model_agrees(model: Any, file: Path) -> None:
    found = agreement(reference(model, ROWS), file)

    assert found.passed
    assert (found.same, found.ties, found.prompts, found.comparison.rows) == (2, 0, 2, 2)
    assert found.comparison.max_abs_difference < 1e-4


def test_another_model_does_not(file: Path) -> None:
    other = tiny_model("llama", seed=1, vocab_size=len(TOKENIZER))

    found = agreement(reference(other, ROWS), file)

    assert not found.passed
    assert not found.comparison.passed
    assert found.same < found.prompts


def test_a_small_adapter_that_is_missing_is_noticed_below_the_tolerance(model: Any, file: Path) -> None:
    config = LorettaRepConfig(
        r=4, tt_rank=2, alpha=0.1, target_modules=["q_proj"], task_type="CAUSAL_LM", init_weights=False
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        adapted = get_peft_model(copy.deepcopy(model), config).eval()

    asked = reference(adapted, ROWS)
    found = agreement(asked, file, noise=1e-4)

    assert 5e-4 < asked.effect < TOLERANCE
    assert found.comparison.max_abs_difference == pytest.approx(asked.effect, abs=2e-4)
    assert not found.passed
    with adapted.disable_adapter():
        assert agreement(reference(adapted, ROWS), file, noise=1e-4).comparison.passed


def test_rows_without_options_are_scored_by_their_second_half(model: Any, file: Path) -> None:
    ids = TOKENIZER("the film was great and very fun")["input_ids"]

    asked = reference(model, [{"input_ids": ids, "weight": len(ids) - 1}])

    assert [*asked.options[0].prompt, *asked.options[0].tokens] == ids
    assert agreement(asked, file).passed


def test_a_row_of_one_token_is_left_out_and_none_but_such_rows_are_refused(model: Any) -> None:
    alone = {"input_ids": [5], "weight": 0}

    asked = reference(model, [alone, {"input_ids": [5, 6, 7], "weight": 2}])

    assert [(list(option.prompt), list(option.tokens)) for option in asked.options] == [([5], [6, 7])]
    assert asked.prompts == [[5]]
    with pytest.raises(DataError, match="nothing to compare"):
        reference(model, [alone])


def test_few_prompts_are_continued_and_long_options_are_cut(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONTINUATION", 1)

    asked = reference(model, [{"input_ids": [1, 5], "options": [list(range(40))]}] * 12)

    assert (asked.rows, len(asked.options), len(asked.prompts)) == (12, 12, 10)
    assert {len(option.tokens) for option in asked.options} == {16}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([1, 2, 3], None),
        ([1, 2], None),
        ([1, 9, 3], 0.01),
        ([1, 8, 3], float("inf")),
        ([], float("inf")),
    ],
)
def test_continuations_part_at_a_tie_or_not(told: list[int], expected: float | None) -> None:
    steps = [Step(1, 4, 2.0), Step(2, 9, 0.01), Step(3, 5, 3.0)]

    assert module._parting(steps, told) == expected


def test_a_difference_that_is_no_number_and_a_lost_continuation_do_not_pass() -> None:
    good, bad = Comparison(0.01, 0.05, 1), Comparison(float("nan"), 0.05, 1)

    assert Agreement(good, 9, 1, 10).passed
    assert not Agreement(good, 8, 1, 10).passed
    assert not Agreement(bad, 10, 0, 10).passed
