"""``loretta train``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loretta_cli.cli import completion, options
from loretta_cli.cli.shell import check_remote_code, command, quiet_transformers, signals_interrupt
from loretta_cli.errors import ConfigError, Interrupted, RunError
from loretta_cli.methods import METHODS, check_method
from loretta_cli.processes import processes
from loretta_cli.report import Reporter

if TYPE_CHECKING:
    from loretta_cli.config import Config, LoadedConfig

EPILOG = options.examples(
    "loretta train quickstart",
    "loretta train --model meta-llama/Llama-2-7b-hf --method adp --task boolq",
    "loretta train --model ./my-model --task classification --data reviews.csv",
    "loretta train --output runs/sst2-rep-minilm --resume",
)


def train(
    recipe: options.Recipe = None,
    model: options.Model = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method", metavar="X", help=f"{', '.join(METHODS)}.", autocompletion=completion.methods
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            "-t",
            metavar="T",
            help="A task; for data of your own classification, regression, multiple-choice, generation or "
            "language-modeling. Several: one after the other.",
            autocompletion=completion.tasks,
        ),
    ] = None,
    data: options.Data = None,
    output: options.Output = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="Seed of everything random.")
    ] = None,
    preset: options.Preset = None,
    gradient: Annotated[
        str | None,
        typer.Option(
            "--gradient",
            metavar="G",
            help="Where gradients come from: backprop, or zo (forward passes alone).",
        ),
    ] = None,
    tracker: Annotated[
        list[str] | None,
        typer.Option(
            "--tracker",
            metavar="NAME",
            help="Pass the metrics on to tensorboard, trackio or wandb; may be given several times.",
        ),
    ] = None,
    overrides: options.Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check all but the weights, show what would run, write nothing.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --output.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --output.")] = False,
    trust_remote_code: options.RemoteCode = False,
    json: options.Json = False,
) -> None:
    """Train an adapter and write a run folder."""
    flags = {
        "model.name": model,
        "adapter.method": method,
        "adapter.preset": preset,
        "task.name": task[0] if task and len(task) == 1 else None,
        "task.names": task if task and len(task) > 1 else None,
        "data.source": data,
        "output.dir": output,
        "training.seed": seed,
        "training.gradient": gradient,
        "training.trackers": tracker or None,
        "model.trust_remote_code": trust_remote_code or None,
    }
    with command(json=json, together=True) as reporter:
        if resume and overwrite:
            raise ConfigError("--resume and --overwrite contradict each other.", hint="Give one of them.")
        if resume and dry_run:
            raise ConfigError(
                "--resume and --dry-run contradict each other: a run is resumed with its own settings.",
                hint="They stand in the run's config.yaml. Give one of the two flags.",
            )
        _check_one_each(method, task or ())
        # --task takes back what a recipe says of the other of the two settings.
        taken_back = [f"task.{'name' if len(task) > 1 else 'names'}=null"] if task else []
        loaded = _load(recipe, flags, [*taken_back, *(overrides or ())])
        if overwrite and loaded.config.output.dir is None:
            raise ConfigError("--overwrite needs --output, the run to replace.")
        check_remote_code(loaded.config, trusted=trust_remote_code)
        if resume:
            _resume(loaded, reporter, trust_remote_code=trust_remote_code)
        elif dry_run:
            if processes().is_first:
                _dry_run(loaded, reporter, overwrite=overwrite)
        else:
            _train(loaded, reporter, overwrite=overwrite)


def _check_one_each(method: str | None, tasks: Sequence[str]) -> None:
    """Refuse the lists that compare takes.

    Raises:
        ConfigError: With the command that was meant.
    """
    if method and "," in method:
        raise ConfigError(
            f"--method takes one method; found {method!r}.",
            hint=f"Side by side: loretta compare --method {method}",
        )
    if found := next((task for task in tasks if "," in task), None):
        names = [name.strip() for name in ",".join(tasks).split(",") if name.strip()]
        in_a_row = " ".join(f"--task {name}" for name in names)
        raise ConfigError(
            f"--task takes one task each time; found {found!r}.",
            hint=f"One after the other: {in_a_row}. Side by side: loretta compare --task {','.join(names)}",
        )


def _load(recipe: str | None, flags: Mapping[str, object], overrides: Sequence[str]) -> LoadedConfig:
    from loretta_cli.config import find_recipe, load_config
    from loretta_cli.tasks import check_task
    from loretta_cli.training.trackers import check_trackers

    loaded = load_config(find_recipe(recipe) if recipe else None, flags, overrides)
    check_method(loaded.config.adapter.method)
    for name in _tasks(loaded.config):
        check_task(name)
    check_trackers(loaded.config.training.trackers)
    return loaded


def _tasks(config: Config) -> list[str]:
    """The names of all tasks: none, one or several."""
    return config.task.names or ([config.task.name] if config.task.name is not None else [])


def _train(loaded: LoadedConfig, reporter: Reporter, *, overwrite: bool) -> None:
    from loretta_cli.artifacts.run_folder import check_free, choose_folder

    config = loaded.config
    folder = choose_folder(config.output.dir, _run_name(config))
    if processes().is_first:
        # The others are told the folder; by the time they look, it may have been made.
        check_free(folder, overwrite=overwrite)
    _check_sources(config)
    _run(config, folder, reporter, overwrite=overwrite, origins=loaded.origins)


def _check_sources(config: Config) -> None:
    """Say at once what is missing, before anything heavy is imported.

    Raises:
        ConfigError: If the model or the task is not given.
        LorettaError: If the model or the data is not there.
    """
    from loretta_cli.cli.early import check_sources

    given = {"model": config.model.name, "task": _tasks(config)}
    missing = [name for name, value in given.items() if not value]
    if missing:
        flags = " and ".join(f"--{name} NAME" for name in missing)
        raise ConfigError(
            f"No {' and no '.join(missing)} given.", hint=f"Add {flags}, or try: loretta train quickstart"
        )
    check_sources(config)


def _resume(loaded: LoadedConfig, reporter: Reporter, *, trust_remote_code: bool) -> None:
    from loretta_cli.artifacts.base_location import EDIT_CONFIG
    from loretta_cli.artifacts.run_folder import RunFolder
    from loretta_cli.cli.closing import show_report
    from loretta_cli.cli.early import check_places
    from loretta_cli.config import contradictions

    if loaded.config.output.dir is None:
        raise ConfigError(
            "--resume needs --output, the run to go on with.",
            hint="`loretta runs` lists the runs, with those that can go on.",
        )
    run = RunFolder(Path(loaded.config.output.dir).expanduser())
    if not run.config_file.is_file():
        raise RunError(
            f"There is no run to resume in {run.path}: it has no config.yaml.",
            hint="Start it without --resume.",
        )
    whole = RunFolder(run.path.absolute().parent.parent)
    if run.path.absolute().parent.name == "stages" and whole.config_file.is_file():
        raise RunError(
            f"{run.path} is one stage of a run of several tasks, and it begins where the one before ended.",
            hint=f"Go on with all: loretta train --output {shlex.quote(str(whole.path))} --resume",
        )
    saved = run.read_config()
    check_remote_code(saved, trusted=trust_remote_code)
    if faults := contradictions(saved, _with_absolute_paths(loaded)):
        raise ConfigError(
            "A run is resumed with its own settings: " + "; ".join(faults) + ".",
            hint="Drop these flags, or start a new run.",
        )
    if run.finished:
        reporter.note(f"the run {run.path} is finished")
        show_report(run.read_report(), run.path, saved, reporter)
        return
    check_places(run, data=saved.data.source, hint=EDIT_CONFIG)
    _run(saved, run.path, reporter, resume=True)


def _with_absolute_paths(loaded: LoadedConfig) -> LoadedConfig:
    """Paths as a run's config keeps them, so that the same place in other words is no contradiction."""
    import dataclasses

    config = loaded.config
    updates = {}
    for section, name in (("model", "name"), ("data", "source")):
        value = getattr(getattr(config, section), name)
        if value and not value.startswith("bundled:") and (path := Path(value).expanduser()).exists():
            updates[section] = getattr(config, section).model_copy(update={name: str(path.resolve())})
    return dataclasses.replace(loaded, config=config.model_copy(update=updates))


