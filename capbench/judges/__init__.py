"""Judges: backends that are asked in words and answer in words."""
