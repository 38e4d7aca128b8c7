"""How many failures to log in are too many."""

from dataclasses import dataclass
from datetime import timedelta

PATIENCE = 10
"""How many times as many an account may fail from anywhere, and an address for any accounts."""


@dataclass(frozen=True)
class LoginLimits:
    """At most `failures` in `window`; 0 failures set no limit."""

    failures: int = 10
    window: timedelta = timedelta(minutes=5)


def must_wait(limits: LoginLimits, here: int, anywhere: int, of_address: int) -> bool:
    """Whether the next attempt is refused, after so many of the account from this address, of each alone."""
    most = limits.failures
    return bool(most) and (here >= most or anywhere >= most * PATIENCE or of_address >= most * PATIENCE)
