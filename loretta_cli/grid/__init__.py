"""``loretta compare``: a grid of runs, each a run folder of its own, and what they say together.

May import all rooms but the command line. What is checked before a grid runs (:mod:`grid.axes`,
:mod:`grid.cells`, :mod:`grid.folder`) imports nothing heavy.
"""
