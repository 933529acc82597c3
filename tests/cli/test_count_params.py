"""``loretta count-params``: the published counts, the contract's fields, and shapes on request."""

from __future__ import annotations

import re
import sys

import pytest

from tests.cli.conftest import Workplace
from tests.command_line import loretta, python

KEYS = {"model", "method", "trainable", "total", "percent", "parts", "storage_bytes", "layers"}

PUBLISHED = [
    ("meta-llama/Llama-2-7b-hf", "adp", 876_800),
    ("meta-llama/Llama-2-7b-hf", "rep", 507_904),
    ("meta-llama/Llama-2-13b-hf", "adp", 1_676_160),
    ("meta-llama/Llama-2-13b-hf", "rep", 769_280),
    ("meta-llama/Llama-2-70b-hf", "rep", 1_987_072),
    ("meta-llama/Llama-2-70b-hf", "adp", 4_728_832),
    ("microsoft/deberta-base", "adp", 99_034),
    ("microsoft/deberta-base", "rep", 54_068),
    ("meta-llama/Llama-2-7b-hf", "lora", 4_194_304),
]


@pytest.mark.parametrize(("model", "method", "trainable"), PUBLISHED)
def test_a_bundled_name_gives_the_published_count(model: str, method: str, trainable: int) -> None:
    outcome = loretta("count-params", "--model", model, "--method", method, "--json")
    document = outcome.document

    assert outcome.exit_code == 0
    assert document["trainable"] == trainable
    assert set(document) >= {*KEYS, "schema_version"}
    assert set(document["parts"]) == {"cores", "biases", "norms", "head"}
    assert sum(document["parts"].values()) == trainable
    assert document["percent"] == pytest.approx(100 * trainable / document["total"])
    assert document["storage_bytes"] >= 4 * trainable
    assert (document["model"], document["method"]) == (model, method)


@pytest.mark.parametrize(
    "model", ["FacebookAI/roberta-base", "roberta-large", "bert-base-uncased", "llama-2-7b"]
)
@pytest.mark.parametrize("method", ["adp", "rep", "lora"])
def test_every_bundled_name_is_counted_in_parts(model: str, method: str) -> None:
    document = loretta("count-params", "--model", model, "--method", method, "--json").document

    assert 0 < document["trainable"] < document["total"] / 20
    assert sum(document["parts"].values()) == document["trainable"]


def test_compare_adds_every_method_with_a_place_on_the_model() -> None:
    document = loretta(
        "count-params", "--model", "llama-2-7b", "--method", "adp", "--compare", "--json"
    ).document

    results = {result["method"]: result for result in document["results"]}
    # A LLaMA has no biases, so BitFit has nothing to train.
    assert list(results) == [
        "adp",
        "rep",
        "lora",
        "vera",
        "ia3",
        "adapters",
        "prefix",
        "prompt",
        "p-tuning",
        "full",
    ]
    assert results["adp"]["trainable"] == 876_800
    assert results["lora"]["trainable"] == 4_194_304
    assert results["full"]["trainable"] == results["full"]["total"] == 6_738_415_616
    assert results["full"]["percent"] == 100


def test_methods_may_be_repeated_and_count_once() -> None:
    methods = ("--method", "rep", "--method", "adp", "--method", "rep")
    document = loretta("count-params", "--model", "deberta-base", *methods, "--json").document

    assert [result["method"] for result in document["results"]] == ["rep", "adp"]
    assert [result["trainable"] for result in document["results"]] == [54_068, 99_034]


def test_settings_change_the_count_of_the_asked_method_only(workplace: Workplace) -> None:
    def counts(*settings: str) -> dict[str, int]:
        command = ("count-params", "--model", workplace.encoder, "--method", "rep", "--compare", "--json")
        results = loretta(*command, *settings).document["results"]
        return {result["method"]: result["trainable"] for result in results}

    plain = counts()
    larger = counts("--set", "adapter.tt_rank=8")

    assert larger["rep"] > plain["rep"]
    assert larger["lora"] == plain["lora"]


