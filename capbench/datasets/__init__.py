"""The built-in datasets; each is named by an entry point."""
