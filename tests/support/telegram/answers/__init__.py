"""What the server answers, a file a subject. To import this package fills the table of `call.py`."""

from tests.support.telegram.answers import buttons, changing, files, login, peers, reading, sending, state

__all__ = ["buttons", "changing", "files", "login", "peers", "reading", "sending", "state"]
