"""`python -m lee`: the command line."""

from lee.cli import main

main()
