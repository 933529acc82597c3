"""Training: transformers' Trainer with our gradients, callbacks and checkpoints.

May import artifacts' run folder and checkpoints, evaluation, tuners, models, tasks and config.
"""
