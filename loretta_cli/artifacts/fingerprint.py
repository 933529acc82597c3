"""What a run was trained on, and what came of it, as checksums: ``fingerprints.json`` of a run folder.

Of the base model's weight files: their names, sizes, and a SHA-256 of samples. Of the adapter's file: the
SHA-256 of all of it, and of the settings that say how its numbers are used. Imports huggingface_hub only for
a model of the hub, and no torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from loretta_cli.artifacts.files import read_text, sha256, write_json
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.artifacts.tensor_header import NUMBER_NAMES, header_bytes, read_header
from loretta_cli.errors import RunError
from loretta_cli.models.source import ModelSource

BLOCKS = 64
BLOCK_BYTES = 64 * 1024
SAMPLED_BYTES = BLOCKS * BLOCK_BYTES
"""Of a larger file so much is read, behind its header."""
ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_SETTINGS = "adapter_config.json"
_CHANGEABLE = ("auto_mapping", "base_model_name_or_path", "inference_mode", "peft_version", "revision")
"""Settings of an adapter that do not say what it computes; a moved base model is written into one of them."""
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
OLDER_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file of weights.

    Args:
        name: Without its folder.
        bytes: Its size.
        sha256: :func:`sampled_sha256` of a base model's file, the whole SHA-256 of an adapter's.
    """

    name: str
    bytes: int
    sha256: str

    @property
    def content(self) -> tuple[int, str]:
        """What has to be the same; a file may have another name."""
        return self.bytes, self.sha256


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """What stands in ``fingerprints.json``.

    Args:
        base: The base model's weight files; none if they were not found.
        dtype: The number type of most of the base model's floating-point bytes, by safetensors' names; None
            if that is unknown.
        adapter: The finished adapter's file; None while there is none.
        settings: :func:`settings_sha256` of the finished adapter; None while there is none, and for a run of
            a version that did not record it.
    """

    base: tuple[WeightFile, ...]
    dtype: str | None = None
    adapter: WeightFile | None = None
    settings: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The document: ``base`` (``dtype``, ``files``, the sampling), ``adapter``, ``adapter_settings``."""
        base = {
            "dtype": self.dtype,
            "sampling": {"blocks": BLOCKS, "block_bytes": BLOCK_BYTES},
            "files": [asdict(file) for file in self.base],
        }
        adapter = None if self.adapter is None else asdict(self.adapter)
        return {
            "schema_version": 1,
            "base": base,
            "adapter": adapter,
            "adapter_settings": {"sha256": self.settings},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Fingerprints:
        """The contents of a document."""
        base, adapter = document["base"], document["adapter"]
        files = tuple(WeightFile(**file) for file in base["files"])
        settings = document.get("adapter_settings", {}).get("sha256")
        return cls(files, base["dtype"], None if adapter is None else WeightFile(**adapter), settings)


def sampled_sha256(file: Path) -> str:
    """A SHA-256 that costs little for 100 GB: of a file's header and 64 blocks of 64 KiB, evenly spaced.

    A file of up to 4 MiB behind its header is read whole, and the sum is then its ordinary SHA-256. The
    header is that of safetensors, with the names, shapes and places of all tensors; of other files there is
    none, and the first block has their beginning.

    Another model, another checkpoint of the same training, another number type, a file cut short or
    continued: all of these change the header, the size or every block. What it **cannot** see is a change
    between the blocks, such as one flipped bit or one edited matrix of a large file.

    Args:
        file: To read.
    """
    size = file.stat().st_size
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        head = header_bytes(opened, size) if file.suffix == ".safetensors" else 0
        if size - head <= SAMPLED_BYTES:
            opened.seek(0)
            return hashlib.file_digest(opened, "sha256").hexdigest()
        _add(digest, opened, 0, head)
        last = size - BLOCK_BYTES
        for block in range(BLOCKS):
            _add(digest, opened, head + (last - head) * block // (BLOCKS - 1), BLOCK_BYTES)
    return digest.hexdigest()


def _add(digest: Any, opened: BinaryIO, start: int, length: int) -> None:
    opened.seek(start)
    digest.update(opened.read(length))


def weight_files(source: ModelSource, *, revision: str | None, named: str | None = None) -> tuple[Path, ...]:
    """The files that transformers reads a model's weights from, as far as they are on this machine.

    Args:
        source: A folder, one file (GGUF), or a model of the hub, which is looked for in the cache alone.
        revision: Of a model of the hub.
        named: The file that its config names, if it does (``transformers_weights``).

    Returns:
        The files in the order of their names; none if there are none.
    """
    place = Path(source.location)
    if place.is_file():
        return (place,)
    for name in (*([named] if named else []), *WEIGHTS, *OLDER_WEIGHTS):
        if (found := _present(source, name, revision)) is None:
            continue
        if not name.endswith(".json"):
            return (found,)
        shards = [_present(source, shard, revision) for shard in _shards(found)]
        return tuple(shard for shard in shards if shard is not None)
    return tuple(sorted(place.glob("*.gguf"))) if source.is_local else ()


def _present(source: ModelSource, name: str, revision: str | None) -> Path | None:
    if source.is_local:
        file = Path(source.location) / name
        return file if file.is_file() else None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.location, name, revision=revision)
    return Path(found) if isinstance(found, str) else None


def _shards(index: Path) -> list[str]:
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []  # loading says what is wrong with it


def fingerprint_of(files: Sequence[Path]) -> Fingerprints:
    """The fingerprint of a base model's weight files."""
    found = tuple(WeightFile(file.name, file.stat().st_size, sampled_sha256(file)) for file in files)
    return Fingerprints(found, _stored_dtype(files))


