"""The web API's socket, taken before anything else starts."""

import os
import socket

from cli.errors import CommandFailed


def listen(port: int, *, host: str = "127.0.0.1") -> socket.socket:
    """A socket that listens from now on, so that nobody else gets the port. Raises CommandFailed where it cannot be had."""
    try:
        return socket.create_server((host, port), backlog=512)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise CommandFailed(
            f"port {port} on {host} cannot be had ({why}): stop what uses it, or give another --port"
        ) from error
