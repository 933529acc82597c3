"""The model card of a run of several tasks."""

from __future__ import annotations

from collections.abc import Sequence

from loretta_cli import __version__
from loretta_cli.artifacts.card_facts import made_with, public_name
from loretta_cli.artifacts.citations import citations
from loretta_cli.artifacts.files import write_text
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.artifacts.sizes import size_section

EXPLAINED = """\
Each row has the accuracy of the tasks (or their main metric) on their validation rows after a stage.
*Majority class* is the score of always saying the commonest label. *Forgetting* is the best score that a task
had from its own stage on, before the last stage, less its final score: above 0, so much was lost. The last
task has none.
"""


def write_sequence_card(run: RunFolder, table: str, parameters: Sequence[int], *, own_heads: bool) -> None:
    """Write ``README.md`` of a run of several tasks.

    Args:
        run: The run, with its adapter.
        table: The scores after each stage, in Markdown.
        parameters: Trainable ones in the last stage, and all of the base model.
        own_heads: Whether each task has a classification head of its own.
    """
    config = run.read_config()
    base, names = public_name(config.model.name or ""), config.task.names or []
    trainable, total = parameters
    last = run.last_stage.path.relative_to(run.path)
    heads = ""
    if own_heads:
        heads = (
            f" `adapter/` has the head of {names[-1]}; those of the other tasks are in `stages/*/adapter/`, "
            "and `loretta eval` puts each beside the final adapter."
        )
    text = f"""\
---
base_model: {base}
library_name: peft
tags: [loretta, tensor-train, {config.adapter.method}]
---

# {config.adapter.method} adapter for {base} on {", ".join(names)}, one after the other

Trained with loretta {__version__}: one adapter, {trainable:,} trainable parameters (base model: {total:,}).
`{last}/README.md` says how to load it.{heads}

## What was forgotten

{table}
{EXPLAINED}
![Scores after each stage](forgetting.png)

{size_section(run, total_parameters=total)}
{made_with(run)}

## Citation

```bibtex
{citations(config)}
```
"""
    write_text(run.card, text)
