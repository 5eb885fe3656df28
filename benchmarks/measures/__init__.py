"""What is measured, by name: each takes the run and returns its rows. A name is what `--only` takes."""
