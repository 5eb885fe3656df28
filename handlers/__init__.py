"""One module per job type: what its jobs do."""
