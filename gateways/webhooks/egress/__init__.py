"""What goes out by webhook: events, to callbacks. What it takes is loaded with the first of them: most workers send none."""

from assistant.callback_events import CHANNEL
from assistant.deliveries import DELIVER, Delivery
from assistant.senders import Answer, Sender, Senders
from gateways.webhooks.settings import CallbackSettings
from jobs_core import Database

REMEMBERS = DELIVER.give_up_after * 2
"""Receivers are told to drop second copies, so that we may always ask again."""


class _Sender:
    """The sender of webhooks, from its first delivery on."""

    remembers = REMEMBERS

    def __init__(self, database: Database, settings: CallbackSettings) -> None:
        self._database = database
        self._settings = settings
        self._loaded: Sender | None = None

    async def send(self, delivery: Delivery) -> Answer:
        """As `Sender.send`."""
        if self._loaded is None:
            from gateways.webhooks.egress.call import Caller
            from gateways.webhooks.egress.sender import WebhookSender

            self._loaded = WebhookSender(self._database, Caller(self._settings))
        return await self._loaded.send(delivery)


def register(senders: Senders, *, database: Database, settings: CallbackSettings) -> None:
    """Send by it in this process."""
    senders.register(CHANNEL, _Sender(database, settings))
