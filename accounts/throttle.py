"""Slows down guessing of passwords: a growing wait per mail address and per network address, kept in this process."""

from __future__ import annotations

from django.core.cache import cache

FREE_TRIES = 6
WINDOW = 300  # seconds


def _keys(address: str, network: str) -> list[str]:
    return [f"sign-in:address:{address.lower()}", f"sign-in:network:{network}"]


def is_blocked(address: str, network: str) -> bool:
    limits = (FREE_TRIES, FREE_TRIES * 5)  # many people may share one network
    return any(cache.get(key, 0) >= limit for key, limit in zip(_keys(address, network), limits, strict=True))


def count_failure(address: str, network: str) -> None:
    for key in _keys(address, network):
        cache.set(key, cache.get(key, 0) + 1, WINDOW)


def forget(address: str, network: str) -> None:
    cache.delete(_keys(address, network)[0])
