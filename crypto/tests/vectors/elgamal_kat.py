#!/usr/bin/env python3
"""Known answers for ElGamal signatures and the KEM, computed from docs/security.md's formulas with Python's
own integers, hashlib and hmac; nothing here comes from the Rust code but the group's numbers.

    python3 elgamal_kat.py > elgamal_kat.json
"""

import hashlib
import hmac
import json
import pathlib
import re

params = (pathlib.Path(__file__).parents[2] / "src/elgamal/params.rs").read_text()


def number(name):
    text = re.search(rf'pub const {name}: &str = "(.*?)";', params, re.S).group(1)
    return int(re.sub(r"[\\\s]", "", text), 16)


p, q, g, ffdhe = (number(name) for name in ("P", "Q", "G", "FFDHE3072"))


def lp(part):
    return len(part).to_bytes(4, "big") + part


def framed(purpose, *parts):
    return lp(b"vitalward/1/" + purpose.encode()) + b"".join(map(lp, parts))


def nonces(x, digest, fresh):
    """RFC 6979, 3.2 and 3.6, qlen = hlen = 256."""
    octets = (int.from_bytes(digest, "big") % q).to_bytes(32, "big")
    mac = lambda key, data: hmac.new(key, data, hashlib.sha256).digest()
    K, V = b"\0" * 32, b"\1" * 32
    for separator in (b"\0", b"\1"):
        K = mac(K, V + separator + x.to_bytes(32, "big") + octets + fresh)
        V = mac(K, V)
    while True:
        V = mac(K, V)
        k = int.from_bytes(V, "big")
        if 0 < k < q:
            yield k
        K = mac(K, V + b"\0")
        V = mac(K, V)


def sign(x, role, key_ids, message, fresh):
    y = pow(g, x, p).to_bytes(384, "big")
    digest = hashlib.sha256(framed("elgamal/nonce", role, key_ids, y, message)).digest()
    for k in nonces(x, digest, fresh):
        r = pow(g, k, p)
        hashed = hashlib.sha512(framed("elgamal", role, key_ids, y, r.to_bytes(384, "big"), message))
        h = int.from_bytes(hashed.digest(), "big") % q
        rho = r % q
        s = pow(k, -1, q) * (h - x * rho) % q
        if rho and s:
            assert pow(g, h, p) == pow(int.from_bytes(y, "big"), rho, p) * pow(r, s, p) % p
            return y, r.to_bytes(384, "big") + s.to_bytes(32, "big")


def bytes_of(label, length):
    return hashlib.shake_256(b"vitalward kat " + label.encode()).digest(length)


def signature_case(i, role, key_ids, message):
    x = int.from_bytes(bytes_of(f"x {i}", 32), "big") % (q - 1) + 1
    return case(x, bytes_of(f"fresh {i}", 32), role, key_ids, message)


def case(x, fresh, role, key_ids, message):
    y, signature = sign(x, role.encode(), key_ids, message, fresh)
    return {
        "x": x.to_bytes(32, "big").hex(),
        "fresh": fresh.hex(),
        "role": role,
        "key_ids": key_ids.hex(),
        "message": message.hex(),
        "y": y.hex(),
        "signature": signature.hex(),
    }


def kem_case(i):
    raw = [bytes_of(f"kem {side} {i}", 40) for side in "ab"]
    a, b = (int.from_bytes(bytes([e[0] | 0x80]) + e[1:], "big") for e in raw)
    public = [pow(2, e, ffdhe).to_bytes(384, "big").hex() for e in (a, b)]
    shared = pow(2, a * b, ffdhe).to_bytes(384, "big").hex()
    return {"random": [e.hex() for e in raw], "public": public, "shared": shared}


def short_kem_case():
    """A shared secret that starts with a zero byte, which must stay."""
    return next(c for c in map(kem_case, range(100, 10_000)) if c["shared"].startswith("00"))


print(
    json.dumps(
        {
            "signatures": [
                signature_case(0, "login/client", bytes_of("ids", 64), b"transcript"),
                signature_case(1, "login/gateway", b"", b""),
                signature_case(2, "", bytes_of("ids", 7), bytes_of("long", 1000)),
                case(1, b"\0" * 32, "smallest x", b"k", b"m"),
                case(q - 1, b"\xff" * 32, "largest x", b"k", b"m"),
            ],
            "kem": [kem_case(0), kem_case(1), short_kem_case()],
        },
        indent=1,
    )
)
