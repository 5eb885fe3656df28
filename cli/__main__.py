"""`python -m cli`, which is what `./jobs` runs."""

from cli.app import main

if __name__ == "__main__":
    raise SystemExit(main())
