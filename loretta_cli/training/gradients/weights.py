"""The weights of a model, perturbed and updated where they are: no second copy, no gradient.

They are worked through in blocks, each with a part of the direction of its own, and a block in chunks that
fit the cache, so that a direction never exists as a whole. Blocks depend on nothing of each other: several
threads work on them, and the bits are the same for any number of threads. All arithmetic is of single
multiplications and additions, each rounded once, so it is the same on every device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

from loretta_cli.training.gradients.directions import DirectionStream, Distribution
from loretta_cli.training.gradients.losses_at import Point
from loretta_cli.training.gradients.trajectory import Record
from loretta_cli.training.gradients.vector import ParameterVector

BLOCK = 2**20
"""Numbers with a part of the direction of their own; a trajectory can be replayed with the same only."""
CHUNK = 2**15
"""Numbers drawn at once on a CPU: they stay in its cache, and torch divides no arithmetic of so few."""

Change = Callable[[torch.Tensor, Mapping[int, torch.Tensor], bool], None]
"""Changes a chunk of the weights, given that chunk of the directions, by query, and whether it decays."""


class Weights:
    """The parameters of a model that are trained in place.

    Args:
        vector: The parameters, contiguous, of any floating dtype.
        seed: Of the directions.
        distribution: Of the directions.
        two_sided: Whether each direction is taken forwards and backwards, or forwards only.
        weight_decay: Decoupled.
        undecayed: Names of the parameters that it leaves out.
    """

    def __init__(
        self,
        vector: ParameterVector,
        *,
        seed: int,
        distribution: Distribution,
        two_sided: bool,
        weight_decay: float,
        undecayed: Container[str],
    ) -> None:
        self.vector, self.seed, self.distribution = vector, seed, distribution
        self.weight_decay = weight_decay
        self.moves = (1, -2, 1) if two_sided else (1, -1)
        """How far each direction is gone, in units of eps: to the points of the losses, and back."""
        self._decayed = [weight_decay > 0 and name not in undecayed for name in vector.names]

    def losses_at(
        self, step: int, queries: int, points: Container[Point], loss: Callable[[], float], eps: float
    ) -> dict[Point, float]:
        """Losses around the present weights, which are put back, up to rounding.

        Args:
            step: Whose directions.
            queries: How many.
            points: Those (query, side) that this process evaluates. It visits all others too, so that the
                weights are rounded alike on every process.
            loss: At the weights as they are.
            eps: Distance of the points.
        """
        found = self.losses_away(step, queries, points, loss, eps)
        self.walk_back(step, queries, eps)
        return found

    def losses_away(
        self, step: int, queries: int, points: Container[Point], loss: Callable[[], float], eps: float
    ) -> dict[Point, float]:
        """:meth:`losses_at` that leaves the weights at the last point."""
        found = {(0, 0): loss()} if (0, 0) in points else {}
        for query in range(queries):
            if query:
                self.walk_back(step, query, eps)
            for move, side in zip(self.moves[:-1], (1, -1), strict=False):
                self._shift(step, query, move * eps)
                if (query, side) in points:
                    found[query, side] = loss()
        return found

    def walk_back(self, step: int, queries: int, eps: float) -> None:
        """Go back from the last point of the last of so many directions."""
        self._shift(step, queries - 1, self.moves[-1] * eps)

    def take(self, record: Record, *, is_away: bool) -> None:
        """Take the step of a record.

        Args:
            record: Not of a rollback.
            is_away: Whether the weights are still where :meth:`losses_away` left them; otherwise the whole
                way to the points and back is gone once more, with its roundings.
        """
        last = len(record.g) - 1
        moves = [(last, self.moves[-1])] if is_away else []
        if not is_away:
            moves = [(query, move) for query in range(len(record.g)) for move in self.moves]
        counted = [(query, value) for query, value in enumerate(record.g) if value is not None]

        def change(chunk: torch.Tensor, directions: Mapping[int, torch.Tensor], is_decayed: bool) -> None:
            for query, move in moves:
                chunk.add_(directions[query] * (move * record.eps))
            if not counted:
                return
            total = torch.zeros_like(directions[last])
            for query, value in counted:
                total.add_(directions[query] * (record.scale * value / len(counted)))
            if is_decayed:
                total.add_(chunk.float() * self.weight_decay)
            chunk.add_(total.mul_(-record.lr))

        self._change(record.step, range(len(record.g)) if counted or not is_away else [last], change)

    def digest(self) -> str:
        """A checksum of all bits."""
        found = hashlib.sha256()
        for _, chunk, _ in self._blocks():
            found.update(chunk.cpu().view(torch.uint8).numpy().data)
        return found.hexdigest()

    def _shift(self, step: int, query: int, distance: float) -> None:
        """Go so far along a direction."""

        def change(chunk: torch.Tensor, directions: Mapping[int, torch.Tensor], _: bool) -> None:
            chunk.add_(directions[query].mul_(distance))

        self._change(step, [query], change)

    def _change(self, step: int, queries: Sequence[int], change: Change) -> None:
        """Change all weights, with the directions of some queries."""

        def work(block: tuple[int, torch.Tensor, bool]) -> None:
            number, numbers, is_decayed = block
            streams = {
                query: DirectionStream(self.seed, step, query, self.distribution, block=number)
                for query in queries
            }
            for chunk in torch.split(numbers, CHUNK if numbers.device.type == "cpu" else BLOCK):
                drawn = {query: one.draw(len(chunk)).to(chunk.device) for query, one in streams.items()}
                change(chunk, drawn, is_decayed)

        threads = torch.get_num_threads()
        if threads == 1:
            for block in self._blocks():
                work(block)
            return
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(work, self._blocks()):
                pass

    def _blocks(self) -> Iterable[tuple[int, torch.Tensor, bool]]:
        """Number of each block, its numbers, and whether they decay."""
        number = 0
        for parameter, is_decayed in zip(self.vector.parameters, self._decayed, strict=True):
            for block in torch.split(parameter.detach().view(-1), BLOCK):
                yield number, block, is_decayed
                number += 1
