"""Trackers get what the run's log gets, only if they are named; TensorBoard's files are read back."""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import ConfigError
from loretta_cli.report import SilentReporter
from loretta_cli.training.trackers import _wandb_mode, check_trackers, run_title, start_trackers
from loretta_cli.training.tracking import Tracking
from tests.command_line import loretta, metric_records, python
from tests.training.resumed_runs import EVERY, STEPS, Case
from tests.training.resumed_runs import make_place as make_place_of_cases
from tests.training.trainers import config_of, make_place, run_of

HAS_TENSORBOARD = importlib.util.find_spec("tensorboard") is not None
needs_tensorboard = pytest.mark.skipif(not HAS_TENSORBOARD, reason="tensorboard is not installed")
SHORT = ("training.max_steps=6", "training.log_every=2", "training.evaluate_every=3")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("tracking"))


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Tag to step to value, as TensorBoard itself reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return {tag: {one.step: one.value for one in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def expected_scalars(run: Path) -> dict[str, dict[int, float]]:
    """The same of the two logs of a run."""
    found: dict[str, dict[int, float]] = {}
    lines = (run / "throughput.jsonl").read_text(encoding="utf-8").splitlines()
    for record in [*metric_records(run), *map(json.loads, lines)]:
        for name, value in record.items():
            if name not in ("step", "split") and value is not None:
                found.setdefault(f"{record['split']}/{name}", {})[record["step"]] = value
    return found


def assert_same_scalars(run: Path) -> None:
    ours, theirs = expected_scalars(run), scalars(run / "tensorboard")
    assert ours.keys() == theirs.keys()
    for tag, values in ours.items():
        assert theirs[tag] == pytest.approx(values, rel=1e-6), tag


@needs_tensorboard
def test_tensorboard_has_every_number_of_the_logs(place: Path, tmp_path: Path) -> None:
    run = run_of(place, tmp_path / "run", *SHORT, "training.trackers=[tensorboard]")

    assert {"train/loss", "validation/accuracy", "train/tokens_per_second"} <= scalars(run.tensorboard).keys()
    assert_same_scalars(run.path)


@needs_tensorboard
def test_a_resumed_run_has_each_step_once_in_tensorboard(tmp_path: Path) -> None:
    place, run, case = make_place_of_cases(tmp_path / "place"), tmp_path / "run", Case()
    from loretta_cli.training.callbacks import ReportCallback

    own = ReportCallback.on_evaluate

    def interrupt(self: Any, args: Any, state: Any, control: Any, **options: Any) -> Any:
        if state.global_step == 2 * EVERY:
            raise KeyboardInterrupt  # behind the log of step 6 and before its checkpoint
        return own(self, args, state, control, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReportCallback, "on_evaluate", interrupt)
        assert loretta(*case.command(place, run), "--tracker", "tensorboard").exit_code == 130
    logged = {record["step"] for record in metric_records(run)}
    assert 2 * EVERY in logged
    before = scalars(run / "tensorboard")["train/loss"]
    assert 2 * EVERY in before

    outcome = loretta("train", "--output", run, "--resume")

    assert outcome.exit_code == 0, outcome.stderr
    assert f"resuming after step {EVERY}" in outcome.stderr
    assert STEPS in scalars(run / "tensorboard")["train/loss"]
    assert_same_scalars(run)


def test_who_is_not_named_is_not_imported(place: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.training.trainers import run_of\n"
        "run_of(Path(sys.argv[1]), Path(sys.argv[2]), 'training.max_steps=1')\n"
        "names = ('tensorboard', 'trackio', 'wandb', 'torch.utils.tensorboard')\n"
        "print([name for name in names if name in sys.modules])"
    )

    assert python(script, place, tmp_path / "run").splitlines()[-1] == "[]"
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_a_tracker_that_is_not_installed_is_refused_with_the_line_that_installs_it(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setitem(sys.modules, "trackio", None)
    arguments = ["train", "--model", place / "encoder", "--task", "sst2", "--data", place / "sentences"]

    outcome = loretta(
        *arguments, "--tracker", "wandb", "--tracker", "trackio", "--output", tmp_path / "run", "--json"
    )

    assert outcome.exit_code == 2
    error = outcome.document["error"]
    assert error["message"] == "training.trackers names wandb and trackio, which are not installed."
    assert "pip install wandb trackio " in error["hint"]
    assert "pip install 'loretta-cli[track]'" in error["hint"]
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="which is not installed"):
        check_trackers(["wandb", "wandb"])


def test_an_unknown_tracker_is_refused_with_those_there_are(tmp_path: Path) -> None:
    outcome = loretta("train", "quickstart", "--tracker", "tensorbord", "--output", tmp_path / "run")

    assert outcome.exit_code == 2
    assert "expected a list of these: tensorboard, trackio, wandb" in outcome.stderr
    assert "Did you mean 'tensorboard'?" in outcome.stderr


class Told:
    """Stands in for a tracker's package, and keeps what it is told."""

    def __init__(self) -> None:
        self.begun: list[dict[str, Any]] = []
        self.records: list[dict[str, Any]] = []
        self.finished: list[dict[str, Any]] = []
        self.metrics: list[Any] = []

    def init(self, **options: Any) -> Told:
        print("a banner")
        self.begun.append(options)
        return self

    def define_metric(self, *names: Any, **options: Any) -> None:
        self.metrics.append((names, options))

    def log(self, values: dict[str, Any], step: int | None = None) -> None:
        self.records.append({**values, **({} if step is None else {"step": step})})

    def finish(self, **options: Any) -> None:
        print("good bye")
        self.finished.append(options)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a stand-in where a package would be."""

    def put(name: str) -> Told:
        told, package = Told(), types.ModuleType(name)
        package.init = told.init  # type: ignore[attr-defined]

        class Settings:
            model_fields = types.MappingProxyType({"console": 0, "save_code": 0, "disable_git": 0})

            def __init__(self, **values: Any) -> None:
                self.values = values

        package.Settings = Settings  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, package)
        return told

    return put


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_service_gets_name_settings_and_numbers_and_nothing_on_stdout(
    name: str, place: Path, tmp_path: Path, stand_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    told: Told = stand_in(name)
    arguments = ["train", "--model", place / "encoder", "--task", "sst2", "--data", place / "sentences"]
    sets = [part for setting in SHORT for part in ("--set", setting)]

    outcome = loretta(*arguments, *sets, "--tracker", name, "--output", tmp_path / "run", "--json")

    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.document["steps"] == 6
    assert not {"a banner", "good bye"} & set((outcome.stdout + outcome.stderr).splitlines())
    assert outcome.stderr.count(f"the metrics go to {name} too: ") == 1
    (begun,) = told.begun
    assert (begun["project"], begun["name"]) == ("loretta", "run")
    assert begun["config"]["training"]["max_steps"] == 6
    assert begun["config"]["training"]["learning_rate"] > 0, "resolved"
    assert "hf_secret" not in repr(told.begun)
    wanted = expected_scalars(tmp_path / "run")
    found: dict[str, dict[int, float]] = {}
    for record in told.records:
        for tag, value in record.items():
            if tag != "step":
                found.setdefault(tag, {})[record["step"]] = value
    assert found == wanted or {tag: pytest.approx(value, rel=0.01) for tag, value in found.items()} == wanted
    assert len(told.finished) == 1


def test_wandb_takes_hold_of_nothing_and_keeps_its_id_when_resumed(
    place: Path, tmp_path: Path, stand_in: Any
) -> None:
    told: Told = stand_in("wandb")
    config = config_of(place, "training.trackers=[wandb]")
    for taken in (None, 0, 5):
        start_trackers(config, RunFolder(tmp_path / "run"), taken=taken)
    start_trackers(config, RunFolder(tmp_path / "run"), taken=None)

    first, second, third, anew = (begun["id"] for begun in told.begun)
    assert first == second == third != anew
    settings = told.begun[0]["settings"].values
    assert settings == {"console": "off", "save_code": False, "disable_git": True}
    assert told.begun[0]["dir"] == str(tmp_path / "run")
    assert (("*",), {"step_metric": "step"}) in told.metrics


@pytest.mark.parametrize(
    ("environment", "mode"),
    [
        ({}, None),
        ({"HF_HUB_OFFLINE": "1"}, "offline"),
        ({"HF_HUB_OFFLINE": "0"}, None),
        ({"HF_HUB_OFFLINE": "1", "WANDB_MODE": "online"}, None),
    ],
)
def test_who_is_offline_stays_so(environment: dict[str, str], mode: str | None) -> None:
    assert _wandb_mode(environment) == mode


def test_a_tracker_that_does_not_start_is_a_sentence(
    place: Path, tmp_path: Path, stand_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in("wandb")

    def refuse(**_: Any) -> None:
        raise RuntimeError("api_key not\nconfigured")

    monkeypatch.setattr(sys.modules["wandb"], "init", refuse)

    with pytest.raises(
        ConfigError, match="The tracker wandb did not start: api_key not configured"
    ) as caught:
        start_trackers(config_of(place, "training.trackers=[wandb]"), RunFolder(tmp_path / "run"), taken=None)

    assert "WANDB_MODE=offline" in caught.value.hint


class Broken:
    """A tracker whose service is gone."""

    look = ""

    def __init__(self) -> None:
        self.asked = 0

    def record(self, *_: Any) -> None:
        self.asked += 1
        raise OSError("the service is gone")

    def close(self, *, failed: bool) -> None:
        raise OSError("still gone")


class Warned(SilentReporter):
    """Keeps warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def test_a_tracker_that_fails_is_told_of_once_and_the_others_go_on() -> None:
    reporter, broken, told = Warned(), Broken(), Told()

    class Whole:
        look = ""

        def record(self, step: int, split: str, values: Any) -> None:
            told.records.append({"step": step, **values})

        def close(self, *, failed: bool) -> None:
            told.finished.append({"failed": failed})

    tracking = Tracking({"broken": broken, "whole": Whole()}, reporter)
    tracking.record(1, "train", {"loss": 0.5, "grad_norm": float("nan")})
    tracking.record(2, "train", {"loss": 0.25})
    tracking.close(failed=False)

    assert reporter.warnings == ["the tracker broken failed at step 1 and gets no more: the service is gone"]
    assert broken.asked == 1
    assert told.records == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}]
    assert told.finished == [{"failed": False}]


def test_a_tracker_that_fails_at_its_end_costs_nothing() -> None:
    reporter = Warned()

    Tracking({"broken": Broken()}, reporter).close(failed=False)

    assert reporter.warnings == ["the tracker broken failed at its end: still gone"]


def test_a_stage_is_named_after_the_whole_run(tmp_path: Path) -> None:
    assert run_title(RunFolder(tmp_path / "run")) == "run"
    assert run_title(RunFolder(tmp_path / "run" / "stages" / "1-sst2")) == "run/1-sst2"
