"""Lets ``python -m slimdown`` be the command."""

from slimdown.cli import main

if __name__ == "__main__":
    main()
