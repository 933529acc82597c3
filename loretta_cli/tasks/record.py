"""ReCoRD (SuperGLUE): which of a news text's entities does a sentence about it leave out?

As in MeZO, the options are the sentence filled with each entity, one more point under the text's highlights;
a classification head reads the text and a filled sentence. Several entities may be accepted: training says
the first of them.
"""

from __future__ import annotations

from loretta_cli.tasks.base import Example, Prompt, Task, Texts
from loretta_cli.tasks.cells import Cells

GAP = "@placeholder"
HIGHLIGHT = "@highlight\n"


def _read(cells: Cells) -> Example:
    texts = cells.texts("passage", "query")
    if GAP not in texts["query"]:
        raise cells.error("query", f"the text has no {GAP}.")
    entities = tuple(dict.fromkeys(cells.text_list("entities")))
    accepted = tuple(dict.fromkeys(cells.text_list("answers")))
    right = [number for number, entity in enumerate(entities) if entity in accepted]
    if not right:
        raise cells.error("answers", f"found {list(accepted)}, none of which is among the entities.")
    return Example(
        texts,
        label=right[0],
        options=tuple(texts["query"].strip().replace(GAP, entity) for entity in entities),
        names=entities,
        answers=tuple((entity,) for entity in accepted),
        group=texts["passage"],
    )


def _points(row: Texts) -> str:
    return f"{row['passage'].strip().replace(HIGHLIGHT, '- ')}\n-"


TASK = Task(
    name="record",
    version=1,
    kind="choice",
    columns=("passage", "query", "entities", "answers"),
    read=_read,
    metrics=("f1", "exact_match"),
    scorer="record",
    head=("passage",),
    has_long_texts=True,
    prompt=Prompt(render=_points, options=(), cut="passage"),
    hub_id="aps/super_glue:record",
    unanswered=lambda values: {"answers": values.get("entities")},
)
