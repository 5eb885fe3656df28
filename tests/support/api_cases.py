"""Requests that /openapi.json allows, and some that it does not, by schemathesis; and whether the answers are what it says."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from unittest import SkipTest

import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation

from tests.support.web import HOST, asked

CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)
"""Those that look at one answer. Tokens and undeclared methods have tests of their own (test_web_access, test_web_routes)."""


SHORT = 2
"""Examples of each kind and route, where the suite as a whole is what takes time."""


class Explorer:
    """One door and its document. ids: of what is there, by the names of path parameters."""

    def __init__(self, served: FastAPI, document: dict[str, Any], ids: Mapping[str, Any], *, examples: int) -> None:
        self._served = served
        self._operations = schemathesis.openapi.from_dict(_without_security(document))
        self._ids = ids
        self._loop = asyncio.get_running_loop()
        self._examples = {GenerationMode.POSITIVE: examples, GenerationMode.NEGATIVE: (examples + 1) // 2}
        self.tried = dict[str, set[int]]()
        """The statuses that came, by operation."""

    async def explore(self, number: int) -> list[str]:
        """What is wrong, each once; number: the seed."""
        return await asyncio.to_thread(
            lambda: sorted({wrong for one in self._all() for wrong in self._one(one, number)})
        )

    async def ask(self, label: str, *, body: Any = None, query: dict[str, Any] | None = None) -> list[str]:
        """What is wrong with the answer to one request, which must not be refused. label: as `POST /api/chats`."""
        method, _, path = label.partition(" ")
        operation = self._operations[path][method]
        known = {name.name: self._ids[name.name] for name in operation.path_parameters}
        given = {} if body is None else {"body": body, "media_type": "application/json"}
        wrong = await asyncio.to_thread(self._ask, operation.Case(path_parameters=known, query=query, **given))
        refused = [] if max(self.tried[label]) < 300 else [f"{label} {self.tried[label]}: refused"]
        return [*wrong, *refused]

    def _all(self) -> Iterator[APIOperation]:
        for found in self._operations.get_all_operations():
            yield found.ok()

    def _one(self, operation: APIOperation, number: int) -> Sequence[str]:
        wrong = list[str]()
        for mode, ids in self._ways(operation):

            @seed(number)
            @settings(
                max_examples=self._examples[mode],
                phases=[Phase.generate],
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode, path_parameters=ids))
            def check(case: Any) -> None:
                wrong.extend(self._ask(case))

            with suppress(Unsatisfiable, SkipTest):  # of what takes nothing, nothing can be had wrong
                check()
        return wrong

    def _ways(self, operation: APIOperation) -> Iterator[tuple[GenerationMode, dict[str, Any] | None]]:
        """As described and not, with ids of what is there; in a long exploration also with any ids."""
        known = {name.name: self._ids[name.name] for name in operation.path_parameters if name.name in self._ids}
        yield GenerationMode.POSITIVE, known or None
        yield GenerationMode.NEGATIVE, known or None
        if known and self._examples[GenerationMode.POSITIVE] > SHORT:
            yield GenerationMode.POSITIVE, None

    def _ask(self, case: Any) -> Sequence[str]:
        """What is wrong with the answer to a request."""
        label, answer = case.operation.label, self._send(case)
        self.tried.setdefault(label, set()).add(answer.status_code)
        try:
            case.validate_response(answer, checks=CHECKS.get_by_names(CHECKED))
        except FailureGroup as found:
            return [f"{label} {answer.status_code}: {said}" for said in found.exceptions]
        return ()

    def _send(self, case: Any) -> Response:
        request = requests.Request(**case.as_transport_kwargs(base_url=f"http://{HOST}")).prepare()
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        headers = {
            name.lower().encode("latin-1"): value if isinstance(value, bytes) else value.encode("latin-1", "replace")
            for name, value in request.headers.items()
            if name.lower() not in {"authorization", "host"}
        }
        target = str(request.url).removeprefix(f"http://{HOST}")
        sending = asked(self._served, str(request.method), target, body=body, headers=headers)
        answer = asyncio.run_coroutine_threadsafe(sending, self._loop).result(60)
        told = {name: [value] for name, value in answer.headers.items()}
        return Response(answer.status, told, answer.body, request, 0.0, verify=False)


def _without_security(document: dict[str, Any]) -> dict[str, Any]:
    """The document as if no token were asked for: all requests here have one that is right."""
    paths = {
        path: {method: {**operation, "security": []} for method, operation in methods.items()}
        for path, methods in document["paths"].items()
    }
    return {**document, "paths": paths, "components": {"schemas": document["components"]["schemas"]}}
