"""The card of an ONNX export: what the graph is, and Python that runs it."""

from __future__ import annotations

from pathlib import Path

from loretta_cli.artifacts.export.card import write_export_card
from loretta_cli.artifacts.export.example_texts import text_with_gap, texts_for_head
from loretta_cli.artifacts.export.onnx_check import OnnxAgreement
from loretta_cli.artifacts.export.onnx_graph import MODEL, WrittenGraph
from loretta_cli.artifacts.export.report import EngineCheck
from loretta_cli.artifacts.merging.refusals import merges
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.planning.plan import Plan
from loretta_cli.tasks.forms.masked import MaskedForm


def write_onnx_card(
    folder: Path,
    run: RunFolder,
    plan: Plan,
    graph: WrittenGraph,
    check: EngineCheck,
    agreed: OnnxAgreement | None,
) -> None:
    """Write ``README.md``.

    Args:
        folder: Of the export.
        run: Where it comes from.
        plan: Of the run.
        graph: What was written.
        check: What onnxruntime said.
        agreed: The same in numbers; None if it did not run.
    """
    config = plan.config
    method, kind = config.adapter.method, config.model.quantization
    how = "folded into the weights" if merges(method) else "as layers of the graph"
    text = (
        f"`{MODEL}` is the base model with the {method} adapter {how}, in float32 (opset {graph.opset}), for "
        "any number of texts of any length that the model reads. It needs neither torch nor loretta."
    )
    if len(graph.files) > 1:
        text += f" Its weights lie in `{graph.files[1]}`, which belongs beside it."
    if kind is not None:
        text += (
            f"\n\nThe adapter was trained on the base model quantised to {kind}; the graph has the numbers "
            "that the quantised weights stand for."
        )
    if plan.form.name not in ("classification", "masked"):
        text += "\n\nThere is no cache of keys and values: each new token reads the whole text again."
    if agreed is not None and agreed.predictions:
        text += (
            f"\n\nThe largest logit is the same in {agreed.same} of {agreed.predictions} places that were "
            "compared."
        )
    write_export_card(
        folder,
        run,
        base=config.model.name or "",
        library="onnx",
        title=f"ONNX model, exported with its {method} adapter",
        made_by="loretta export --format onnx",
        text=text,
        check=check,
        serving=[("onnxruntime", "pip install onnxruntime transformers")],
        snippet=_snippet(plan),
    )


_LOAD = """\
import onnxruntime
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
session = onnxruntime.InferenceSession("model.onnx")
"""
_CLASSIFY = """\
encoded = tokenizer({texts}, padding=True, padding_side="right", return_tensors="np")
(logits,) = session.run(None, {{one.name: encoded[one.name] for one in session.get_inputs()}})
{result}
"""
_FILL = """\
# The text as the task words it, with one gap.
encoded = tokenizer([{text}], return_tensors="np")
(logits,) = session.run(None, {{one.name: encoded[one.name] for one in session.get_inputs()}})
gap = encoded["input_ids"][0].tolist().index(tokenizer.mask_token_id)
words = {words}
print(max(words, key=lambda word: logits[0, gap, words[word]]))
"""
_WRITE = """\
ids = tokenizer("A text to go on with", return_tensors="np")["input_ids"]
for _ in range(20):
    (logits,) = session.run(None, {"input_ids": ids, "attention_mask": ids * 0 + 1})
    ids = numpy.append(ids, logits[:, -1:].argmax(-1), axis=1)
print(tokenizer.decode(ids[0]))
"""


def _snippet(plan: Plan) -> str:
    """Python that runs the graph."""
    if plan.form.name not in ("classification", "masked"):
        return f"import numpy\n{_LOAD}\n{_WRITE}"
    if isinstance(plan.form, MaskedForm):
        text, words = text_with_gap(plan, plan.form)
        return f"{_LOAD}\n" + _FILL.format(text=repr(text), words=words)
    labels = list(plan.labels)
    result = (
        f"labels = {labels}\nprint([labels[best] for best in logits.argmax(-1)])"
        if len(labels) > 1
        else "print(logits[:, 0])"
    )
    return f"{_LOAD}\n" + _CLASSIFY.format(texts=texts_for_head(plan), result=result)
