"""The card of an export: where it comes from, what checked it, how it is served."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loretta_cli.artifacts.card_facts import public_name
from loretta_cli.artifacts.export.report import EngineCheck
from loretta_cli.artifacts.files import write_text
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.artifacts.sizes import size_section


def write_export_card(
    folder: Path,
    run: RunFolder,
    *,
    base: str,
    library: str,
    title: str,
    made_by: str,
    text: str,
    check: EngineCheck,
    serving: Sequence[tuple[str, str]] = (),
    snippet: str = "",
    about_snippet: str = "",
) -> None:
    """Write ``README.md`` of an export.

    Args:
        folder: Of the export.
        run: Where it comes from.
        base: Name of the base model.
        library: The hub's ``library_name``.
        title: The headline.
        made_by: The command, without the run.
        text: What it is.
        check: What the engine said.
        serving: Names of engines, with the exact commands that serve it there.
        snippet: Python that loads it, run in the folder.
        about_snippet: What is to be said of it, in sentences.
    """
    commands = "".join(f"\n{name}:\n\n```sh\n{command}\n```\n" for name, command in serving)
    commands += f"\nIn Python, in this folder:\n\n```python\n{snippet}```\n" if snippet else ""
    commands += f"\n{about_snippet}\n" if about_snippet else ""
    served = f"\n## Serve it\n{commands}" if commands else ""
    sizes = size_section(run, folder=folder)
    write_text(
        folder / "README.md",
        f"""\
---
base_model: {public_name(base)}
library_name: {library}
---

# {title}

Made by `{made_by}` from the run `{run.path.name}`. {text}

It was {check.in_words()}.
{served}
{sizes}""",
    )
