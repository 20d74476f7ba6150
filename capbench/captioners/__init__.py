"""The built-in captioners; each is named by an entry point."""
