#!/usr/bin/env python3
"""Known answers for everything that goes through `framed`: SHA-256, HMAC-SHA256 and HKDF-SHA256 over purposes
and parts, with Python's own hashlib and hmac.

    python3 framing_kat.py > framing_kat.json
"""

import hashlib
import hmac
import json


def lp(part):
    return len(part).to_bytes(4, "big") + part


def framed(purpose, parts):
    return lp(b"vitalward/1/" + purpose.encode()) + b"".join(map(lp, parts))


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def expand(prk, info, length):
    out = block = b""
    for i in range(1, length // 32 + 2):
        block = mac(prk, block + info + bytes([i]))
        out += block
    return out[:length]


def case(purpose, parts, key, salt):
    prk = mac(salt, b"".join(map(lp, parts)))
    chained = mac(salt, lp(prk))
    info = framed(purpose, parts)
    return {
        "purpose": purpose,
        "parts": [part.hex() for part in parts],
        "key": key.hex(),
        "salt": salt.hex(),
        "framed": info.hex(),
        "sha256": hashlib.sha256(info).hexdigest(),
        "mac": mac(key, info).hex(),
        "expanded": expand(prk, info, 80).hex(),
        "chained": expand(chained, info, 80).hex(),
        "ratcheted": expand(key, info, 80).hex(),
    }


print(
    json.dumps(
        [
            case("th1", [b"\1", b"\0", b"hello" * 30, b""], bytes(range(32)), b"salt"),
            case("", [], b"\xff" * 32, b""),
            case("group step", [b"\0" * 8, b"\0" * 7 + b"\1"], b"\7" * 32, bytes(200)),
        ],
        indent=1,
    )
)
