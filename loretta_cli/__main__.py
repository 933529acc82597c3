"""``python -m loretta_cli`` is ``loretta``."""

from loretta_cli.cli.app import main

if __name__ == "__main__":
    main()
