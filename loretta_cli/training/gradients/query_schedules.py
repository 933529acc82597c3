"""How many directions a step asks (its queries), by the epoch."""

from __future__ import annotations

from loretta_cli.config import ZerothOrderSettings


def queries_at(settings: ZerothOrderSettings, epoch: int, epochs: int) -> int:
    """The number of queries of each step of an epoch.

    - ``constant``: ``zo.queries``;
    - ``linear``: from ``zo.queries`` in the first epoch to ``zo.max_queries`` in the last;
    - ``adazeta``: ``min(alpha * epoch ** beta, max_queries)``, rounded down, at least 1 (AdaZeta).

    Args:
        settings: The section ``zo``.
        epoch: From 1.
        epochs: Of the whole training.
    """
    if settings.schedule == "constant":
        return settings.queries
    if settings.schedule == "linear":
        share = (epoch - 1) / max(epochs - 1, 1)
        return round(settings.queries + share * (settings.max_queries - settings.queries))
    return max(1, int(min(settings.alpha * epoch**settings.beta, settings.max_queries)))


def most_queries(settings: ZerothOrderSettings, epochs: int) -> int:
    """The most queries of a step in a training of so many epochs."""
    return max(queries_at(settings, epoch, epochs) for epoch in (1, epochs))


def passes_of(settings: ZerothOrderSettings, queries: int) -> int:
    """Forward passes of a step: two a query, or one a query and one in common."""
    return 2 * queries if settings.estimator == "central" else queries + 1
