"""One module per job type: what its jobs do. What turns of all types share stands in turns.py and turn_kind.py."""
