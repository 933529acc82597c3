"""The card of a rep adapter that was made of a LoRA: how good it is, how large, how to load it."""

from __future__ import annotations

from pathlib import Path

from loretta_cli import __version__
from loretta_cli.artifacts.citations import citations
from loretta_cli.artifacts.compress_base import Bench
from loretta_cli.artifacts.compress_report import CompressReport, RankReport
from loretta_cli.artifacts.files import write_text
from loretta_cli.artifacts.loader_snippet import SnippetBase, loader_snippet, snippet_base
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.artifacts.sizes import size_section
from loretta_cli.config import Config
from loretta_cli.numerals import counted
from loretta_cli.tuners.peft_types import LorettaPeftType


def write_cards(folder: Path, report: CompressReport, bench: Bench, config: Config, dtype: str) -> None:
    """Write the ``README.md`` of each adapter, and of several one more beside their folders.

    Args:
        folder: The output, under its present name.
        report: What was made.
        bench: The base model.
        config: For what to cite.
        dtype: Of the base model's weights, as Python writes it.
    """
    for rank in report.ranks:
        place = folder / Path(rank.output).relative_to(report.output)
        write_text(place / "README.md", _card(place, rank, report, bench, config, dtype))
    if len(report.ranks) > 1:
        write_text(
            folder / "README.md",
            f"# The LoRA {report.source} as rep, at {counted(len(report.ranks), 'TT rank')}\n\n"
            f"{_about(report)}\n\n{_all_ranks(report)}\n",
        )


def _card(
    place: Path, rank: RankReport, report: CompressReport, bench: Bench, config: Config, dtype: str
) -> str:
    known = _base(bench, config)
    base = known.name
    on = f" on {report.task}" if report.task is not None else ""
    sizes = (
        f"{size_section(RunFolder(place), total_parameters=rank.total_parameters)}\n" if report.task else ""
    )
    layers = _table(("layer", "error"), [(name, f"{error:.3g}") for name, error in rank.errors.items()])
    return f"""\
---
base_model: {base}
library_name: peft
tags: [loretta, tensor-train, rep]
---

# rep adapter for {base}{on}, made of a LoRA

Made by `loretta compress --tt-rank {rank.rank}` (loretta {__version__}) from the LoRA `{report.source}` of \
rank {report.lora_rank}, without training. {_about(report)}

{_all_ranks(report)}

This is the adapter of TT rank {rank.rank}: bottleneck {rank.bottleneck}, {rank.update_parameters:,} numbers \
in its trains where the LoRA has {report.update_parameters:,}, a file of {rank.bytes:,} bytes where the \
LoRA's has {report.bytes:,}.

## Load it

In this folder:

```python
{loader_snippet(known, dtype, LorettaPeftType.LORETTA_REP, folder="adapter" if report.task else ".")}
```

{sizes}## Error of each layer

{layers}

## Citation

```bibtex
{citations(config)}
```
"""


def _about(report: CompressReport) -> str:
    said = (
        "The error of a layer is what is lost of its update, relative to it, in Frobenius norms. Modules "
        "that the LoRA saved whole (a head, norms) are kept as they are."
    )
    if report.before is None:
        return said
    rows = counted(report.before.rows, "validation row")
    return f"{said} {report.before.main_metric} is that of {rows} of {report.task}."


def _all_ranks(report: CompressReport) -> str:
    return _table(report.columns(), report.cells())


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _base(bench: Bench, config: Config) -> SnippetBase:
    """The base model, for the Python that loads it."""
    if bench.plan is not None:
        return snippet_base(bench.plan)
    return SnippetBase(
        bench.source,
        bench.model_config,
        bench.form,
        len(bench.labels) if bench.form == "classification" else None,
        config.model.revision,
        has_own_code=config.model.trust_remote_code,
    )
