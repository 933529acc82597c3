"""The comparison with llama.cpp passes for the same model and fails for another; a tie is no error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gguf", reason="the extra test-export is not installed")
pytest.importorskip("xllamacpp", reason="the extra test-export is not installed")

from loretta_cli.artifacts.comparison import Comparison
from loretta_cli.artifacts.engines import agreement as module
from loretta_cli.artifacts.engines.agreement import Agreement, Step, agreement, reference
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


def test_rows_without_options_are_scored_by_their_second_half(model: Any, file: Path) -> None:
    ids = TOKENIZER("the film was great and very fun")["input_ids"]

    asked = reference(model, [{"input_ids": ids, "weight": len(ids) - 1}])

    assert [*asked.options[0].prompt, *asked.options[0].tokens] == ids
    assert agreement(asked, file).passed


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
