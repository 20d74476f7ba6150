"""Hostile texts break no metric and move nobody else's number; every process and hash seed gives the same bits."""
