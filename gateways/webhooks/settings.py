"""Settings of what goes out by webhook."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal, Self

from pydantic import Field, model_validator

from jobs_core.settings import RoomSettings


class CallbackSettings(RoomSettings):
    """Which receivers may be called."""

    callback_networks: str = Field("", max_length=2_000)
    """Networks that are called though they are not public, separated by commas."""
    callback_http: Literal["off", "on"] = "off"
    """Whether receivers are called without TLS, too."""

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Those networks."""
        return tuple(ip_network(text.strip()) for text in self.callback_networks.split(",") if text.strip())

    @model_validator(mode="after")
    def _are_networks(self) -> Self:
        try:
            _ = self.networks
        except ValueError as error:
            raise ValueError(f"JOBS_CALLBACK_NETWORKS: {error}; write 10.1.0.0/16,fd00::/8") from None
        return self
