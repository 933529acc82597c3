"""Who a process is, by its launcher's variables, and which one tells of a failure."""

from __future__ import annotations

import sys

import pytest

from loretta_cli import processes as module
from loretta_cli.errors import ConfigError
from loretta_cli.processes import Processes, from_all, from_first, may_tell_of_failure, processes

LAUNCHED = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "there", "MASTER_PORT": "1"}


def test_without_a_launcher_there_is_one_process() -> None:
    assert processes({}) == processes({"WORLD_SIZE": "1", "RANK": "0"}) == Processes(0, 0, 1)
    assert processes({}).is_first


def test_a_launcher_says_who_a_process_is() -> None:
    mine = processes(LAUNCHED)

    assert mine == Processes(rank=3, local_rank=1, count=4)
    assert not mine.is_first


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"])
def test_a_count_without_the_rest_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"WORLD_SIZE is 4, but not set: {name}") as caught:
        processes({key: value for key, value in LAUNCHED.items() if key != name})

    assert "torchrun" in caught.value.hint


def test_a_variable_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigError, match="WORLD_SIZE is 'two'"):
        processes({**LAUNCHED, "WORLD_SIZE": "two"})


def test_a_batch_is_divided_evenly() -> None:
    assert Processes().share(5) == 5
    assert Processes(count=4).share(16) == 4


@pytest.mark.parametrize(("rows", "choice"), [(5, "6"), (1, "2")])
def test_a_batch_that_cannot_be_divided_is_refused(rows: int, choice: str) -> None:
    with pytest.raises(ConfigError, match=f"{rows} cannot be divided by 2 processes") as caught:
        Processes(count=2).share(rows)

    assert f"training.batch_size={choice}" in caught.value.hint


def test_alone_a_process_talks_to_itself() -> None:
    assert from_first("x") == "x"
    assert from_all("x") == ["x"]
    assert may_tell_of_failure()


class Table:
    """The launcher's table of keys and values."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def check(self, keys: list[str]) -> bool:
        return all(key in self.values for key in keys)

    def compare_set(self, key: str, expected: str, desired: str) -> bytes:
        if self.values.get(key, "") == expected:
            self.values[key] = desired
        return self.values[key].encode()


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    table = Table()
    monkeypatch.setattr(module, "_store", lambda: table)
    monkeypatch.setattr(module, "SECONDS_FOR_THE_FIRST", 0.0)
    monkeypatch.setattr(module, "SECONDS_TO_BE_ENDED", 0.0)
    return table


def _become(monkeypatch: pytest.MonkeyPatch, rank: int) -> None:
    for name, value in {**LAUNCHED, "RANK": str(rank), "LOCAL_RANK": str(rank)}.items():
        monkeypatch.setenv(name, value)


def test_a_failure_of_all_is_told_by_the_first(monkeypatch: pytest.MonkeyPatch, table: Table) -> None:
    told = []
    for rank in (0, 1, 2):
        _become(monkeypatch, rank)
        told.append(may_tell_of_failure())

    assert told == [True, False, False]


def test_a_failure_of_others_alone_is_told_by_one_of_them(
    monkeypatch: pytest.MonkeyPatch, table: Table
) -> None:
    told = []
    for rank in (2, 1, 0):  # the first loses its connection last
        _become(monkeypatch, rank)
        told.append(may_tell_of_failure())

    assert told == [True, False, False]


def test_another_start_of_the_processes_may_tell_again(monkeypatch: pytest.MonkeyPatch, table: Table) -> None:
    told = []
    for rank, start in ((0, "0"), (1, "0"), (1, "1")):
        _become(monkeypatch, rank)
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", start)
        told.append(may_tell_of_failure())

    assert told == [True, False, True]


def test_before_torch_is_imported_the_first_process_of_a_machine_tells(
    monkeypatch: pytest.MonkeyPatch, table: Table
) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    told = []
    for rank in (0, 1):
        _become(monkeypatch, rank)
        told.append(may_tell_of_failure())

    assert told == [True, False]
    assert not table.values
