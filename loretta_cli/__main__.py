"""``python -m loretta_cli`` is ``loretta``; launchers such as torchrun start it so."""

from loretta_cli.cli.app import main

if __name__ == "__main__":
    main()
