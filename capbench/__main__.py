"""``python -m capbench`` is the command line."""

from capbench.cli.main import main

if __name__ == "__main__":
    main()
