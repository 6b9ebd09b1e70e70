#!/usr/bin/env python3
"""Attack (4) on ElGamal signatures: a short x and a short k, from one signature, by lattice reduction.

    python3 lattice.py

r = g^k, s k + r x = h modulo the order n: one equation, two unknowns. All (x, k, 1) that solve it, up to a multiple,
form a lattice of dimension 3 and volume n, and LLL finds its shortest vector. That is the true (x, k) when both are
short, that is when bits(x) + bits(k) < bits(n). A lab's safe prime with n of 3071 bits invites to draw 256 bits for
speed, and gives the key away; in our group n has 256 bits and x and k fill [1, q-1], so the shortest vector is another.

Needs Python 3.8 and nothing else. Exit 0 if the attack worked where it should and failed where it should.
"""

import hashlib
import json
import pathlib
import random
import re
import sys

here = pathlib.Path(__file__).parent
params = (here.parents[1] / "src/elgamal/params.rs").read_text()


def number(name):
    text = re.search(rf'pub const {name}: &str = "(.*?)";', params, re.S).group(1)
    return int(re.sub(r"[\\\s]", "", text), 16)


def lll(basis):
    """LLL with delta = 3/4 in integers (Cohen, A Course in Computational Algebraic Number Theory, 2.6.7)."""
    b, size = [list(row) for row in basis], len(basis)
    dot = lambda u, v: sum(a * c for a, c in zip(u, v))
    d, lam = [1] + [0] * size, [[0] * size for _ in range(size)]

    def orthogonalise(k):
        for j in range(k + 1):
            u = dot(b[k], b[j])
            for i in range(j):
                u = (d[i + 1] * u - lam[k][i] * lam[j][i]) // d[i]
            if j < k:
                lam[k][j] = u
            else:
                d[k + 1] = u

    def reduce(k, l):
        if 2 * abs(lam[k][l]) > d[l + 1]:
            m = (2 * lam[k][l] + d[l + 1]) // (2 * d[l + 1])
            b[k] = [a - m * c for a, c in zip(b[k], b[l])]
            lam[k][l] -= m * d[l + 1]
            for i in range(l):
                lam[k][i] -= m * lam[l][i]

    for k in range(size):
        orthogonalise(k)
    k = 1
    while k < size:
        reduce(k, k - 1)
        if 4 * (d[k + 1] * d[k - 1] + lam[k][k - 1] ** 2) < 3 * d[k] ** 2:
            b[k], b[k - 1] = b[k - 1], b[k]
            for i in range(size):
                orthogonalise(i)
            k = max(1, k - 1)
        else:
            for l in range(k - 2, -1, -1):
                reduce(k, l)
            k += 1
    return b


def recover(group, y, h, r, s, bits):
    """x out of one signature, if x and k have about so many bits or the lattice is kind."""
    p, n, g = group
    inverse, scale = pow(s, -1, n), 1 << bits
    reduced = lll([[1, -r * inverse % n, 0], [0, n, 0], [0, h * inverse % n, scale]])
    candidates = {sign * row[0] % n for row in reduced for sign in (1, -1)}
    return next((x for x in candidates if pow(g, x, p) == y), None)


def trial(name, group, bits, expected, rng):
    p, n, g = group
    draw = lambda: rng.randrange(1, min(n, 1 << bits))
    x, k, h = draw(), draw(), rng.getrandbits(512) % n
    r = pow(g, k, p)
    s = pow(k, -1, n) * (h - x * r) % n
    assert pow(g, h, p) == pow(pow(g, x, p), r % n, p) * pow(r, s, p) % p
    return report(name, bits, n, recover(group, pow(g, x, p), h, r, s, bits) == x, expected)


def report(name, bits, n, found, expected):
    print(f"{name:34} n {n.bit_length():4}  x, k {bits:4}  {'x recovered' if found else 'nothing found'}")
    return found == expected


def known_answer(group, case):
    """A signature as the product makes it; the file beside this one names its x."""
    p, q, _ = group
    fields = {name: bytes.fromhex(case[name]) for name in ("key_ids", "message", "y", "signature", "x")}
    r, s = fields["signature"][:384], fields["signature"][384:]
    lp = lambda part: len(part).to_bytes(4, "big") + part
    parts = [b"vitalward/1/elgamal", case["role"].encode(), fields["key_ids"], fields["y"], r, fields["message"]]
    h = int.from_bytes(hashlib.sha512(b"".join(map(lp, parts))).digest(), "big") % q
    y, r, s, x = (int.from_bytes(value, "big") for value in (fields["y"], r, s, fields["x"]))
    return report("ours, as the product signs", 256, q, recover(group, y, h, r, s, 256) == x, False)


if __name__ == "__main__":
    rng = random.Random(4)
    safe = number("FFDHE3072")
    weak = (safe, safe >> 1, 4)  # 4 = 2^2 has the prime order n = (p-1)/2
    ours = (number("P"), number("Q"), number("G"))
    cases = json.loads((here / "elgamal_kat.json").read_text())["signatures"]
    judged = [trial("safe prime, short x and k", weak, bits, True, rng) for bits in (160, 256, 1024, 1500)]
    judged += [trial("safe prime, x and k of full size", weak, 3071, False, rng)]
    judged += [trial("ours, if x and k were short", ours, 120, True, rng)]
    judged += [trial("ours, x and k in [1, q-1]", ours, 256, False, rng) for _ in range(3)]
    judged += [known_answer(ours, case) for case in cases[:3]]
    print("as expected" if all(judged) else "NOT as expected")
    sys.exit(not all(judged))
