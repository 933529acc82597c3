"""What the tests of training share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rendering import curves_rendered_once


@pytest.fixture(scope="session", autouse=True)
def _curves_are_rendered_once() -> Iterator[None]:
    with curves_rendered_once():
        yield
