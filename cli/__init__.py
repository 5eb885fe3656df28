"""The `jobs` command: the one place where all rooms meet."""
