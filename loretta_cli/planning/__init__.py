"""From what was asked to what will run: the plan of a run, and its dry run.

May import measure, tuners, tasks, models and config; writes nothing.
"""
