"""Evaluation: the two forms of a task, scores, metrics. May import tasks, models and errors."""
