"""Bundled data sets."""

from __future__ import annotations

import pytest

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources.bundled import bundled_names, load_bundled
from loretta_cli.tasks.sources.columns import check_rows, detect_columns


@pytest.mark.parametrize("name", bundled_names())
def test_every_bundled_set_can_be_read_and_its_columns_are_found(name: str) -> None:
    splits = load_bundled(f"bundled:{name}")
    columns = detect_columns(splits.train, text=None, text_pair=None, label=None)
    check_rows(splits.train, columns)
    check_rows(splits.validation, columns)


def test_customer_messages_are_shipped_whole() -> None:
    splits = load_bundled("bundled:customer-messages")
    assert (len(splits.train), len(splits.validation)) == (480, 120)
    assert splits.train[0].file == "bundled:customer-messages/train.jsonl"


def test_underscores_and_hyphens_are_alike() -> None:
    hyphens = load_bundled("bundled:customer-messages")
    assert [row.values for row in load_bundled("bundled:customer_messages").train] == [
        row.values for row in hyphens.train
    ]


def test_a_misspelt_name_gets_the_nearest_one() -> None:
    with pytest.raises(DataError, match="no bundled data set 'costumer-messages'") as caught:
        load_bundled("bundled:costumer-messages")
    assert "Did you mean 'customer-messages'?" in caught.value.hint


@pytest.mark.parametrize("name", ["", "..", "../bundled/customer_messages", "."])
def test_a_name_never_leads_out_of_the_bundled_folder(name: str) -> None:
    with pytest.raises(DataError, match="no bundled data set"):
        load_bundled(f"bundled:{name}")
