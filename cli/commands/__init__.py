"""One module a command, or a pair that belong together. Heavy imports stand inside the functions: `--help` is quick."""
