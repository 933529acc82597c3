"""What is installed of what this package needs, and which of its extras are whole. Imports no torch."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.requirements import Requirement

from loretta_cli.measure.environment import version_of

OURS = "loretta-cli"
BESIDE = ("tokenizers", "huggingface-hub", "xllamacpp", "sentence-transformers", "deepspeed", "triton")
"""Further packages of which a bug report should say the versions."""
FOR_TESTS = "test"
"""How the names of extras begin that only tests need."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package.

    Args:
        name: Its name.
        version: What is installed, or None.
        needs: The versions that fit, or an empty string where any does.
        is_optional: Whether only an extra, or nothing of ours, needs it.
    """

    name: str
    version: str | None
    needs: str = ""
    is_optional: bool = False

    @property
    def fits(self) -> bool:
        """Whether it is installed in a version that fits."""
        if self.version is None:
            return False
        return Requirement(f"{self.name}{self.needs}").specifier.contains(self.version, prereleases=True)


@dataclass(frozen=True, slots=True)
class Extra:
    """An extra.

    Args:
        name: As in ``loretta-cli[NAME]``.
        lacking: Its packages that are missing or do not fit.
    """

    name: str
    lacking: tuple[str, ...]


def packages() -> tuple[Package, ...]:
    """What this package needs, what its extras need, and a few beside; each once."""
    required = [_package(one, is_optional=False) for one in _requirements("")]
    optional = [_package(one, is_optional=True) for name in _extras() for one in _requirements(name)]
    beside = [Package(name, version_of(name), is_optional=True) for name in BESIDE]
    by_name: dict[str, Package] = {}
    for package in (*required, *optional, *beside):
        by_name.setdefault(package.name.lower(), package)
    return tuple(by_name.values())


def extras() -> tuple[Extra, ...]:
    """The extras for users, each with what it lacks."""
    found = []
    for name in _extras():
        parts = (_package(one, is_optional=True) for one in _requirements(name))
        found.append(Extra(name, tuple(package.name for package in parts if not package.fits)))
    return tuple(found)


def _extras() -> list[str]:
    try:
        names = importlib.metadata.metadata(OURS).get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [name for name in names if not name.startswith(FOR_TESTS)]


def _requirements(extra: str) -> Iterable[Requirement]:
    """What is needed without an extra, or by one alone."""
    try:
        lines = importlib.metadata.requires(OURS) or []
    except importlib.metadata.PackageNotFoundError:
        return
    for line in lines:
        one = Requirement(line)
        is_always = one.marker is None or one.marker.evaluate({"extra": ""})
        is_of_extra = one.marker is not None and not is_always and one.marker.evaluate({"extra": extra})
        if is_of_extra if extra else is_always:
            yield one


def _package(one: Requirement, *, is_optional: bool) -> Package:
    return Package(one.name, version_of(one.name), str(one.specifier), is_optional)
