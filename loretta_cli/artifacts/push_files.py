"""What of a run, an export or a merged model goes to the hub: weights, config, tokenizer, card.

Nothing else does: no data, no checkpoints, no settings of the run, no path of this machine. Imports no torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loretta_cli.artifacts.fingerprint import check_adapter
from loretta_cli.artifacts.run_folder import find_run
from loretta_cli.artifacts.tensor_header import is_whole
from loretta_cli.errors import RunError

ADAPTER_FILES = (".safetensors", ".json", ".txt", ".model", ".jinja")
"""What of a run's adapter folder goes: weights, config, tokenizer."""
CARD = "README.md"
MODELFILE = "Modelfile"
MADE_BY = "Made by `loretta "
"""Stands in the card of everything that was exported or merged."""
TEXTS = (".md", ".txt", ".jinja", ".yaml")
"""Files whose text is looked through for a path of this machine, as are those without an ending."""
BUNDLED_ON_HUB = {"bundled:minilm": "sentence-transformers/all-MiniLM-L6-v2"}
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_BASE_LINE = re.compile(r"(?m)\A(---\n(?:.*\n)*?)base_model: .*\n")
LONGEST_PATH = 4096
_LEADS_OUT = re.compile(r"(?m)^FROM \.\./(?:.*/)?([^/\n]+)$")
"""A base model outside the folder, by a path that means nothing elsewhere."""
_VOCABULARIES = ("tokenizer.json", "vocab.json")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it goes to the hub.

    Args:
        path: Inside the repository.
        content: Its bytes, or the file that has them.
    """

    path: str
    content: bytes | Path

    @property
    def bytes(self) -> int:
        """Its size."""
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)


def files_to_push(folder: Path, repository: str, base: str | None) -> tuple[Upload, ...]:
    """The files of a folder as they go to the hub.

    Args:
        folder: A finished run, an export or a merged model.
        repository: Where they go, which the card names.
        base: The base model's id on the hub, where the folder does not say it.

    Raises:
        RunError: If the folder is none of these, not finished, damaged, or names a path of this machine.
    """
    if (folder / "config.yaml").is_file():
        return tuple(_of_run(folder, repository, base))
    if _has_our_card(folder):
        return tuple(_of_export(folder, repository, base))
    find_run(folder)  # says what is missing
    raise RunError(f"{folder} is neither a run nor an export of loretta.")


def _of_run(folder: Path, repository: str, base: str | None) -> Iterator[Upload]:
    """The adapter of a finished run at the top of the repository, and its card."""
    whole = find_run(folder)
    if not whole.finished:
        raise RunError(
            f"The run {whole.path} is not finished.", hint="Finish it with loretta train --resume."
        )
    run = whole.last_stage
    check_adapter(run)
    config = run.read_config()
    base = base or _hub_name(config.model.name or "")
    places = [str(whole.path.absolute()), config.model.name or "", config.data.source or ""]
    card = _for_hub(_card(run.path), base, '"adapter"', repository)
    _check_private(run.path / CARD, card, [one for one in places if Path(one).is_absolute()])
    yield Upload(CARD, card.encode())
    picture = [run.curves] if run.curves.is_file() and not run.curves.is_symlink() else []
    for file in sorted((*run.adapter.iterdir(), *picture), key=lambda file: file.name):
        if file.is_file() and (file.suffix in ADAPTER_FILES or file in picture):
            yield Upload(file.name, _public(file, base))


def _of_export(folder: Path, repository: str, base: str | None) -> Iterator[Upload]:
    """All files of an export or a merged model."""
    card = _card(folder)
    named = re.search(r"(?m)^base_model: (\S+)$", card)
    known = _hub_name(named[1]) if named else None
    # A card has of a folder only its name, and of a model of the hub all of it.
    base = base or (known if known and _REPOSITORY.fullmatch(known) else None)
    card = _for_hub(card, base, '"."', repository)
    _check_private(folder / CARD, card, [str(folder.absolute())])
    yield Upload(CARD, card.encode())
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder)
        if str(path) != CARD and file.is_file() and not any(part.startswith(".") for part in path.parts):
            yield Upload(path.as_posix(), _public(file, base))


def _has_our_card(folder: Path) -> bool:
    return (folder / CARD).is_file() and MADE_BY in _card(folder)


def _card(folder: Path) -> str:
    try:
        return (folder / CARD).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RunError(f"{folder} has no readable {CARD}, the card.") from error


def _hub_name(name: str) -> str | None:
    """What the hub calls a base model; None for one in a folder, which only the user knows."""
    if name.startswith("bundled:"):
        return BUNDLED_ON_HUB.get(name)
    return None if not name or Path(name).is_absolute() else name


def _for_hub(card: str, base: str | None, here: str, repository: str) -> str:
    """A card as it stands on the hub.

    Args:
        card: The text; its ``base_model`` is one of the hub, which refuses any other, or is left out.
        base: The base model on the hub.
        here: How its loader names the adapter's folder.
        repository: What takes the place of that.
    """
    card = _BASE_LINE.sub(rf"\g<1>base_model: {base}\n" if base else r"\g<1>", card, count=1)
    if base is not None:
        card = re.sub(r'(?m)^base = "[^"]*"  # the folder of the base model$', f'base = "{base}"', card)
    card, found = re.subn(rf"(?m)^(model = .*, ){re.escape(here)}\)$", rf'\g<1>"{repository}")', card)
    # The tokenizer beside the adapter; the code of other exports is run in the folder.
    ours = rf"(?m)^(tokenizer = .*\(){re.escape(here)}\)$"
    return re.sub(ours, rf'\g<1>"{repository}")', card) if found else card


def _public(file: Path, base: str | None) -> bytes | Path:
    """A file without paths of this machine: PEFT's config names the base model, others name none.

    Raises:
        RunError: If another one does, or the file is a link or was cut short.
    """
    if file.is_symlink():
        raise RunError(f"{file} is a link, which is not uploaded.", hint="Put the file itself in its place.")
    if file.suffix == ".safetensors" and not is_whole(file):
        raise RunError(f"{file} is damaged: it is not as long as it says.", hint="Export or merge once more.")
    if file.suffix in TEXTS or not file.suffix:
        text = file.read_text(encoding="utf-8", errors="replace")
        here = _LEADS_OUT.sub(r"FROM ./\1", text) if file.name == MODELFILE else text
        _check_private(file, here, [str(file.parent.absolute())])
        if here != text:
            return here.encode()
    if file.suffix != ".json" or file.name in _VOCABULARIES:
        return file
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{file} is no readable JSON.") from error
    content: bytes | Path = file
    if file.name == "adapter_config.json" and isinstance(settings, dict):
        name = str(settings.get("base_model_name_or_path") or "")
        settings["base_model_name_or_path"] = base or (Path(name).name if Path(name).is_absolute() else name)
        content = (json.dumps(settings, indent=2, ensure_ascii=False) + "\n").encode()
    for text in _texts(settings):
        if _is_place(text):
            raise RunError(
                f"{file} names a place on this machine: {text}.", hint="Remove it from the file, then push."
            )
    return content


def _texts(value: Any) -> Iterator[str]:
    """Every string in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _is_place(text: str) -> bool:
    """Whether a text is a path as on this machine, of something that may be gone; ``/bin`` is a word too."""
    if not text.startswith("/") or len(text) > LONGEST_PATH:
        return False
    parts = Path(text).parts
    try:
        return len(parts) > 2 and Path(*parts[:2]).is_dir()
    except (OSError, ValueError):
        return False


def _check_private(file: Path, text: str, places: list[str]) -> None:
    """Refuse a text that names a folder of this machine, or that of its user.

    Raises:
        RunError: Naming it.
    """
    home = Path.home()
    for place in (*places, *([f"{home}/"] if len(home.parts) > 1 else [])):
        if place in text:
            raise RunError(
                f"{file} names a place on this machine: {place}.", hint="Remove it from the file, then push."
            )
