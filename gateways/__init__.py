"""The doors: what comes in from outside and what goes out. They never meet the handlers: the queue is between them."""
