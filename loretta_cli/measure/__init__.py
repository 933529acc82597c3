"""Measuring: parameters, memory, the environment. May import tuners, models and errors."""
