"""The trajectory of a zeroth-order training: a header, then one record a step, in ``trajectory.jsonl``.

With the adapter as it was at the start, the scalars here and the directions, which follow from the seed,
every later adapter can be computed without a forward pass (MeZO, Section 2.1): a run of 20,000 steps is a
few megabytes of text. A record is written before the step it describes is taken.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from loretta_cli.errors import RunError
from loretta_cli.replacing import replacing
from loretta_cli.training.gradients.directions import GENERATOR, Distribution

VERSION = 1
Backend = Literal["sequential", "batched", "in-place"]
Optimizer = Literal["adamw", "adamw_fused", "adafactor", "sgd", "rmsprop"]
EVENTS = ("skip", "clip", "rollback")


@dataclass(frozen=True, slots=True)
class OptimizerOptions:
    """The settings of an optimizer beside its rate."""

    weight_decay: float
    momentum: float


@dataclass(frozen=True, slots=True)
class Header:
    """What all steps of a run have in common.

    Args:
        seed: Of the directions.
        distribution: Of the directions.
        estimator: ``central`` or ``one-sided``.
        generator: Draws the directions; those of another cannot be drawn again.
        parameters: Name and size of every trained parameter, in the order of the direction's numbers.
        undecayed: Names of those that weight decay leaves out.
        optimizer: Its name in ``training.optimizer``.
        optimizer_options: Its other settings.
        eps: Distance of the perturbed points.
        passes: Forward passes that were made to choose it and the back end.
        backend: ``sequential``, ``batched``, or ``in-place``: the parameters were perturbed where they are.
        chunk: Of ``batched``: tokens of all copies of a batch in one forward pass, at most; otherwise 0.
        threads: Of torch, on which the bits of a loss depend.
        versions: Of the libraries that decide about bits.
        version: Of this format.
    """

    seed: int
    distribution: Distribution
    estimator: Literal["central", "one-sided"]
    generator: str
    parameters: dict[str, int]
    undecayed: tuple[str, ...]
    optimizer: Optimizer
    optimizer_options: OptimizerOptions
    eps: float
    passes: int
    backend: Backend
    chunk: int
    threads: int
    versions: dict[str, str] = field(default_factory=dict)
    version: int = VERSION


_HEADER = TypeAdapter(Header)


@dataclass(frozen=True, slots=True)
class Record:
    """One optimizer step.

    Args:
        step: From 0.
        loss: The mean of the finite losses at the perturbed points; None where no slope was finite.
        g: The projected gradient of each query; None for a query whose losses were not finite.
        eps: The distance of the perturbed points from the present one.
        lr: The optimizer's learning rate.
        scale: Multiplied into the estimate.
        forward_passes: So far, this step included.
        event: ``skip``, ``clip`` or ``rollback``, or an empty string.
        to: Of a rollback: the number of steps after which the parameters were what they become again.
    """

    step: int
    loss: float | None
    g: tuple[float | None, ...]
    eps: float
    lr: float
    scale: float
    forward_passes: int
    event: str = ""
    to: int | None = None


class Trajectory:
    """Appends to and reads one trajectory. One process at a time may write it.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, header: Header) -> None:
        """Start the file anew."""
        with replacing(self.path) as unfinished:
            unfinished.write_text(json.dumps({"header": asdict(header)}) + "\n", encoding="utf-8")

    def append(self, record: Record) -> None:
        """Add a record; it is with the operating system when this returns."""
        values = {name: value for name, value in asdict(record).items() if value not in ("", None)}
        values.setdefault("loss", None)
        with self.path.open("ab") as file:
            file.write(json.dumps(values, allow_nan=False).encode() + b"\n")

    def read(self) -> tuple[Header, list[Record]]:
        """Header and records; a last line that a crash left unfinished is dropped.

        Raises:
            RunError: If the file is missing, its directions are of another generator, or a line is no record
                or not of the next step.
        """
        try:
            lines = self.path.read_bytes().split(b"\n")
        except OSError as error:
            raise RunError(
                f"There is no trajectory {self.path}.",
                hint="Only runs that were trained with training.gradient=zo have one.",
            ) from error
        whole = lines[:-1]  # behind the last line break there is nothing, or a torn line
        header = self._header(whole[0] if whole else b"")
        records: list[Record] = []
        for number, line in enumerate(whole[1:], start=2):
            record = _record(line)
            if record is None or record.step != len(records):
                raise RunError(
                    f"Line {number} of {self.path} is not the record of step {len(records)}.",
                    hint="The file was changed. Only an unfinished last line, of a crash, is no harm.",
                )
            records.append(record)
        return header, records

    def repair(self) -> None:
        """Cut off a last line that a crash left unfinished, so that the next record stands on its own."""
        content = self.path.read_bytes()
        end = content.rfind(b"\n") + 1
        if end != len(content):
            with replacing(self.path) as unfinished:
                unfinished.write_bytes(content[:end])

    def _header(self, line: bytes) -> Header:
        try:
            values = json.loads(line)["header"]
            header = _HEADER.validate_json(json.dumps(values), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"])) or "the whole"
            raise RunError(
                f"The trajectory {self.path} does not begin with a header: {key}: {first['msg']}.",
                hint="The file was changed, or is from another version of loretta.",
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"The trajectory {self.path} does not begin with a header.") from error
        if header.version != VERSION:
            raise RunError(
                f"The trajectory {self.path} has version {header.version}; this version of loretta reads "
                f"{VERSION}."
            )
        if header.generator != GENERATOR:
            raise RunError(
                f"The directions of the trajectory {self.path} were drawn by {header.generator!r}; this "
                f"version of loretta draws them by {GENERATOR!r}.",
                hint="Use the version of loretta that trained the run, or train it anew with --overwrite.",
            )
        return header


def finite(g: Sequence[float | None]) -> list[float]:
    """The projected gradients of the queries that count."""
    return [value for value in g if value is not None]


def _record(line: bytes) -> Record | None:
    try:
        values: dict[str, Any] = json.loads(line)
        record = Record(**{**values, "g": tuple(values["g"])})
    except (ValueError, KeyError, TypeError):
        return None
    return record if _is_sound(record) else None


def _is_sound(record: Record) -> bool:
    """Whether every value is what it should be."""
    numbers = (record.eps, record.lr, record.scale, *finite(record.g))
    numbers += () if record.loss is None else (record.loss,)
    goes_back = record.event == "rollback"
    return (
        all(isinstance(value, int | float) and math.isfinite(value) for value in numbers)
        and isinstance(record.step, int)
        and isinstance(record.forward_passes, int)
        and record.event in ("", *EVENTS)
        and (isinstance(record.to, int) and 0 <= record.to <= record.step if goes_back else record.to is None)
    )
