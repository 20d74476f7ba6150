"""The built-in backends; each is named by an entry point."""
