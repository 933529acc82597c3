"""Which class meets a task in which form, forms that a task does not have, and the longest row."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from loretta_cli.errors import ConfigError
from loretta_cli.models.families import Form
from loretta_cli.tasks import TASKS
from loretta_cli.tasks.forms import LONGEST, longest_row, make_form, usual_length
from loretta_cli.tasks.forms.head import HeadForm
from loretta_cli.tasks.forms.prompt import PromptForm
from loretta_cli.tasks.forms.text_to_text import TextToTextForm

SST2 = TASKS.get("sst2")


def test_a_model_meets_a_task_in_the_form_that_was_chosen() -> None:
    assert make_form("classification", SST2, None, 32) == HeadForm(SST2, None, 32)
    assert make_form("prompt", SST2, None, 32) == PromptForm(SST2, None, 32)


def test_an_encoder_decoder_answers_prompts_and_its_head_wants_ends_of_texts() -> None:
    assert make_form("prompt", SST2, None, 32, decoder_start=0) == TextToTextForm(SST2, None, 32)
    assert make_form("classification", SST2, None, 32, decoder_start=0) == HeadForm(SST2, None, 32, True)


def test_options_are_calibrated_and_nothing_else() -> None:
    assert make_form("prompt", SST2, None, 32, calibrated=True) == PromptForm(SST2, None, 32, calibrated=True)
    with pytest.raises(ConfigError, match=r"task\.calibration is for options behind a prompt"):
        make_form("classification", SST2, None, 32, calibrated=True)


def test_a_form_that_the_task_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(ConfigError, match=r"The task sst2 has no generation form .* it has classification"):
        make_form("generation", SST2, None, 32)


@pytest.mark.parametrize(
    ("asked", "model_type", "positions", "longest"),
    [
        (300, "bert", 512, 300),
        (900, "bert", 512, 512),
        (900, "roberta", 514, 512),
        (900, "mpnet", 514, 512),
        (2048, "llama", 4096, 2048),
    ],
)
def test_the_longest_row_is_as_asked_within_the_models_positions(
    asked: int, model_type: str, positions: int, longest: int
) -> None:
    config = SimpleNamespace(model_type=model_type, max_position_embeddings=positions)
    assert longest_row(asked, config) == longest


@pytest.mark.parametrize("positions", [None, -1])
def test_a_model_without_a_position_limit_takes_what_is_asked(positions: int | None) -> None:
    config = SimpleNamespace(model_type="xlnet", max_position_embeddings=positions)
    assert longest_row(3000, config) == 3000


@pytest.mark.parametrize(
    ("form", "task", "length"),
    [
        ("classification", "boolq", LONGEST["classification"]),
        ("classification", "multirc", 512),
        ("masked", "multirc", 512),
        ("classification", "record", 512),
        ("prompt", "boolq", LONGEST["prompt"]),
        ("prompt", "multirc", LONGEST["prompt"]),
    ],
)
def test_an_encoder_reads_more_of_the_tasks_with_long_passages(form: Form, task: str, length: int) -> None:
    assert usual_length(form, TASKS.get(task)) == length
