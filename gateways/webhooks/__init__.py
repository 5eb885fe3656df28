"""The door for other programs' events, both ways: what they tell us, and what we tell them, signed alike."""
