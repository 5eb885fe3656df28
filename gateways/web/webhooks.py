"""`POST /hooks/{source}`: an event from a program that shows no token, but its source's signature.

    body, bounded ─▶ source ─▶ signature ─▶ JSON ─▶ mapping ─▶ intake: event and job, one commit ─▶ 202, 200 for a repeat
                      404        401         400   (fails: kept)   429, 409, 503: nothing was taken

Nothing of a body is parsed before its signature is right, and nothing is answered with 2xx before the commit. Any Host will do:
nothing can be read here, and whoever asks must sign.
"""

import hashlib
import hmac
import time

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateways.web.errors import Refused, Surprises, refusal, unavailable
from gateways.web.webhook_body import Body, Held
from gateways.web.webhook_sources import FRESH_S, KnownSource, KnownSources
from gateways.webhooks import metrics
from gateways.webhooks.alarm import tell_of_conflict
from gateways.webhooks.errors import NotSigned
from gateways.webhooks.intake import Intake, OverCap
from gateways.webhooks.making import kept, made_of, read_event
from gateways.webhooks.schemes import Request
from gateways.webhooks.taking import Arrived, Taken
from jobs_core import ConnectionFailed, InvalidInput, Jobs, db

PREFIX = "/hooks/"
_NOBODYS_KEY = b"nobody's"


class Hooks:
    """Answers what is below /hooks/, and passes on all else. fresh_s: how old what it knows of sources may be."""

    def __init__(self, inner: ASGIApp, *, jobs: Jobs, fresh_s: float = FRESH_S) -> None:
        self._inner = inner
        self._own = Surprises(_Door(jobs, fresh_s))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await (self._own if ours else self._inner)(scope, receive, send)


class _Door:
    def __init__(self, jobs: Jobs, fresh_s: float) -> None:
        self._jobs = jobs
        self._known = KnownSources(jobs.database, fresh_s)
        self._intake = Intake(jobs)
        self._held = Held()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        known, result = None, ""
        try:
            with Body(headers, receive, self._held) as body:
                _require_post(scope)
                content = await body.read()
                known = await self._source(scope["path"].removeprefix(PREFIX), content)
                taken = await self._take(known, headers, content)
                answer, result = _accepted(taken), taken.result if taken.new else "repeated"
        except (Refused, NotSigned, InvalidInput, *_AGAIN) as error:
            refused = _refused(error)
            answer, result = refusal(refused), refused.code
        metrics.received.labels(known.name if known else "", result).inc()
        await answer(scope, receive, send)

    async def _source(self, name: str, content: bytes) -> KnownSource:
        known = await self._known.find(name)
        if known is None:
            hmac.digest(_NOBODYS_KEY, content, hashlib.sha256)  # it takes as long as a wrong signature
            raise Refused(404, "no_such_source", "There is no such source here, or it is switched off")
        return known

    async def _take(self, known: KnownSource, headers: dict[str, str], content: bytes) -> Taken:
        """What became of the event, committed. Raises what `_refused` knows."""
        sender_id = known.scheme.id_of(known.secrets, Request(headers, content, time.time()))
        digest = hashlib.sha256(content).digest()
        by_body = sender_id is None or known.definition.dedupe_by == "body"
        key = f"sha256:{digest.hex()}" if by_body else sender_id
        assert key is not None, "either stands in for the other"
        shown = kept(headers, known.scheme.secret_headers)
        made = made_of(self._jobs, known.definition, read_event(known.name, key, shown, content))
        arrived = Arrived(known.name, key, digest, content, shown, made)
        answer = await self._intake.submit(arrived, known.definition.cap_per_minute)
        if isinstance(answer, OverCap):
            message = f"{known.name} has had its events of this minute; nothing was taken"
            raise Refused(429, "over_cap", message, headers={"Retry-After": str(answer.left_s)})
        if not answer.same_body:
            await tell_of_conflict(self._jobs.database, known.name, answer)
            raise Refused(409, "another_body", f"This id stands for event {answer.id}, whose body was another one")
        return answer


_AGAIN = (*ConnectionFailed, *db.Retryable, db.LockNotAvailable, db.ReadOnly)


def _require_post(scope: Scope) -> None:
    if scope["method"] != "POST":
        raise Refused(405, "method_not_allowed", "Events are sent by POST", headers={"Allow": "POST"})


def _accepted(taken: Taken) -> JSONResponse:
    told = {"event_id": taken.id, "result": taken.result, "job_id": taken.job_id, "repeated": not taken.new}
    return JSONResponse(told, 202 if taken.new else 200)


def _refused(error: Exception) -> Refused:
    match error:
        case Refused():
            return error
        case NotSigned():
            return Refused(401, "not_signed", str(error), headers={"WWW-Authenticate": "Signature"})
        case InvalidInput():
            return Refused(400, "bad_json", str(error), field="body")
    return unavailable(error)
