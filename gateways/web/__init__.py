"""The web door: chats and jobs over HTTP, for programs on this machine that hold its token.

request ─▶ headers ─▶ surprises ─▶ guard (host, origin, token) ─▶ access ─▶ route ─▶ one transaction ─▶ answer
                                                                    └─ chat: wait for the reply, holding nothing
"""

from gateways.web.app import app
from gateways.web.context import Context, hosts_at
from gateways.web.server import serve

__all__ = ["Context", "app", "hosts_at", "serve"]
