"""Models: families, where models come from, loading, and facts of well-known architectures.

``families``, ``bundled``, ``hub`` and ``source`` import no torch; ``loading`` does. May import
:mod:`registry` and :mod:`errors`.
"""
