"""People with tokens at a web door, and something of one of them under each kind of id: what tests of rights stand on."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from fastapi import FastAPI

from assistant import people
from assistant.content import File
from assistant.notifications import notify
from assistant.people import User
from gateways import api_tokens
from gateways.scopes import OF_PEOPLE, SCOPES, Scope
from jobs_core import Connection, Database, execute, fetch
from tests.support.approvals import Bench
from tests.support.people import owner
from tests.support.pictures import PNG
from tests.support.web import door

KEPT = {
    "chat_sessions": "*",
    "chat_message_history": "*",
    "chat_files": "message_id, nth",
    "notifications": "id, user_id, read",
    "notification_preferences": "*",
    "pending_actions": "*",
    "api_tokens": "id, name, user_id, scopes, expires_at, revoked_at",
    "users": "id, role, admission",
    "tasks": "*",
    "agents": "*",
    "jobs": "id, state",
    "media_files": "id, state",
}
"""What a request that was refused leaves as it is."""


@dataclass
class Cast:
    """A door, and who comes to it. ids: of what is eve's, as paths name them. bodies: what may be done to that."""

    served: FastAPI
    database: Database
    ada: User
    eve: User
    mallory: User
    ids: dict[str, Any]
    bodies: dict[tuple[str, str], Any]
    _tokens: dict[tuple[str, Scope | None], str] = field(default_factory=dict)

    async def token(self, user: User, *, without: Scope | None = None, **given: Any) -> str:
        """A token of a person with all scopes of their role, but one."""
        if given or (user.id, without) not in self._tokens:
            scopes = [scope for scope in (SCOPES if user.is_owner else OF_PEOPLE) if scope != without]
            async with self.database.transaction() as conn:
                _, text = await api_tokens.create(conn, **{"name": "t", "user_id": user.id, "scopes": scopes, **given})
            if given:
                return text
            self._tokens[user.id, without] = text
        return self._tokens[user.id, without]

    def path(self, template: str) -> str:
        """The path of a route, with eve's ids where it has ids."""
        for name, value in self.ids.items():
            template = template.replace(f"{{{name}}}", str(value))
        return template

    async def kept(self, conn: Connection) -> dict[str, Any]:
        """All that nobody may change who was refused."""
        return {
            table: sorted(map(str, await fetch(conn, f"SELECT {columns} FROM jobs.{table}")))  # type: ignore[arg-type]  # names of ours
            for table, columns in KEPT.items()
        }


async def cast_on(bench: Bench) -> Cast:
    """Ada, the owner; eve, with a chat, a file, an action to decide, a notification, a token; and mallory, who has nothing."""
    database, conn = bench.jobs.database, bench.conn
    ada = await owner(database)
    async with database.transaction() as own:
        eve = await people.contact(own, "web", "eve", name="Eve")
        mallory = await people.contact(own, "web", "mallory", name="Mallory")
        token, _ = await api_tokens.create(own, name="spare", user_id=eve.id)
    action = await bench.asked(user_id=ada.id)
    await execute(conn, "UPDATE jobs.pending_actions SET may_decide = ARRAY[%(eve)s, 'role:owner']", {"eve": eve.id})
    said = await bench.say("look at this", user_id=eve.id, files=[File("image/png", PNG, "cat.png")])
    told = await notify(conn, user_id=eve.id, title="t", body="b", category="c")
    ids = {
        "session_id": said.session_id,
        "message_id": said.message_id,
        "nth": 1,
        "action_id": action.id,
        "notification_id": told,
        "token_id": token.id,
    }
    bodies = {
        ("POST", "/api/chat"): {"session_id": said.session_id, "message": "hers"},
        ("PATCH", "/api/chats/{session_id}"): {"title": "hers"},
        ("POST", "/api/approvals/{action_id}/decision"): {"decision": "reject", "digest": action.digest},
        ("POST", "/api/notifications/read"): {"up_to_id": told},
        ("POST", "/api/chats/reset"): {"user_id": eve.id},
    }
    return Cast(door(bench.jobs, chat_wait_s=0.0), database, ada, eve, mallory, ids, bodies)


A_MOMENT = timedelta(microseconds=1)
