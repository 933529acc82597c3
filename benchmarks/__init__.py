"""Measurements behind figures in README; each is run by hand and imports the package as a user would."""
