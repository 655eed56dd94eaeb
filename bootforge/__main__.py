"""``python -m bootforge`` is the ``bootforge`` command."""

from bootforge.cli import main

main()
