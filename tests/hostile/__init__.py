"""Damaged files of every kind, read by the functions that the programs read them with (docs/reliability.md)."""
