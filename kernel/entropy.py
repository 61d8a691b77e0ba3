"""Random bytes: random(4), getrandom(2), AT_RANDOM.  A seed makes a run repeatable."""

from __future__ import annotations

import os


class Entropy:
    """The host's random numbers, or, given a seed, a stream that depends on nothing else."""

    __slots__ = ("_counter", "_rest", "_seed")

    def __init__(self, seed: bytes | None = None) -> None:
        self._seed = seed
        self._counter = 0
        self._rest = b""

    def bytes(self, count: int) -> bytes:
        """`count` random bytes."""
        if self._seed is None:
            return os.urandom(count)
        from hashlib import blake2b  # only for repeatable runs: the import takes a millisecond

        parts = [self._rest]
        have = len(self._rest)
        while have < count:
            parts.append(blake2b(self._counter.to_bytes(8, "little"), key=self._seed[:64]).digest())
            self._counter += 1
            have += 64
        data = b"".join(parts)
        self._rest = data[count:]
        return data[:count]
