"""How often one may fail to log in: counted in the database, so that all processes of the API agree.

Failures are counted for an account from one address, and, with more patience, for an account from anywhere and for an
address whatever the account: so neither guessing one password from many machines nor many from one goes far. Requests
that are under way at the same moment may exceed a limit by their number. Counting has transactions of its own: the
request that failed is rolled back, its count is not.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine, delete, func, insert, or_, select

from services.api.auth.limits import LoginLimits, must_wait
from services.api.errors import TooManyAttempts
from shared.database.accounts import AuditEntry, LoginAttempt

_LONGEST_NAME = 150
_LONGEST_ADDRESS = 64


@dataclass(frozen=True)
class Attempts:
    """The attempts on one account from one address."""

    engine: Engine
    limits: LoginLimits
    username: str
    address: str

    def refuse_too_many(self) -> bool:
        """Whether this account has failed from here before. Raises TooManyAttempts where that was too often."""
        if not self.limits.failures:
            return False
        same_name, same_address = LoginAttempt.username == self._name, LoginAttempt.address == self._address
        query = select(
            func.count().filter(same_name & same_address),
            func.count().filter(same_name),
            func.count().filter(same_address),
            func.extract("epoch", func.min(LoginAttempt.at) + self.limits.window - func.now()),
        ).where(LoginAttempt.at > func.now() - self.limits.window, or_(same_name, same_address))
        with self.engine.connect() as connection:
            here, anywhere, of_address, seconds = connection.execute(query).one()
        if must_wait(self.limits, here, anywhere, of_address):
            raise TooManyAttempts(max(int(seconds) + 1, 1))
        return bool(here)

    def note_failure(self, path: str) -> None:
        """This attempt has failed; attempts that do not count any more are forgotten."""
        failed = {"username": self._name, "address": self._address}
        said = {"action": "log in", "resource": "accounts", "path": path, "status": 401}
        with self.engine.begin() as connection:
            connection.execute(insert(LoginAttempt).values(**failed))
            connection.execute(insert(AuditEntry).values(**failed, **said))
            kept = max(self.limits.window, timedelta(minutes=1))
            connection.execute(delete(LoginAttempt).where(LoginAttempt.at < func.now() - kept))

    def forget(self) -> None:
        """The account has logged in from here."""
        of_pair = (LoginAttempt.username == self._name, LoginAttempt.address == self._address)
        with self.engine.begin() as connection:
            connection.execute(delete(LoginAttempt).where(*of_pair))

    @property
    def _name(self) -> str:
        return self.username[:_LONGEST_NAME]

    @property
    def _address(self) -> str:
        return self.address[:_LONGEST_ADDRESS]
