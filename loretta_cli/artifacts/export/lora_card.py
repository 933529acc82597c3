"""The card of a run's adapter as a LoRA: what it is, and Python that loads it and asks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loretta_cli.artifacts.export.card import write_export_card
from loretta_cli.artifacts.export.example_texts import text_with_gap, texts_for_head
from loretta_cli.artifacts.export.report import EngineCheck
from loretta_cli.artifacts.loader_snippet import loader_snippet, snippet_base
from loretta_cli.artifacts.push_files import BUNDLED_ON_HUB
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.models.source import BUNDLED_WEIGHTS
from loretta_cli.numerals import counted
from loretta_cli.planning.plan import Plan
from loretta_cli.tasks.forms.chat import ChatForm
from loretta_cli.tasks.forms.masked import MaskedForm


@dataclass(frozen=True, slots=True)
class SavedWhole:
    """What stands in a LoRA's file and is no LoRA: copies of modules of the base model.

    Args:
        modules: Their names, as PEFT's ``modules_to_save`` has them.
        parameters: How many numbers.
        bytes: Their size.
    """

    modules: tuple[str, ...]
    parameters: int
    bytes: int


@dataclass(frozen=True, slots=True)
class LoraFacts:
    """What the card of a LoRA tells of it.

    Args:
        rank: The largest of a layer.
        dtype: Of the base model's weights, as Python writes it.
        saved: What in it is no LoRA.
        is_served: Whether vLLM loads LoRAs on such a model.
        check: What PEFT said.
        serving: Names of engines, with the commands that serve it there.
    """

    rank: int
    dtype: str
    saved: SavedWhole
    is_served: bool
    check: EngineCheck
    serving: Sequence[tuple[str, str]] = ()


def write_lora_card(folder: Path, run: RunFolder, plan: Plan, facts: LoraFacts) -> None:
    """Write ``README.md``.

    Args:
        folder: Of the LoRA.
        run: Where it comes from.
        plan: Of the run.
        facts: What there is to say.
    """
    loader = loader_snippet(snippet_base(plan), facts.dtype, "LORA", folder=".", also=["AutoTokenizer"])
    write_export_card(
        folder,
        run,
        base=plan.config.model.name or "",
        library="peft",
        title=f"LoRA of rank {facts.rank}, exported from a LoRETTA_rep adapter",
        made_by="loretta export --format lora",
        text=_text(plan, facts),
        check=facts.check,
        serving=facts.serving,
        snippet=f'{loader}\ntokenizer = AutoTokenizer.from_pretrained(".")\n\n{_asked(plan)}',
        about_snippet=_MISSING if plan.form.name == "classification" else "",
    )


_MISSING = (
    "Where transformers says that weights of the head (`classifier` or `score`) are MISSING: the base model "
    "has no such head, and the adapter brings it."
)
_CLASSIFY = """\
encoded = tokenizer({texts}, padding=True, padding_side="right", return_tensors="pt")
logits = model.eval()(**encoded.to(model.device)).logits
{result}
"""
_LABELS = """\
for share in logits.softmax(-1):
    print(model.config.id2label[int(share.argmax())], f"{float(share.max()):.4f}")"""
_FILL = """\
# The text as the task words it, with one gap.
encoded = tokenizer({text}, return_tensors="pt").to(model.device)
gap = encoded["input_ids"][0].tolist().index(tokenizer.mask_token_id)
words, logits = {words}, model.eval()(**encoded).logits
print(max(words, key=lambda word: float(logits[0, gap, words[word]])))
"""
_CHAT = """\
question = [{"role": "user", "content": "A question"}]
encoded = tokenizer.apply_chat_template(
    question, add_generation_prompt=True, return_dict=True, return_tensors="pt"
)
"""
_WRITE = """\
written = model.eval().generate(**encoded.to(model.device), max_new_tokens=20)
print(tokenizer.decode(written[0], skip_special_tokens=True))
"""


def _asked(plan: Plan) -> str:
    """Python that asks the model something."""
    if isinstance(plan.form, MaskedForm):
        text, words = text_with_gap(plan, plan.form)
        return _FILL.format(text=repr(text), words=words)
    if plan.form.name == "classification":
        result = _LABELS if len(plan.labels) > 1 else "print(logits[:, 0].tolist())"
        return _CLASSIFY.format(texts=texts_for_head(plan), result=result)
    if isinstance(plan.form, ChatForm):
        return _CHAT + _WRITE
    return f'encoded = tokenizer("A text to go on with", return_tensors="pt")\n{_WRITE}'


def _text(plan: Plan, facts: LoraFacts) -> str:
    kind, saved = plan.config.model.quantization, facts.saved
    said = "A standard PEFT LoRA that needs no loretta. The scale is folded in (`lora_alpha = r`)."
    said += _base(plan)
    if kind is not None:
        said += (
            f"\n\nThe adapter was trained on the base model quantised to {kind}, and belongs on the same. It "
            "was compared on the numbers that the quantised weights stand for."
        )
    if saved.parameters:
        said += (
            f"\n\n**Not all of it is a LoRA**: {counted(saved.parameters, 'number')} ({saved.bytes:,} bytes) "
            f"are whole modules of the base model that were trained or are new: {', '.join(saved.modules)}. "
            "PEFT loads them (`modules_to_save`); vLLM refuses such an adapter, and llama.cpp has no place "
            "for them. For these engines fold everything into the base model: `loretta merge`."
        )
    elif not facts.is_served:
        said += "\n\nvLLM loads LoRAs on causal language models only; for other engines: `loretta merge`."
    return said


def _base(plan: Plan) -> str:
    """A paragraph on a base model that is not simply in a folder or on the hub."""
    name = plan.config.model.name or ""
    if plan.source.gguf_file is not None:
        return (
            "\n\nIts base model is a GGUF file, of which transformers alone does not read all settings: the "
            "code below reads these with loretta."
        )
    if name not in BUNDLED_WEIGHTS:
        return ""
    package = BUNDLED_WEIGHTS[name][0].replace("_", "-")
    said = f"\n\nIts base model `{name}` is what the Python package `{package}` brings"
    return f"{said} (on the hub `{BUNDLED_ON_HUB[name]}`)." if name in BUNDLED_ON_HUB else f"{said}."
