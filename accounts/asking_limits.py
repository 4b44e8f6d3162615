"""How often mails can be asked for: by address, so that nobody's mailbox is flooded, and by network."""

import hashlib
import hmac
from typing import Final

from accounts.addresses import EmailAddress
from accounts.limits import Limiter, Rate

_HOUR: Final = 3600.0


class AskedTooOften(Exception):
    """No mail is sent for now.

    Attributes:
        retry_after: Whole seconds after which another try can pass.
        by_address: Whether the address was asked for too often, rather than from this network.
    """

    def __init__(self, retry_after: int, *, by_address: bool) -> None:
        super().__init__(f"asked too often; again in {retry_after} s")
        self.retry_after = retry_after
        self.by_address = by_address


class AskingLimits:
    """Counts requests that send mails to addresses which nobody has confirmed."""

    def __init__(self, limiter: Limiter, secret_key: bytes, *, per_address: int, per_network: int) -> None:
        """Set the limits.

        Args:
            limiter: Counts, for all replicas where it is shared.
            secret_key: Addresses and networks are digested with it before they are counted.
            per_address: Mails an hour to one address; as many at once after a pause.
            per_network: Requests an hour from one network.
        """
        self._limiter = limiter
        self._key = hmac.digest(secret_key, b"sportvision asking limits", hashlib.sha256)
        self._address_rule = Rate("address", per_address, _HOUR, per_address)
        self._network_rule = Rate("network", per_network, _HOUR, per_network)

    async def check(self, address: EmailAddress, network: str) -> None:
        """Count a request.

        Whether the address is known anywhere plays no part in it.

        Args:
            address: Where a mail is to go.
            network: Where the request comes from, as `app.networks` writes it.

        Raises:
            AskedTooOften: One of the limits is reached.
            accounts.limits.LimitsUnavailable: See there.
        """
        # The network comes first: one that has used up its share can then not use up that of addresses.
        for subject, rule in ((network, self._network_rule), (address.key, self._address_rule)):
            decision = await self._limiter.hit(self._subject(rule.name, subject), (rule,))
            if not decision.allowed:
                raise AskedTooOften(decision.retry_after, by_address=rule is self._address_rule)

    def _subject(self, kind: str, text: str) -> str:
        return f"asking:{kind}:{hmac.new(self._key, text.encode('utf-8'), hashlib.sha256).hexdigest()[:32]}"