def _run(
    config: Config,
    folder: Path,
    reporter: Reporter,
    *,
    resume: bool = False,
    overwrite: bool = False,
    origins: Mapping[str, str] | None = None,
) -> None:
    processes().share(config.training.batch_size)
    from loretta_cli.artifacts.run_folder import RunFolder
    from loretta_cli.cli.closing import show_report
    from loretta_cli.training.run import train as train_adapter
    from loretta_cli.training.sequence import train_sequence

    quiet_transformers()
    report: Mapping[str, Any]
    how: dict[str, Any] = {"resume": resume, "overwrite": overwrite, "origins": origins}
    try:
        with signals_interrupt():
            if config.task.names:
                report = train_sequence(config, folder, reporter, **how)
            else:
                report = train_adapter(config, folder, reporter, **how).as_json()
    except KeyboardInterrupt as stop:
        again = f"Go on: loretta train --output {shlex.quote(str(folder))} --resume"
        hint = again if RunFolder(folder).config_file.is_file() else ""
        raise Interrupted(str(stop) or "Interrupted.", hint=hint) from None
    show_report(report, folder, RunFolder(Path(report["run"])).read_config(), reporter)


def _dry_run(loaded: LoadedConfig, reporter: Reporter, *, overwrite: bool) -> None:
    from loretta_cli.artifacts.run_folder import check_free, choose_folder

    _check_sources(loaded.config)
    folder = choose_folder(loaded.config.output.dir, _run_name(loaded.config))
    check_free(folder, overwrite=overwrite)
    quiet_transformers()
    from loretta_cli.cli.dry_run import show_dry_run, show_dry_run_of_stages

    show = show_dry_run_of_stages if loaded.config.task.names else show_dry_run
    show(loaded, folder, reporter)


def _run_name(config: Config) -> str:
    """``task-method-model``, from what was asked."""
    from loretta_cli.artifacts.run_folder import file_name, short_model

    model = short_model(config.model.name or "model")
    return "-".join(map(file_name, ("-".join(_tasks(config)) or "task", config.adapter.method, model)))
