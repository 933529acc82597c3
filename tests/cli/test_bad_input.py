"""What users get wrong: one clear sentence on stderr, exit 1 or 2, no traceback, nothing written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import Workplace
from tests.cli.refusal import assert_refused, train_command
from tests.command_line import files_below, loretta


@dataclass(frozen=True, slots=True)
class Bad:
    """One mistake.

    Args:
        arguments: Added to a correct train command; ``{here}`` is the test's folder.
        says: Words of the sentence.
        files: Files to write first, name to content.
    """

    arguments: tuple[str, ...]
    says: tuple[str, ...]
    files: tuple[tuple[str, bytes], ...] = ()


def _data(content: bytes, *says: str, name: str = "rows.csv", task: str = "sst2") -> Bad:
    return Bad(("--task", task, "--data", f"{{here}}/{name}"), (name, *says), ((name, content),))


def _recipe(content: bytes, *says: str) -> Bad:
    return Bad(("{here}/mine.yaml",), ("mine.yaml", *says), (("mine.yaml", content),))


GOOD_ROWS = b"".join(b"the film was great %d,1\nthe film was bad %d,0\n" % (n, n) for n in range(5))

MISTAKES = {
    "model: folder without config.json": Bad(
        ("--model", "{here}/model"), ("has no config.json",), (("model/weights.bin", b"x"),)
    ),
    "model: path that does not exist": Bad(("--model", "./no-such-model"), ("does not exist",)),
    "model: hub id, offline": Bad(("--model", "someone/no-such-model"), ("someone/no-such-model", "hub")),
    "model: a file": Bad(("--model", "{here}/model.bin"), ("is a file",), (("model.bin", b"x"),)),
    "model: unknown bundled name": Bad(("--model", "bundled:minilmm"), ("Did you mean 'bundled:minilm'?",)),
    "model: broken config.json": Bad(
        ("--model", "{here}/model"), ("Cannot read the model",), (("model/config.json", b"{not json"),)
    ),
    "model: unknown architecture": Bad(
        ("--model", "{here}/model"),
        ("Cannot read the model",),
        (("model/config.json", b'{"model_type": "no_such_type"}'),),
    ),
    "task: unknown": Bad(("--task", "sst22"), ("Unknown task 'sst22'", "Did you mean 'sst2'?")),
    "task: the same twice": Bad(("--task", "sst2", "--task", "sst2"), ("sst2 stands in it twice",)),
    "method: unknown": Bad(("--method", "repp"), ("Unknown method 'repp'", "Did you mean 'rep'?")),
    "method: setting that it lacks": Bad(
        ("--method", "full", "--set", "adapter.bottleneck=4"),
        ("full does not have the setting adapter.bottleneck",),
    ),
    "preset: unknown": Bad(("--preset", "papr"), ("adapter.preset", "Did you mean 'paper'?")),
    "gradient: unknown": Bad(("--gradient", "back"), ("training.gradient", "expected backprop or zo")),
    "gradient: misspelt": Bad(("--gradient", "zoo"), ("training.gradient", "Did you mean 'zo'?")),
    "gradient: momentum of another optimizer": Bad(
        ("--set", "training.momentum=0.9"), ("training.momentum", "the optimizer adamw does not read it")
    ),
    "quantization": Bad(("--set", "model.quantization=nf5"), ("model.quantization", "Did you mean 'nf4'?")),
    "recipe: unknown": Bad(("quikstart",), ("Unknown recipe 'quikstart'", "Did you mean 'quickstart' or")),
    "recipe: missing file": Bad(("./mine.yaml",), ("no recipe file",)),
    "recipe: unknown key": _recipe(
        b"trainig:\n  seed: 1\n", "trainig", "unknown key", "Did you mean 'training'?"
    ),
    "recipe: unknown nested key": _recipe(
        b"data:\n  columns:\n    txt: message\n", "data.columns.txt", "Did you mean 'data.columns.text'?"
    ),
    "recipe: python tag": _recipe(
        b"model: !!python/object/apply:os.system ['touch pwned']\n", "line 1", "python", "is not allowed"
    ),
    "recipe: python name tag": _recipe(b"model:\n  name: !!python/name:os.system\n", "is not allowed"),
    "recipe: not YAML": _recipe(b"training: [1, 2\n", "line"),
    "recipe: not UTF-8": _recipe(b"task:\n  name: \xff\xfe\n", "UTF-8"),
    "recipe: empty": _recipe(b"", "is empty"),
    "recipe: a list": _recipe(b"- training\n", "a list"),
    "set: no equals sign": Bad(("--set", "training.seed"), ("lacks '='", "key.path=value")),
    "set: unknown key": Bad(("--set", "training.lr=1"), ("training.lr", "training.learning_rate")),
    "set: not a number": Bad(("--set", "training.epochs=three"), ("training.epochs", "'three'")),
    "set: out of range": Bad(
        ("--set", "adapter.dropout=1.5"), ("adapter.dropout", "1.5", "0 or more and below 1")
    ),
    "set: infinite": Bad(("--set", "training.learning_rate=.inf"), ("training.learning_rate", "above 0")),
    "set: negative": Bad(("--set", "training.learning_rate=-1"), ("training.learning_rate",)),
    "set: zero rows": Bad(("--set", "data.train_rows=0"), ("data.train_rows",)),
    "set: zo section": Bad(("--set", "zo.queries=4"), ("zo.queries is 4", "training.gradient=zo")),
    "seed: negative": Bad(("--seed", "-1"), ("training.seed",)),
    "seed: a word": Bad(("--seed", "lucky"), ("--seed", "integer")),
    "flag: unknown": Bad(("--batchsize", "4"), ("--batchsize",)),
    "adapter: a setting of another method": Bad(
        ("--method", "rep", "--set", "adapter.activation=gelu"), ("rep", "adapter.activation")
    ),
    "adapter: init on adp": Bad(("--method", "adp", "--set", "adapter.init=zero"), ("adapter.init",)),
    "adapter: TT rank on lora": Bad(("--method", "lora", "--set", "adapter.tt_rank=4"), ("adapter.tt_rank",)),
    "adapter: TT head on BERT": Bad(("--set", "adapter.head=tt"), ("adapter.head=tt", "bert has none")),
    "adapter: target that matches nothing": Bad(
        ("--set", "adapter.target_modules=[quary]"), ("quary", "not found", "query")
    ),
    "adapter: target list that matches in part": Bad(
        ("--set", "adapter.target_modules=[query, quary]"), ("Only a part", "quary")
    ),
    "adapter: regular expression that matches nothing": Bad(
        ("--set", "adapter.target_modules=.*quary"), ("adapter.target_modules=.*quary", "query")
    ),
    "adapter: LoRA target that matches nothing": Bad(
        ("--method", "lora", "--set", "adapter.target_modules=[quary]"), ("quary",)
    ),
    "adapter: layer that is not there": Bad(
        ("--set", "adapter.layers_to_transform=[0, 9]"), ("layers_to_transform", "[9]", "last layer")
    ),
    "adapter: modes of another size": Bad(
        ("--set", "adapter.mode_shapes={32x8: [8, 8, 8]}"), ("multiply to 512", "32 x 8 = 256")
    ),
    "adapter: too many inner ranks": Bad(("--set", "adapter.tt_rank=[2, 2, 2, 2, 2, 2, 2, 2, 2]"), ("rank",)),
    "form: prompt on an encoder": Bad(("--set", "task.form=prompt"), ("bert is an encoder", "task.form")),
    "data: no such path": Bad(("--data", "./no-such-folder"), ("no-such-folder", "no such file or folder")),
    "data: hub id, offline": Bad(("--data", "someone/no-such-data"), ("someone/no-such-data",)),
    "data: empty folder": Bad(
        ("--data", "{here}/empty"), ("has no train file",), (("empty/notes.txt", b"none"),)
    ),
    "data: unknown suffix": _data(b"x\n", name="rows.xlsx"),
    "data: empty file": _data(b"", "is empty"),
    "data: header only": _data(b"sentence,label\n", "has a header and no rows"),
    "data: missing column": _data(b"text,label\n" + GOOD_ROWS, "sentence", "column is missing"),
    "data: missing label column": _data(b"sentence,gold\n" + GOOD_ROWS, "'label'", "column is missing"),
    "data: label out of range": _data(
        b"sentence,label\n" + GOOD_ROWS + b"fine film,2\n", "line 12", "'label'", "'2'", "negative"
    ),
    "data: label is no label": _data(b"sentence,label\n" + GOOD_ROWS + b"fine film,great\n", "line 12"),
    "data: not UTF-8": _data(b"sentence,label\ncaf\xe9,1\n" + GOOD_ROWS, "line 2", "not UTF-8"),
    "data: null text": _data(
        b'{"sentence": "the film", "label": 1}\n{"sentence": null, "label": 0}\n' * 3,
        "line 2",
        "'sentence'",
        "null",
        name="rows.jsonl",
    ),
    "data: empty text": _data(
        b"text,label\n" + GOOD_ROWS + b'" ",1\n', "line 12", "text is empty", task="classification"
    ),
    "data: number for text": _data(
        b'{"sentence": 5, "label": 1}\n' * 4, "line 1", "expected a text", name="rows.jsonl"
    ),
    "data: not JSON": _data(b'{"sentence": "a", "label": 1}\n{oops\n', "line 2", name="rows.jsonl"),
    "data: ragged row": _data(b"sentence,label\na,1\nb,1,extra\n", "line 3", "3 cells"),
    "data: one row": _data(b"sentence,label\na,1\n", "1 row"),
    "data: hidden labels": _data(b"sentence,label\na,-1\nb,-1\nc,-1\n", "'label'", "-1"),
    "data: not parquet": _data(b"PAR", name="rows.parquet"),
    "data: missing, classification": Bad(("--task", "classification", "--data", ""), ("data",)),
    "data: one label only": _data(
        b"text,label\n" + b"good film,1\n" * 6, "1 label", "at least 2", task="classification"
    ),
    "data: columns of a named task": Bad(
        ("--set", "data.columns.text=sentence"), ("data.columns.text", "--task classification")
    ),
    "data: unknown column": Bad(
        ("--task", "classification", "--data", "{here}/rows.csv", "--set", "data.columns.text=txt"),
        ("txt",),
        (("rows.csv", b"text,label\n" + GOOD_ROWS),),
    ),
    "data: label that only validation has": Bad(
        ("--task", "classification", "--data", "{here}/rows"),
        ("validation.csv, line 2", "'2'", "expected one of 0, 1"),
        (("rows/train.csv", b"text,label\n" + GOOD_ROWS), ("rows/validation.csv", b"text,label\na,2\n")),
    ),
    "output: a file": Bad(("--output", "{here}/taken"), ("is a file",), (("taken", b"x"),)),
    "output: below a file": Bad(("--output", "{here}/taken/run"), ("is a file",), (("taken", b"x"),)),
    "output: a folder with other things": Bad(
        ("--output", "{here}/thesis"), ("exists and is not empty",), (("thesis/chapter.txt", b"x"),)
    ),
    "output: a name too long": Bad(("--output", "{here}/" + "x" * 300), ("name too long",)),
}


@pytest.mark.parametrize("bad", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_one_clear_sentence_and_leaves_nothing(
    bad: Bad, workplace: Workplace, tmp_path: Path
) -> None:
    for name, content in bad.files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    before = files_below(tmp_path)

    outcome = loretta(*train_command(workplace, bad.arguments, tmp_path), cwd=tmp_path)

    assert_refused(outcome)
    for words in bad.says:
        assert words.lower() in outcome.stderr.lower(), outcome.stderr
    assert files_below(tmp_path) == before, "something was written"


@pytest.mark.parametrize(
    "name", ["task: unknown", "flag: unknown", "data: label out of range", "task: the same twice"]
)
def test_with_json_a_mistake_is_one_document(name: str, workplace: Workplace, tmp_path: Path) -> None:
    bad = MISTAKES[name]
    for file, content in bad.files:
        (tmp_path / file).write_bytes(content)

    outcome = loretta(*train_command(workplace, bad.arguments, tmp_path), "--json", cwd=tmp_path)

    assert outcome.exit_code == 2
    document = outcome.document
    assert set(document) == {"error", "schema_version"}
    assert set(document["error"]) == {"type", "message", "hint"}
    assert document["error"]["type"] in ("ConfigError", "DataError")
    assert "Traceback" not in outcome.stderr


def test_all_faults_of_the_settings_come_together_with_file_and_key(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("training:\n  epochs: -1\n  sed: 3\nadapter:\n  tt_rank: big\n", encoding="utf-8")

    outcome = loretta("train", recipe, "--set", "data.train_rows=none")

    assert outcome.exit_code == 2
    for key in ("training.epochs", "training.sed", "adapter.tt_rank", "data.train_rows"):
        assert key in outcome.stderr
    assert "mine.yaml" in outcome.stderr
    assert "--set" in outcome.stderr


def test_without_model_and_task_both_are_asked_for() -> None:
    outcome = loretta("train")

    assert outcome.exit_code == 2
    assert "No model and no task given." in outcome.stderr
    assert "loretta train quickstart" in outcome.stderr


def test_a_prompt_that_cannot_be_made_short_enough_leaves_no_run(
    workplace: Workplace, tmp_path: Path
) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("sentence1,sentence2,label\n" + "the sky is blue,it is,1\n" * 4, encoding="utf-8")
    arguments = ("--model", str(workplace.decoder), "--task", "rte", "--data", str(pairs))
    too_short = ("--set", "data.max_length=8", "--output", "{here}/run")

    outcome = loretta(*train_command(workplace, (*arguments, *too_short), tmp_path), cwd=tmp_path)

    assert_refused(outcome)
    assert "data.max_length" in outcome.stderr
    assert files_below(tmp_path) == ["pairs.csv"]


def test_options_that_the_tokenizer_cannot_tell_apart_leave_no_run(
    workplace: Workplace, tmp_path: Path
) -> None:
    from tests.tiny_folders import save_tiny_decoder

    model = save_tiny_decoder(tmp_path / "model")
    _blind_tokenizer(model)
    before = files_below(tmp_path)

    outcome = loretta(*train_command(workplace, ("--model", str(model), "--output", "{here}/run"), tmp_path))

    assert_refused(outcome)
    assert "cannot be told apart" in outcome.stderr
    assert files_below(tmp_path) == before


def _blind_tokenizer(model: Path) -> None:
    """Replace a folder's tokenizer by one that knows two words, and no option."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<unk>": 0, "<pad>": 1, "the": 2, "film": 3}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    blind = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>")
    blind.save_pretrained(model)
