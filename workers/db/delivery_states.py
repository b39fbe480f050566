"""What became of a delivery, and where it came from."""

from enum import StrEnum


class DeliveryState(StrEnum):
    """What became of a delivery."""

    ACCEPTED = "accepted"
    NOTHING_TO_DO = "nothing_to_do"
    REFUSED = "refused"


class DeliveryKind(StrEnum):
    """How Headway learned of it: from a webhook, from a user who replayed one, or by looking itself."""

    WEBHOOK = "webhook"
    REPLAY = "replay"
    FOUND = "found"
