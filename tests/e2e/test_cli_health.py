"""`./jobs health`, as what watches a container runs it."""

import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tests.support.database import run_sql
from tests.support.up import Home

WORKER = """INSERT INTO jobs.workers (host, pid, queues, job_types, slots, lease_s, expires_at)
            VALUES ('{host}', 1, '{{}}', '{{}}', 1, 15, now() + interval '{left}')"""


def test_a_worker_counts_while_it_is_alive_and_of_this_host(home: Home, database_url: str) -> None:
    def status() -> int:
        return home.run("health", "worker").returncode

    run_sql(database_url, WORKER.format(host="elsewhere", left="1 hour"))
    assert status() == 1
    run_sql(database_url, WORKER.format(host=socket.gethostname(), left="1 hour"))
    assert home.json("health", "worker") == {"part": "worker", "is_well": True}


def test_a_database_that_does_not_fit_is_not_well(home: Home, database_url: str) -> None:
    assert home.run("health").stdout == "database: well\n"
    run_sql(database_url, "DROP SCHEMA jobs CASCADE")
    ran = home.run("health")
    assert ran.returncode == 1
    assert "migrate" in ran.stderr


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 0), (500, 1)])
def test_a_web_api_that_answers_is_well_whatever_it_misses(home: Home, status: int, code: int) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        ran = home.run("health", "web", "--port", str(server.server_port))
        server.shutdown()
    assert ran.returncode == code


def test_a_web_api_that_is_not_there_is_not_well(home: Home) -> None:
    ran = home.run("health", "web", "--port", "1")
    assert ran.returncode == 1
    assert "port 1" in ran.stderr
