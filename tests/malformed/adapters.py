"""Malformed run folders: each file of the adapter, and those beside it, damaged in several ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

Damage = Callable[[Path], None]
WEIGHTS, SETTINGS = "adapter/adapter_model.safetensors", "adapter/adapter_config.json"


def malformed_runs() -> Iterator[tuple[str, Damage]]:
    """What is wrong, and what makes it so in a copy of a good run folder."""
    for name in (WEIGHTS, SETTINGS, "config.yaml", "fingerprints.json"):
        for what, change in BYTES.items():
            if (name, what) not in HARMLESS:
                yield f"{name}: {what}", _changed(name, change)
        yield f"{name}: a folder", _folder_instead(name)
    for name in (WEIGHTS, SETTINGS, "config.yaml"):
        yield f"{name}: missing", _missing(name)
    for what, value in SETTINGS_OF_ADAPTER.items():
        yield f"{SETTINGS}: {what}", _setting(value)
    for what, header in HEADERS.items():
        yield f"{WEIGHTS}: {what}", _weights(header)
    yield "pickle instead of safetensors", _pickled


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut": lambda content: content[: len(content) // 2],
    "cut in its first line": lambda content: content[:5],
    "a bit flipped": lambda content: _flipped(content, len(content) - 3),
    "random bytes": lambda content: bytes((37 * n) % 256 for n in range(len(content))),
    "an empty list": lambda _: b"[]",
    "null": lambda _: b"null",
    "deep nesting": lambda _: b"[" * 20000,
    "of a web page": lambda _: b"<html>404</html>",
}
HARMLESS = {
    # A text with another bit, or without its last lines, may be a right one.
    ("config.yaml", "cut"),
    (SETTINGS, "a bit flipped"),
    ("config.yaml", "a bit flipped"),
    ("fingerprints.json", "a bit flipped"),
}
SETTINGS_OF_ADAPTER: dict[str, dict[str, object]] = {
    "another type": {"peft_type": "NO_SUCH_TYPE"},
    "no type": {"peft_type": None},
    "a type that is a list": {"peft_type": ["LORETTA_REP"]},
    "a rank of text": {"tt_rank": "five"},
    "a negative rank": {"tt_rank": -5},
    "another rank": {"tt_rank": 3},
    "a bottleneck of zero": {"r": 0},
    "modules that are not there": {"target_modules": ["no_such_module"]},
    "modules that are a number": {"target_modules": 7},
    "another shape": {"mode_shapes": {"32x8": [16, 16]}},
    "a shape that does not multiply": {"mode_shapes": {"32x8": [3, 3]}},
    "alpha of text": {"alpha": "much"},
    "code of strangers": {
        "auto_mapping": {"base_model_class": "Popen", "parent_library": "subprocess"},
        "task_type": None,
    },
}
HEADERS: dict[str, bytes] = {
    "a header longer than the file": (2**40).to_bytes(8, "little") + b"{}",
    "a header that is a list": (2).to_bytes(8, "little") + b"[]",
    "no tensors": (2).to_bytes(8, "little") + b"{}",
    "offsets behind the end": (72).to_bytes(8, "little")
    + b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16000000000]}}'.ljust(72),
}


def _flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def _changed(name: str, change: Callable[[bytes], bytes]) -> Damage:
    return lambda run: (run / name).write_bytes(change((run / name).read_bytes())) and None


def _missing(name: str) -> Damage:
    return lambda run: (run / name).unlink()


def _folder_instead(name: str) -> Damage:
    def damage(run: Path) -> None:
        (run / name).unlink()
        (run / name).mkdir()

    return damage


def _setting(value: dict[str, object]) -> Damage:
    def damage(run: Path) -> None:
        settings = json.loads((run / SETTINGS).read_text(encoding="utf-8"))
        (run / SETTINGS).write_text(json.dumps({**settings, **value}), encoding="utf-8")

    return damage


def _weights(content: bytes) -> Damage:
    def damage(run: Path) -> None:
        (run / WEIGHTS).write_bytes(content)
        (run / "fingerprints.json").unlink()  # as from a stranger, who has none

    return damage


def _pickled(run: Path) -> None:
    import torch

    (run / WEIGHTS).unlink()
    (run / "fingerprints.json").unlink()
    torch.save({}, run / "adapter" / "adapter_model.bin")
