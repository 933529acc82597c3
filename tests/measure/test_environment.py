"""What is noted of the machine and the versions."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys

import pytest
import torch

from loretta_cli.measure import environment
from loretta_cli.measure.environment import PACKAGES, describe_environment


def test_versions_device_and_command_line_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["loretta", "train", "--seed", "3", "https://me:secret@host/x"])
    found = describe_environment()
    assert found["argv"] == ["train", "--seed", "3", "https://***@host/x"]
    assert found["python"] == platform.python_version()
    assert found["threads"] == torch.get_num_threads()
    assert len(found["gpus"]) == torch.cuda.device_count()
    assert list(found["packages"]) == list(PACKAGES)
    assert found["packages"]["torch"] == importlib.metadata.version("torch")


def test_it_can_be_written_as_json() -> None:
    assert json.loads(json.dumps(describe_environment())) == describe_environment()


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PACKAGES", ("torch", "no-such-package"))
    packages = describe_environment()["packages"]
    assert packages["no-such-package"] is None
    assert packages["torch"]
