"""What is free, within the limits of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.measure.machine import free_disk, free_memory, group_limit
from tests.command_line import python


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n", encoding="ascii")


def test_the_tightest_group_counts_without_what_the_kernel_can_take_back(tmp_path: Path) -> None:
    write(tmp_path / "a", memory__max="1000", memory__current="700", memory__stat="inactive_file 200")
    write(tmp_path / "a" / "b", memory__max="5000", memory__current="10")
    (tmp_path / "cgroup").write_text("0::/a/b\n", encoding="ascii")

    assert group_limit(tmp_path, tmp_path / "cgroup") == (1000, 500)


def test_groups_of_the_first_version_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "memory" / "job"
    write(folder, memory__limit_in_bytes="2000", memory__usage_in_bytes="300")
    (tmp_path / "cgroup").write_text("3:cpu:/x\n4:memory:/job\n", encoding="ascii")

    assert group_limit(tmp_path, tmp_path / "cgroup") == (2000, 300)


def test_no_limit_is_none(tmp_path: Path) -> None:
    write(tmp_path, memory__max="max")
    (tmp_path / "cgroup").write_text("0::/\n", encoding="ascii")

    assert group_limit(tmp_path, tmp_path / "cgroup") == (None, 0)
    assert group_limit(tmp_path, tmp_path / "nothing") == (None, 0)


def test_this_machine_has_memory_and_a_disk(tmp_path: Path) -> None:
    found = free_memory()

    assert 0 < found.free <= found.total
    assert free_disk(tmp_path / "not" / "there") > 0


def test_a_limit_of_the_address_space_counts() -> None:
    pytest.importorskip("resource", reason="this system has no such limits")
    script = (
        "import psutil, resource\n"
        "from loretta_cli.measure.machine import free_ram\n"
        "print(free_ram().name)\n"
        "free_ram(); held = psutil.Process().memory_info().vms\n"
        "resource.setrlimit(resource.RLIMIT_AS, (held + 2**26, held + 2**26))\n"
        "found = free_ram(); print(found.name); print(found.total - held, found.free)"
    )

    before, then, sizes = python(script).splitlines()

    assert "address" not in before
    assert then == "address space of this process"
    room, free = map(int, sizes.split())
    assert room == 2**26
    assert 0.9 * 2**26 < free <= 2**26
