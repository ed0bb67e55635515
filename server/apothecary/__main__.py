"""`python -m apothecary`: the command line, for an environment whose scripts are not on the path."""

from __future__ import annotations

from apothecary.cli import main

main(prog_name="apothecary")
