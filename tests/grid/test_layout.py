"""Rows and columns of the table: what they are called, and which cells share one."""

from __future__ import annotations

from pathlib import Path

from loretta_cli.grid.axes import Axes
from loretta_cli.grid.layout import columns_of, row_labels, rows_of
from tests.grid.fake_runs import cells_of

TWO_BY_TWO = Axes(methods=("adp", "lora"), tasks=("sst2", "trec"), seeds=(0, 1))


def labels_of(axes: Axes, *overrides: str) -> list[str]:
    """What the rows of a grid's table are called."""
    return list(row_labels(list(rows_of(cells_of(axes, *overrides)))).values())


def columns(axes: Axes) -> list[str]:
    """What the columns of a grid's table are called."""
    return list(dict.fromkeys(columns_of(cells_of(axes)).values()))


def own_data(*sources: str) -> Axes:
    """One task on several data sets."""
    settings = {"data.source": tuple(sources)}
    return Axes(methods=("rep", "lora"), tasks=("classification",), settings=settings)


def test_rows_are_called_by_what_sets_them_apart_only() -> None:
    assert labels_of(TWO_BY_TWO, "adapter.alpha=4") == ["adp", "lora"]
    recipes = ("paper/table1-deberta-sst2-lora", "paper/table1-deberta-sst2-lora-r4")
    assert labels_of(Axes(recipes=recipes)) == ["lora, bottleneck=8", "lora, bottleneck=4"]
    models = Axes(models=("a/first", "b/second"), methods=("rep",), tasks=("sst2",))
    assert labels_of(models) == ["rep, first", "rep, second"]


def test_recipes_of_one_method_make_one_row_over_their_tasks() -> None:
    recipes = tuple(f"paper/table1-deberta-{task}-adp" for task in ("sst2", "mrpc", "cola"))

    (row,) = rows_of(cells_of(Axes(recipes=recipes))).values()

    assert [cell.task for cell in row] == ["sst2", "mrpc", "cola"]


def test_recipes_that_nothing_else_tells_apart_are_rows_of_their_own(tmp_path: Path) -> None:
    paths = []
    for rate in (1, 2):
        path = tmp_path / f"rate{rate}.yaml"
        path.write_text(f"training: {{learning_rate: 0.00{rate}}}\n", encoding="utf-8")
        paths.append(str(path))

    axes = Axes(recipes=tuple(paths), models=("bundled:minilm",), methods=("rep",), tasks=("sst2",))

    assert labels_of(axes) == ["rep, rate1", "rep, rate2"]


def test_settings_that_vary_are_part_of_a_rows_name() -> None:
    settings = {"adapter.tt_rank": (2, 5), "adapter.train_norms": (True, False)}
    axes = Axes(methods=("rep",), tasks=("sst2",), settings=settings)

    assert labels_of(axes)[1] == "rep, train_norms=false, tt_rank=2"


def test_a_task_on_several_data_sets_has_a_column_for_each_and_the_rows_are_the_methods() -> None:
    axes = own_data("data/reviews.csv", "data/tickets.jsonl")

    assert columns(axes) == ["classification on reviews", "classification on tickets"]
    assert labels_of(axes) == ["rep", "lora"]
    assert columns(TWO_BY_TWO) == ["sst2", "trec"]


def test_data_sets_of_one_name_are_told_apart_by_their_folders_or_their_endings() -> None:
    assert columns(own_data("a/my.data/train.csv", "b/my.data/train.csv")) == [
        "classification on a/my.data/train",
        "classification on b/my.data/train",
    ]
    assert columns(own_data("all.csv", "all.tsv")) == [
        "classification on all.csv",
        "classification on all.tsv",
    ]


def test_recipes_with_data_of_their_own_share_a_row_with_a_column_for_each(tmp_path: Path) -> None:
    paths = []
    for name in ("reviews", "tickets"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"task: {{name: classification}}\ndata: {{source: {name}.csv}}\n", encoding="utf-8")
        paths.append(str(path))
    axes = Axes(recipes=tuple(paths), models=("bundled:minilm",), methods=("rep",))

    assert columns(axes) == ["classification on reviews", "classification on tickets"]
    assert labels_of(axes) == ["rep"]


def test_a_task_from_the_hub_beside_one_from_a_folder_has_a_column_of_its_own(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("data: {source: data/mine}\n", encoding="utf-8")
    axes = Axes(
        recipes=("paper/table1-deberta-sst2-adp", str(mine)),
        models=("bundled:minilm",),
        methods=("rep",),
        tasks=("sst2",),
    )

    assert columns(axes) == ["sst2 on the hub", "sst2 on mine"]


def recipes_in(folder: Path, **texts: str) -> tuple[str, ...]:
    """The paths of recipes with these names and texts."""
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return tuple(str(folder / f"{name}.yaml") for name in texts)


def test_recipes_that_differ_in_their_gradients_are_called_by_what_sets_them_apart(tmp_path: Path) -> None:
    recipes = recipes_in(
        tmp_path,
        plain="training: {learning_rate: 0.001}",
        one="training: {gradient: zo}\nzo: {queries: 1}",
        four="training: {gradient: zo}\nzo: {queries: 4, epsilon: 0.001, backend: sequential}",
        schedule="training: {gradient: zo}\nzo: {schedule: adazeta, alpha: 0.85, beta: 0.5}",
        aside="training: {gradient: zo, objective: accuracy}\nzo: {estimator: one-sided, queries: 4}",
    )

    assert labels_of(Axes(recipes, ("bundled:minilm",), ("adp",), ("sst2", "trec"), (0, 1))) == [
        "adp, gradient=backprop",
        "adp, gradient=zo, queries=1",
        "adp, gradient=zo, queries=4",
        "adp, beta=0.5, gradient=zo, schedule=adazeta",
        "adp, estimator=one-sided, gradient=zo, objective=accuracy, queries=4",
    ]


def test_recipes_of_several_tasks_with_different_gradients_never_share_a_row(tmp_path: Path) -> None:
    recipes = recipes_in(
        tmp_path,
        exact="task: {name: sst2}\ntraining: {learning_rate: 0.001}",
        estimated="task: {name: trec}\ntraining: {gradient: zo}",
    )

    assert len(labels_of(Axes(recipes, ("bundled:minilm",), ("adp",)))) == 2


def test_recipes_tuned_to_their_tasks_share_a_row(tmp_path: Path) -> None:
    recipes = recipes_in(
        tmp_path,
        one="task: {name: sst2}\ntraining: {gradient: zo, learning_rate: 0.1}\nzo: {epsilon: 0.01}",
        two="task: {name: trec}\ntraining: {gradient: zo, learning_rate: 0.2}\nzo: {epsilon: 0.02}",
    )

    assert labels_of(Axes(recipes, ("bundled:minilm",), ("adp",))) == ["adp"]


def test_the_two_alphas_are_told_apart() -> None:
    settings = {"adapter.alpha": (1.0, 2.0), "zo.alpha": (1.0, 2.0)}
    axes = Axes(methods=("adp",), tasks=("sst2",), settings=settings)

    assert labels_of(axes, "training.gradient=zo", "zo.schedule=adazeta") == [
        f"adp, alpha={adapter}, zo.alpha={schedule}" for adapter in (1, 2) for schedule in (1, 2)
    ]


def test_models_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    names = ("first/base", "second/base", "other")
    texts = {f"recipe{number}": f"model: {{name: {name}}}" for number, name in enumerate(names)}

    axes = Axes(recipes_in(tmp_path, **texts), methods=("adp",), tasks=("sst2",))

    assert labels_of(axes) == ["adp, first/base", "adp, second/base", "adp, other"]
