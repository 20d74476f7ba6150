"""The built-in metrics; each is named by an entry point."""
