"""A module for JOBS_HANDLERS whose sender brings deliveries to a receiver at TEST_RECEIVER_PORT, a line of JSON each way."""

import asyncio
import json
import os
from datetime import timedelta

from assistant.deliveries import Delivery
from assistant.senders import Answer, Senders, Sent
from jobs_core import HandlerTable


class TcpSender:
    """Says which process sends, and waits for the receiver's word."""

    remembers = timedelta(days=1)

    async def send(self, delivery: Delivery) -> Answer:
        """Raises ConnectionError and EOFError where the answer is lost."""
        reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["TEST_RECEIVER_PORT"]))
        try:
            said = {"pid": os.getpid(), "random_id": delivery.random_id, "text": delivery.payload["text"]}
            writer.write(json.dumps(said).encode() + b"\n")
            return Sent(json.loads(await reader.readuntil(b"\n"))["id"])
        finally:
            writer.close()


def register(table: HandlerTable) -> None:
    """No handlers."""


def register_senders(senders: Senders) -> None:
    """Two accounts of one channel."""
    senders.register("telegram", TcpSender(), accounts=["bot", "me"])
