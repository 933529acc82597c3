"""The forms in which a model meets a task, one file each; :func:`make_form` chooses the class.

May import the rest of :mod:`tasks` and torch.
"""

from __future__ import annotations

from typing import Any

from loretta_cli.errors import ConfigError
from loretta_cli.models.families import Form
from loretta_cli.tasks.base import Task
from loretta_cli.tasks.forms.base import Batch, Encoded, Prediction, Row, TaskForm, length_of
from loretta_cli.tasks.forms.chat import ChatForm
from loretta_cli.tasks.forms.generation import GenerationForm, TextToTextGenerationForm
from loretta_cli.tasks.forms.head import HeadForm
from loretta_cli.tasks.forms.language_modeling import LanguageModelingForm
from loretta_cli.tasks.forms.masked import MaskedForm, label_words
from loretta_cli.tasks.forms.prompt import PromptForm
from loretta_cli.tasks.forms.text_to_text import TextToTextForm
from loretta_cli.tasks.forms.token_losses import predict_losses

__all__ = [
    "Batch",
    "Encoded",
    "Prediction",
    "Row",
    "TaskForm",
    "length_of",
    "longest_row",
    "make_form",
    "predict_losses",
    "usual_length",
]

LONGEST = {"classification": 256, "prompt": 1024, "masked": 256, "generation": 1024}
"""``data.max_length`` where it is not set: enough for the passages of BoolQ, small enough for a laptop."""
LONGEST_PASSAGE = 512
"""The same, of an encoder's form, for tasks whose rows are longer than that: all that most encoders read."""

_WHAT = {
    "classification": "a classification head",
    "prompt": "a prompt with options",
    "masked": "label words for a masked language model",
    "generation": "a text in the model's own words",
}


def make_form(
    name: Form,
    task: Task,
    tokenizer: Any,
    max_length: int,
    *,
    decoder_start: int | None = None,
    calibrated: bool = False,
) -> TaskForm:
    """The form of a task for a model.

    Args:
        name: Which form.
        task: The task.
        tokenizer: The model's tokenizer.
        max_length: Longest row in tokens.
        decoder_start: Of an encoder-decoder: the token that its decoder begins with.
        calibrated: Whether the scores of options are calibrated.

    Raises:
        ConfigError: If the task has no such form, or what has no options is to be calibrated.
    """
    check_form(name, task)
    if calibrated and name != "prompt":
        raise ConfigError(
            f"task.calibration is for options behind a prompt, and the form here is {name}.",
            hint="Leave task.calibration out.",
        )
    if name == "classification":
        return HeadForm(task, tokenizer, max_length, ends_texts=decoder_start is not None)
    if name == "masked":
        return MaskedForm(task, tokenizer, max_length, label_words(task, tokenizer))
    if name == "generation":
        return _generation_form(task, tokenizer, max_length, decoder_start)
    if decoder_start is not None:
        return TextToTextForm(task, tokenizer, max_length, calibrated, decoder_start)
    return PromptForm(task, tokenizer, max_length, calibrated)


def _generation_form(task: Task, tokenizer: Any, max_length: int, decoder_start: int | None) -> TaskForm:
    is_text = task.kind == "language-modeling"
    is_chat = task.generation is not None and task.generation.is_chat
    if decoder_start is None:
        form = LanguageModelingForm if is_text else ChatForm if is_chat else GenerationForm
        return form(task, tokenizer, max_length)
    if is_text or is_chat:
        raise ConfigError(
            f"The task {task.name} with {'plain texts' if is_text else 'messages'} needs a causal language "
            "model, and the model is an encoder-decoder.",
            hint="Choose another model, or give prompts and completions in two columns.",
        )
    return TextToTextGenerationForm(task, tokenizer, max_length, decoder_start=decoder_start)


def check_form(name: Form, task: Task) -> None:
    """Refuse a form that a task does not have.

    Raises:
        ConfigError: With the forms that it has.
    """
    if name not in task.forms:
        have = " or ".join(f"{form} ({_WHAT[form]})" for form in task.forms)
        raise ConfigError(
            f"The task {task.name} has no {name} form ({_WHAT[name]}); it has {have}.",
            hint="Choose a model for that form, another task.form, or another task.",
        )


def usual_length(form: Form, task: Task) -> int:
    """``data.max_length`` where it is not set."""
    return max(LONGEST[form], LONGEST_PASSAGE) if task.has_long_texts else LONGEST[form]


def longest_row(asked: int, config: Any, reserved: int = 0) -> int:
    """The length that is asked for, within the positions that the model has beside those reserved."""
    positions = getattr(config, "max_position_embeddings", None) or 0
    if positions <= 0:  # T5 has no such setting, XLNet says -1
        return asked
    if config.model_type in ("roberta", "mpnet"):
        positions -= 2  # their positions begin behind the padding index
    return min(asked, positions - reserved)
