"""A small shop, as an example of a program with a worker inside: `python -m own_program` (docs/library.md)."""
