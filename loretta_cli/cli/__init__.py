"""The command line: a thin Typer shell. Parse, make a config, call the library, report, exit code.

Nothing heavy is imported before a command has its settings checked.
"""
