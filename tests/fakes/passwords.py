"""Hashes that are verified as any other, in a hundredth of the time: how much work one is stands in it."""

from argon2 import PasswordHasher

_QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def quick_hash(password: str) -> str:
    """The hash to store for an account of a test."""
    return _QUICK.hash(password)
