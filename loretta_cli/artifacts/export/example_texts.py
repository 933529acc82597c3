"""What the Python of the cards asks a model: places for texts, as the task wants them. No row of the data."""

from __future__ import annotations

from typing import Any

from loretta_cli.planning.plan import Plan
from loretta_cli.tasks.base import MASK
from loretta_cli.tasks.forms.masked import MaskedForm


def texts_for_head(plan: Plan) -> str:
    """The tokenizer's first arguments, as Python: two texts, or two pairs where the head reads pairs."""
    task: Any = plan.data.task
    one = '["a text", "another one"]'
    is_pair = len(task.head) > 1 or task.kind == "choice"
    return f'{one}, ["its pair", "its own"]' if is_pair else one


def text_with_gap(plan: Plan, form: MaskedForm) -> tuple[str, dict[str, int]]:
    """A text as the task words it, with the tokenizer's mask token, and the tokens of the label words.

    Args:
        plan: Of the run.
        form: Its form.
    """
    named = {column: f"({column})" for column in plan.data.validation[0].texts}
    text = form.prompt.render(named).replace(MASK, form.tokenizer.mask_token)
    return text, dict(zip(form.prompt.words, form.words, strict=True))
