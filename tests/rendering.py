"""Pictures without their price: rendering the curves of a tiny run takes longer than training it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock


@contextlib.contextmanager
def curves_rendered_once() -> Iterator[None]:
    """Within it, curves are drawn for each run, but made pixels once for each size of the picture.

    Every run still has a picture; ``tests/report`` looks at its own, which are always rendered.
    """
    from loretta_cli.report import curves
    from loretta_cli.training import finishing

    draw, write = finishing.draw_curves, curves.write_figure
    rendered: dict[tuple[float, ...], bytes] = {}

    def write_once(canvas: Any, path: Path) -> None:
        size = tuple(canvas.figure.get_size_inches())
        if size in rendered:
            path.write_bytes(rendered[size])
        else:
            write(canvas, path)
            rendered[size] = path.read_bytes()

    def draw_quickly(*arguments: Any, **options: Any) -> None:
        with mock.patch.object(curves, "write_figure", write_once):
            draw(*arguments, **options)

    with mock.patch.object(finishing, "draw_curves", draw_quickly):
        yield
