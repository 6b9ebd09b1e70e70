#!/usr/bin/env python3
"""Known answers for SPAKE2, made by the Python package `spake2` 0.9 (pip install spake2==0.9), which Brian Warner
wrote before he wrote the Rust crate.

    python3 pake_kat.py > pake_kat.json
"""

import hashlib
import json

from spake2 import SPAKE2_A, SPAKE2_B


def case(i, password, a, b):
    random = [hashlib.shake_256(f"vitalward kat pake {side} {i}".encode()).digest(64) for side in "ab"]
    # The package reads its random bytes big-endian, the crate little-endian.
    side_a, side_b = (
        side(password, idA=a, idB=b, entropy_f=lambda n, r=r: r[::-1])
        for side, r in zip((SPAKE2_A, SPAKE2_B), random)
    )
    to_b, to_a = side_a.start(), side_b.start()
    key = side_a.finish(to_a)
    assert key == side_b.finish(to_b)
    return {
        "random": [r.hex() for r in random],
        "password": password.hex(),
        "identities": [a.hex(), b.hex()],
        "messages": [to_b.hex(), to_a.hex()],
        "key": key.hex(),
    }


print(json.dumps([case(0, b"ABCDEF", b"patient", b"gateway/XYZ"), case(1, b"", b"", b"")], indent=1))
