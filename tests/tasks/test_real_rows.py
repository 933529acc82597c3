"""Every row of the published data beside the checkout, read by its task; some of them in all its forms."""

from __future__ import annotations

import json
from functools import cache

import pytest

from loretta_cli.tasks import TASKS
from loretta_cli.tasks.forms import make_form
from loretta_cli.tasks.sources import load_splits
from loretta_cli.tasks.sources.rows import Splits
from tests.command_line import REPOSITORY
from tests.tiny_folders import decoder_tokenizer
from tests.tiny_masked import masked_tokenizer

DATA = REPOSITORY.parent / "shared" / "data"
NAMES = sorted(folder.name for folder in DATA.iterdir() if folder.is_dir()) if DATA.is_dir() else []
FEW = 3

pytestmark = pytest.mark.skipif(not NAMES, reason="the task data are not here")


@cache
def splits(name: str) -> Splits:
    return load_splits(str(DATA / name), validation_fraction=0.1, seed=0)


def test_all_tasks_with_data_are_registered() -> None:
    assert set(NAMES) <= set(TASKS)


@pytest.mark.parametrize("name", NAMES)
def test_every_row_is_read(name: str) -> None:
    task, found = TASKS.get(name), splits(name)
    for rows in (found.train, found.validation):
        examples = task.examples(rows)
        assert len(examples) == len(rows)
        for example in examples:
            assert all(example.texts[column] for column in task.head)
            assert not example.options or 0 <= int(example.label) < len(example.options)
            assert not task.labels or 0 <= int(example.label) < len(task.labels)


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_encoded_in_every_form(name: str) -> None:
    task = TASKS.get(name)
    examples = task.examples(splits(name).validation[:FEW])
    for form in task.forms:
        tokenizer = masked_tokenizer("bert") if form in ("classification", "masked") else decoder_tokenizer()
        made = make_form(form, task, tokenizer, 4096)
        encoded = made.encode(examples)
        assert encoded.shortened == 0
        assert made.collate(encoded.rows)["input_ids"].shape[0] >= FEW, form


@pytest.mark.skipif("multirc" not in NAMES, reason="the data of MultiRC are not here")
def test_the_groups_of_multirc_are_its_questions() -> None:
    rows = splits("multirc").validation
    numbers = [json.dumps(row.values["idx"]).rpartition(",")[0] for row in rows]
    groups = [example.group for example in TASKS.get("multirc").examples(rows)]
    assert len(set(numbers)) == len(set(groups)) == len(set(zip(numbers, groups, strict=True)))
