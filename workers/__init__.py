"""The process that claims, runs, settles and keeps house; and its supervisor, which is also its guard."""
