"""The signature of a thinking block: proof that this simulator, and nobody else, wrote it.

The API refuses thinking that it did not sign. A digest is enough here: it shows a history that was changed or mixed
up, and it is the same in every process, so that a conversation goes on after a restart. It is no protection and need
not be.
"""

import base64
import hashlib


def sign(thinking: str) -> str:
    """Return the signature of a thinking block's text."""
    return base64.b64encode(b"simulator" + hashlib.sha256(thinking.encode()).digest()).decode()
