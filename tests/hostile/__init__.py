"""Tests with damaged files of every kind, read by the functions of the programs (docs/reliability.md)."""