def test_layers_show_modes_and_ranks_of_each_train(workplace: Workplace) -> None:
    command = ("count-params", "--model", workplace.encoder, "--method", "rep", "--layers")
    document = loretta(*command, "--json").document
    plain = loretta(*command)

    shapes = document["shapes"]
    assert len(shapes) == 2 * document["layers"] == 8
    assert sum(shape["parameters"] for shape in shapes) == document["parts"]["cores"]
    assert all(shape["ranks"][0] == shape["ranks"][-1] == 1 for shape in shapes)
    assert shapes[0]["name"] in plain.stdout
    assert shapes[0]["modes"] in plain.stdout


def test_without_layers_there_are_no_shapes(workplace: Workplace) -> None:
    assert "shapes" not in loretta("count-params", "--model", workplace.encoder, "--json").document


def test_the_table_names_the_preset_and_why() -> None:
    outcome = loretta("count-params", "--model", "llama-2-7b", "--method", "adp")

    assert outcome.exit_code == 0
    assert "876,800" in outcome.stdout
    assert "preset paper (the paper has this model)" in outcome.stdout
    assert outcome.stderr == ""


@pytest.mark.parametrize(
    ("methods", "column"),
    [(("ia3", "vera"), "adapter"), (("rep", "adp"), "cores"), (("rep", "lora"), "cores or adapter")],
)
def test_the_table_has_cores_only_where_there_are_trains(methods: tuple[str, ...], column: str) -> None:
    asked = [word for method in methods for word in ("--method", method)]

    header = loretta("count-params", "--model", "llama-2-7b", *asked).stdout.splitlines()[1]

    assert re.split(" {2,}", header)[2:5] == ["percent", column, "biases"]


def test_a_recipe_gives_model_and_method(workplace: Workplace) -> None:
    recipe = workplace.folder / "count.yaml"
    recipe.write_text("model: {name: llama-2-7b}\nadapter: {method: adp}\n", encoding="utf-8")

    assert loretta("count-params", recipe, "--json").document["trainable"] == 876_800


def test_a_local_folder_needs_no_weights(workplace: Workplace) -> None:
    folder = workplace.folder / "config-only"
    folder.mkdir()
    config = (workplace.encoder / "config.json").read_text(encoding="utf-8")
    (folder / "config.json").write_text(config, encoding="utf-8")

    counted = loretta("count-params", "--model", folder, "--json").document
    full = loretta("count-params", "--model", workplace.encoder, "--json").document

    assert {key: counted[key] for key in KEYS - {"model"}} == {key: full[key] for key in KEYS - {"model"}}


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's own peak of a process")
def test_the_largest_model_is_counted_in_little_memory() -> None:
    # getrusage's peak would count the parent's memory, from the moment before exec.
    script = (
        "import re, sys\n"
        "sys.argv = ['loretta', 'count-params', '--model', 'llama-2-70b', '--method', 'rep']\n"
        "from loretta_cli.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(re.search(r'VmHWM:\\s+([0-9]+) kB', open('/proc/self/status').read())[1])\n"
    )

    peak_bytes = 1024 * int(python(script).splitlines()[-1])

    assert peak_bytes < 600e6


def test_the_comparison_has_sizes_in_one_unit_system_and_aligned_flops() -> None:
    plain = loretta("count-params", "--model", "llama-2-7b").stdout
    compared = loretta("count-params", "--model", "llama-2-7b", "--compare").stdout

    assert "2.0 MB" in plain
    assert "2.0 MB" in compared
    assert "3.40e+12" in compared


def test_labels_of_a_language_model_are_refused_unless_it_is_counted_with_a_head() -> None:
    refused = loretta("count-params", "--model", "llama-2-7b", "--labels", "3")
    counted = loretta(
        "count-params",
        "--model",
        "llama-2-7b",
        "--labels",
        "3",
        "--set",
        "task.form=classification",
        "--json",
    )

    assert refused.exit_code == 2
    assert "--labels is for a classification head" in refused.stderr
    assert counted.document["parts"]["head"] == 3 * 4096