def _stored_dtype(files: Sequence[Path]) -> str | None:
    """The number type of most floating-point bytes, by the headers of safetensors files."""
    sizes: dict[str, int] = {}
    for file in files:
        for tensor in read_header(file).values() if file.suffix == ".safetensors" else ():
            if tensor.dtype in NUMBER_NAMES:
                sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.bytes
    return max(sizes, key=lambda dtype: sizes[dtype], default=None)


def read_fingerprints(run: RunFolder) -> Fingerprints | None:
    """What a run recorded; None for a run of a version that recorded nothing.

    Raises:
        RunError: If the file is broken.
    """
    try:
        text = read_text(run.fingerprints_file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _broken(run) from error
    try:
        return Fingerprints.from_json(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _broken(run) from error


def _broken(run: RunFolder) -> RunError:
    return RunError(
        f"The file {run.fingerprints_file} of the run is broken: expected checksums in JSON.",
        hint="Put it back; without the file, nothing checks that base model and adapter are the right ones.",
    )


def write_fingerprints(run: RunFolder, fingerprints: Fingerprints) -> None:
    """Write ``fingerprints.json``."""
    write_json(run.fingerprints_file, fingerprints.as_json())


def add_adapter(run: RunFolder) -> None:
    """Record the run's finished adapter beside its base model."""
    known = read_fingerprints(run) or Fingerprints(())
    file = run.adapter / ADAPTER_WEIGHTS
    adapter = WeightFile(file.name, file.stat().st_size, sha256(file))
    settings = settings_sha256(run.adapter)
    write_fingerprints(run, Fingerprints(known.base, known.dtype, adapter, settings))


def settings_sha256(folder: Path) -> str | None:
    """A SHA-256 of the settings that say what an adapter computes, in whatever order and layout they stand.

    Args:
        folder: Of the adapter.

    Returns:
        The sum; None for a file that cannot be read, which loading it will tell better.
    """
    try:
        settings = json.loads((folder / ADAPTER_SETTINGS).read_text(encoding="utf-8"))
        kept = {name: value for name, value in settings.items() if name not in _CHANGEABLE}
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def check_adapter(run: RunFolder) -> None:
    """Refuse an adapter whose tensors or settings are not those that the training wrote.

    Raises:
        RunError: Naming it, and a whole copy if there is one.
    """
    expected = read_fingerprints(run)
    if expected is None or expected.adapter is None:
        return
    file = run.adapter / ADAPTER_WEIGHTS
    problem = _damage(file, expected.adapter)
    if problem is None:
        _check_settings(run, expected.settings)
        return
    copy = run.best / ADAPTER_WEIGHTS
    hint = "Put it back from a backup, or train the run again."
    if _damage(copy, expected.adapter) is None:
        hint = f"{copy} is a whole copy: put it in its place."
    raise RunError(
        f"The adapter file {file} is damaged: {problem}, so it is not what the training wrote.", hint=hint
    )


def _check_settings(run: RunFolder, expected: str | None) -> None:
    found = settings_sha256(run.adapter)
    if expected is None or found is None or found == expected:
        return
    hint = "Put the file back from a backup, or train the run again."
    if settings_sha256(run.best) == expected:
        hint = f"{run.best / ADAPTER_SETTINGS} has them as they were: put it in its place."
    raise RunError(
        f"The adapter's settings {run.adapter / ADAPTER_SETTINGS} are not those of the training, so the "
        "adapter would compute something else.",
        hint=hint,
    )


def _damage(file: Path, expected: WeightFile) -> str | None:
    """What is wrong with a file, or None."""
    if not file.is_file():
        return "it is missing"
    if (size := file.stat().st_size) != expected.bytes:
        return f"it has {size:,} bytes instead of {expected.bytes:,}"
    return None if sha256(file) == expected.sha256 else "its SHA-256 is another one"
