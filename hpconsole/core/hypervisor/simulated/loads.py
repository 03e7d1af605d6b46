"""How busy simulated guests are: smooth waves over time whose integral is known, so that counters cost two cosines.

Everything follows from the seed and the guest's UUID; no state, no clock in here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

MIB = 1024 * 1024
_TURN = 2 * math.pi


def fractions(seed: int, text: str, count: int) -> tuple[float, ...]:
    """`count` numbers in 0-1 that depend on nothing but the seed and the text (the same on every Python)."""
    digest = blake2b(f"{seed}:{text}".encode(), digest_size=min(64, 4 * count)).digest()
    return tuple(int.from_bytes(digest[4 * i : 4 * i + 4], "big") / 0xFFFFFFFF for i in range(count))


@dataclass(frozen=True, slots=True)
class LoadCharacter:
    """What kind of work a guest does."""

    cpu_share: float  # mean of its vCPUs, 0-1
    swing: float  # how far it goes up and down, as a share of the mean, 0-1
    dirty_mib_s: float  # how fast it writes memory
    working_set_share: float  # of its memory, that it writes to again and again
    net_mib_s: float = 2.0
    resident_share: float = 0.9  # of its memory that is not all zeros


IDLE = LoadCharacter(0.02, 0.6, 4, 0.05, 0.02, 0.5)
WEB = LoadCharacter(0.22, 0.8, 60, 0.10, 12, 0.8)
DATABASE = LoadCharacter(0.45, 0.5, 350, 0.20, 25, 0.95)
BATCH = LoadCharacter(0.75, 0.25, 900, 0.45, 4, 0.9)
TRADING = LoadCharacter(0.6, 0.35, 1_450, 0.4, 40, 0.9)
# Writes faster than any link carries: does not converge without help.
FURIOUS = LoadCharacter(0.9, 0.1, 4_200, 0.85, 4, 0.97)

_CHARACTERS: Mapping[str, LoadCharacter] = {
    "web": WEB,
    "app": WEB,
    "proxy": WEB,
    "db": DATABASE,
    "sap": DATABASE,
    "oracle": DATABASE,
    "cache": DATABASE,
    "kafka": DATABASE,
    "build": BATCH,
    "batch": BATCH,
    "ml": FURIOUS,
    "trade": TRADING,
    "nfv": TRADING,
    "voip": TRADING,
}


def character_of(name: str) -> LoadCharacter:
    """What a guest of this name does, by the word before the first hyphen."""
    return _CHARACTERS.get(name.partition("-")[0], IDLE)


@dataclass(frozen=True, slots=True)
class Load:
    """One guest's load as a function of the seconds since the cluster began."""

    mean: float  # CPUs busy
    waves: tuple[tuple[float, float, float], ...]  # amplitude (CPUs), 2 pi / period, phase
    vcpu_shares: tuple[float, ...]  # which part of it each vCPU does; together 1
    rx_bytes_s: float
    tx_bytes_s: float
    write_bytes_s: float

    def busy_s(self, now_s: float) -> float:
        """CPU seconds used from the beginning until `now_s`; never falls."""
        total = self.mean * now_s
        for amplitude, speed, phase in self.waves:
            total += amplitude / speed * (math.cos(phase) - math.cos(speed * now_s + phase))
        return total

    def cpus(self, now_s: float) -> float:
        """How many CPUs are busy at this moment."""
        return self.mean + sum(amplitude * math.sin(speed * now_s + phase) for amplitude, speed, phase in self.waves)


def load_of(seed: int, uuid: str, vcpus: int, character: LoadCharacter) -> Load:
    """The load of one guest. Between 0 and `vcpus` CPUs at every moment."""
    size, slow, fast, slow_phase, fast_phase, net = fractions(seed, uuid, 6)
    share = min(0.95, character.cpu_share * (0.6 + 0.8 * size))
    mean = share * vcpus
    swing = min(character.swing * mean, vcpus - mean)
    shares = [0.5 + part for part in fractions(seed, f"{uuid} vcpus", min(vcpus, 16))]
    weights = [shares[vcpu % len(shares)] for vcpu in range(vcpus)]
    together = sum(weights)
    bytes_s = character.net_mib_s * MIB * (0.5 + net)
    return Load(
        mean=mean,
        waves=(
            (0.7 * swing, _TURN / (180 + 900 * slow), _TURN * slow_phase),
            (0.3 * swing, _TURN / (9 + 50 * fast), _TURN * fast_phase),
        ),
        vcpu_shares=tuple(weight / together for weight in weights),
        rx_bytes_s=bytes_s,
        tx_bytes_s=bytes_s * 0.7,
        write_bytes_s=bytes_s * 0.4,
    )
