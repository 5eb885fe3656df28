"""The web door, put together."""

from functools import cache, partial

from fastapi import Depends, FastAPI

from gateways.web.access import OPEN, required
from gateways.web.at_once import MOST_FORMS, MOST_STREAMS, AtOnce
from gateways.web.caller import known_by
from gateways.web.context import Context
from gateways.web.errors import Surprises, tell_errors
from gateways.web.events import Streams
from gateways.web.feeds import Feeds
from gateways.web.guard import Guard, SecurityHeaders
from gateways.web.health import look_for_health
from gateways.web.inbox_feed import Inbox
from gateways.web.metrics import Stands, counts
from gateways.web.openapi import describe
from gateways.web.replies import Replies
from gateways.web.routes import ROUTES, is_open
from gateways.web.shared import Shared
from gateways.web.webhooks import Hooks
from jobs_core import ConfigurationError

SHORTEST_TOKEN = 16


def app(context: Context) -> FastAPI:
    """The ASGI application. Raises ConfigurationError for a token that could be guessed."""
    if len(context.token) < SHORTEST_TOKEN:
        raise ConfigurationError(
            f"The web API's token has {len(context.token)} characters: give it {SHORTEST_TOKEN} or more"
        )
    # No pages that describe the API: they load scripts from elsewhere. What programs read of it is openapi.py's.
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    api.state.context = context
    api.state.replies = Replies(context.database)
    api.state.streams = Streams()
    api.state.feeds = Feeds(context.database)
    api.state.inbox = Inbox(context.database)
    api.state.forms = AtOnce(MOST_FORMS, "too_many_forms", "messages with files of yours are being taken in")
    api.state.watching = AtOnce(MOST_STREAMS, "too_many_streams", "streams of yours are open")
    api.state.look_for_health = Shared(partial(look_for_health, context))
    api.state.counts = Shared(counts)
    api.state.stands = Stands(context.database)
    for route in ROUTES:
        asks = [] if route.access is OPEN else [Depends(required(route.access))]
        api.add_api_route(route.path, route.answer, methods=[route.method], status_code=route.status, dependencies=asks)
    api.state.describe = cache(partial(describe, ROUTES, context.version))
    tell_errors(api)
    api.add_middleware(Guard, hosts=context.hosts, is_open=is_open, known_by=partial(known_by, context))
    api.add_middleware(Hooks, jobs=context.jobs)  # before the guard: who sends events signs them, and has no token
    api.add_middleware(Surprises)
    api.add_middleware(SecurityHeaders)  # the last one added is the outermost
    return api
