"""Evaluation: metrics, and scoring a split.

May import artifacts, planning, tasks and models.
"""
