"""Mode shapes printed in the papers, keyed by (in_features, out_features). Imports nothing.

Sources: LoRETTA (NAACL 2024), Table 10 and Section 4; AdaZeta (EMNLP 2024) for 1024 x 64. Where the
printed order puts the border between input and output indices inside a core, the factors are
reordered so that it falls between two cores; first and last factor keep their sum, so the number of
parameters is the printed one (5120 x 16, 8192 x 16, 8192 x 64). For 16 x 1024 no such order exists.
"""

from __future__ import annotations

PUBLISHED_MODES: dict[tuple[int, int], tuple[int, ...]] = {
    # down projections of adp, bottleneck 64
    (768, 64): (8, 8, 12, 8, 8),
    (1024, 64): (8, 8, 16, 8, 8),
    (4096, 64): (16, 16, 16, 4, 4, 4),
    (5120, 64): (5, 8, 8, 16, 8, 8),
    (8192, 64): (16, 16, 8, 4, 16, 4),
    # A factors of rep
    (768, 8): (8, 8, 12, 8),
    (768, 16): (8, 8, 12, 4, 4),
    (768, 32): (8, 8, 12, 8, 4),
    (4096, 8): (8, 8, 8, 8, 8),
    (4096, 16): (8, 8, 8, 8, 4, 4),
    (4096, 32): (8, 8, 8, 8, 8, 4),
    (5120, 16): (5, 16, 8, 8, 16),
    (8192, 16): (8, 16, 8, 8, 16),
    # B factors of rep
    (16, 1024): (8, 8, 8, 8, 4),
    (8, 2304): (8, 8, 8, 4, 9),
    # classifier of the BERT family
    (768, 768): (12, 8, 8, 8, 8, 12),
}


def published_modes(in_features: int, out_features: int) -> tuple[int, ...] | None:
    """The printed modes of an in x out matrix, or None; an up projection is its down one reversed."""
    direct = PUBLISHED_MODES.get((in_features, out_features))
    if direct is not None:
        return direct
    mirrored = PUBLISHED_MODES.get((out_features, in_features))
    return None if mirrored is None else tuple(reversed(mirrored))
