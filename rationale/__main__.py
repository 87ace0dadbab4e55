"""`python -m rationale`: the command line."""

from rationale.cli import main

if __name__ == "__main__":
    main()
