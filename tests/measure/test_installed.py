"""Packages and extras against what the installation itself says."""

from __future__ import annotations

import importlib.metadata
import tomllib

import pytest

from loretta_cli.measure import installed
from loretta_cli.measure.installed import extras, packages
from tests.command_line import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_dependency_is_there_in_a_version_that_fits() -> None:
    found = {package.name.lower(): package for package in packages()}
    needed = {line.split(">=")[0] for line in PROJECT["dependencies"]}

    assert needed <= set(found)
    for name in needed:
        assert found[name].version == importlib.metadata.version(name)
        assert found[name].fits
        assert not found[name].is_optional
    assert found["xllamacpp"].is_optional


def test_the_extras_are_those_for_users() -> None:
    names = [extra.name for extra in extras()]

    assert {"export", "quant", "quickstart"} <= set(names) <= set(PROJECT["optional-dependencies"])
    assert not [name for name in names if "test" in name]


def test_a_package_that_lacks_or_does_not_fit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"bitsandbytes": None, "transformers": "5.1.0", "torch": "2.13.0+cu130"}
    monkeypatch.setattr(installed, "version_of", lambda name: versions.get(name, "99.0"))

    found = {package.name: package for package in packages()}
    lacking = {extra.name: extra.lacking for extra in extras()}

    assert not found["transformers"].fits
    assert found["torch"].fits, "a local version counts as its version"
    assert lacking["quant"] == ("bitsandbytes",)
    assert lacking["export"] == ()


def test_without_an_installation_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "OURS", "no-such-package")

    assert extras() == ()
    assert all(package.name in installed.BESIDE for package in packages())
