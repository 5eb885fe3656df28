"""What goes out by webhook: events, to callbacks."""
