#!/usr/bin/env python3
"""A stranger's reading of docs/protocol.md: opens and verifies everything in session.json and suites.json without any
Vitalward code.

Needs Python 3.8+ and the package `cryptography`; suite 4 needs its version 46 or later for ML-KEM. Ascon-AEAD128 is written
out below from NIST SP 800-232. SPAKE2 itself is not repeated here; its key is taken from the vectors.
"""

import hashlib
import hmac
import json
import re
import struct
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HERE = Path(__file__).resolve().parent
SCENES = {s["scene"]: s["entries"] for s in json.loads((HERE / "session.json").read_text())["scenes"]}
SUITES = json.loads((HERE / "suites.json").read_text())["scenes"]
SCENES.update({f"{s['scene']} {s['suite']}": s["entries"] for s in SUITES})
ZERO_NONCE = bytes(12)
TLS, PLAIN = (1, b"\xe7" * 32), (0, bytes(32))


# --- Notation ---

def lp(part):
    return struct.pack(">I", len(part)) + part


def framed(label, *parts):
    return b"".join(map(lp, (b"vitalward/1/" + label.encode(), *parts)))


def sha(label, *parts):
    return hashlib.sha256(framed(label, *parts)).digest()


def mac(key, label, *parts):
    return hmac.new(key, framed(label, *parts), "sha256").digest()


def extract(salt, *parts):
    return hmac.new(salt, b"".join(map(lp, parts)), "sha256").digest()


def expand(prk, label, *parts, length=32):
    return hmac.new(prk, framed(label, *parts) + b"\x01", "sha256").digest()[:length]


def opened(key, nonce, aad, sealed):
    return AESGCM(key).decrypt(nonce, sealed, aad)


def suite_opened(suite, key, nonce, aad, sealed):
    """`key` and `nonce` may be longer than the suite wants: the first bytes of an expansion are the shorter expansion."""
    if suite == 3:
        return ascon_opened(key[:16], nonce[:16], aad, sealed)
    return opened(key, nonce[:12], aad, sealed)


# --- Ascon-AEAD128 (NIST SP 800-232) ---

MASK = (1 << 64) - 1


def rotated(word, by):
    return (word >> by | word << 64 - by) & MASK


def permuted(state, rounds):
    a, b, c, d, e = state
    for n in range(12 - rounds, 12):
        c ^= (15 - n) << 4 | n
        a, c, e = a ^ e, c ^ b, e ^ d
        a, b, c, d, e = a ^ ~b & c, b ^ ~c & d, c ^ ~d & e, d ^ ~e & a, e ^ ~a & b
        b, d, a, c = b ^ a, d ^ c, a ^ e, ~c & MASK
        a ^= rotated(a, 19) ^ rotated(a, 28)
        b ^= rotated(b, 61) ^ rotated(b, 39)
        c ^= rotated(c, 1) ^ rotated(c, 6)
        d ^= rotated(d, 10) ^ rotated(d, 17)
        e ^= rotated(e, 7) ^ rotated(e, 41)
    return [a, b, c, d, e]


def words(data):
    return [int.from_bytes(data[at:at + 8], "little") for at in range(0, len(data), 8)]


def padded(data):
    return data + b"\x01" + bytes(15 - len(data) % 16)


def ascon_opened(key, nonce, aad, sealed):
    k, body, tag = words(key), sealed[:-16], sealed[-16:]
    state = permuted([0x00001000808C0001, *k, *words(nonce)], 12)
    state[3], state[4] = state[3] ^ k[0], state[4] ^ k[1]
    blocks = words(padded(aad)) if aad else []
    for at in range(0, len(blocks), 2):
        state = permuted([state[0] ^ blocks[at], state[1] ^ blocks[at + 1], *state[2:]], 8)
    state[4] ^= 1 << 63
    text = b""
    whole = len(body) // 16 * 16
    for at in range(0, whole, 16):
        block = words(body[at:at + 16])
        text += b"".join((s ^ c).to_bytes(8, "little") for s, c in zip(state, block))
        state = permuted([*block, *state[2:]], 8)
    stream = b"".join(s.to_bytes(8, "little") for s in state[:2])
    last = bytes(s ^ c for s, c in zip(stream, body[whole:]))
    text += last
    mixed = words(padded(last))
    state = [state[0] ^ mixed[0], state[1] ^ mixed[1], state[2] ^ k[0], state[3] ^ k[1], state[4]]
    state = permuted(state, 12)
    expected = b"".join((s ^ w).to_bytes(8, "little") for s, w in zip(state[3:], k))
    assert hmac.compare_digest(expected, tag), "Ascon's tag"
    return text


def varint(data):
    value = shift = 0
    for at, byte in enumerate(data):
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, data[at + 1:]
    raise ValueError("no end of a varint")


def sized(data):
    length, rest = varint(data)
    return rest[:length], rest[length:]


def zigzag(data):
    value, rest = varint(data)
    return value >> 1 ^ -(value & 1), rest


def option(data, read):
    return read(data[1:]) if data[0] else (None, data[1:])


# --- The vectors ---

def value(scene, name):
    return next(bytes.fromhex(e["hex"]) for e in SCENES[scene] if e.get("name") == name)


def frames(scene):
    """(opcode, who sent it, bytes) of every frame; one transmission may hold two."""
    for entry in SCENES[scene]:
        data = bytes.fromhex(entry["hex"]) if "frame" in entry else b""
        while data:
            end = 4 + int.from_bytes(data[:4], "big")
            yield data[4], entry["from"], data[:end]
            data = data[end:]


# --- Signatures ---

def constant(name):
    source = (HERE / "../../../crypto/src/elgamal/params.rs").read_text()
    return int(re.sub(r"[\\\s]", "", re.search(rf'pub const {name}: &str = "([^"]*)"', source)[1]), 16)


P, Q, G, FFDHE = map(constant, ("P", "Q", "G", "FFDHE3072"))


def key_id(suite, public):
    return sha("key id", b"elgamal" if suite == 1 else b"ed25519", public)[:16]


def verify(suite, public, label, parts, signature):
    if suite != 1:
        return Ed25519PublicKey.from_public_bytes(public).verify(signature, framed(label, *parts))
    r, s = int.from_bytes(signature[:384], "big"), int.from_bytes(signature[384:], "big")
    y = int.from_bytes(public, "big")
    assert 1 < r < P - 1 and r % Q and 1 <= s < Q and 1 < y < P - 1 and pow(y, Q, P) == 1
    message = framed(label, *parts)
    hashed = framed("elgamal", label.encode(), key_id(1, public), public, signature[:384], message)
    h, w = int.from_bytes(hashlib.sha512(hashed).digest(), "big") % Q, pow(s, -1, Q)
    assert r == pow(G, h * w % Q, P) * pow(y, -(r % Q) * w % Q, P) % P


# --- Conversations ---

def check_pairing(scene, suite, channel, gateway_key, alert_key):
    start, reply, enrol, grant = (data[5:] for _, _, data in frames(scene))
    number, exporter = channel
    for side, role in (("A", "pair client"), ("B", "pair gateway")):
        assert framed(role, bytes([suite]), b"ABC") == value(scene, f"pake identity {side}")
    th = sha("pair th", start, reply, exporter, bytes([number]))
    prk = extract(th, value(scene, "pake key"))
    assert enrol[:32] == mac(expand(prk, "pair confirm", th), "pair confirm c", th, enrol[32:])
    said = opened(expand(prk, "pair c2g", th), ZERO_NONCE, th, enrol[32:])
    assert said == value(scene, "PAIR_ENROL opened")
    said = opened(expand(prk, "pair g2c", th), ZERO_NONCE, th, grant)
    by_login = 416 if suite == 1 else 64
    tail = (2 if suite == 1 else 1) + by_login + 2 + 64
    content, signatures = said[:-tail], said[-tail:]
    first, rest = sized(signatures)
    second, _ = sized(rest[1:])
    verify(suite, gateway_key, "pair grant", [th, content], first)
    verify(2, alert_key, "pair grant", [th, content], second)


def session_keys(scene, prk, th):
    keys = {name: expand(prk, name, th) for name in ("confirm g", "group wrap", "resume", "c2g", "g2c")}
    keys["session id"] = expand(prk, "session id", th, length=16)
    for name, key in keys.items():
        assert key == value(scene, name), name
    return keys


class Direction:
    """The records of one direction."""

    def __init__(self, suite, secret, session):
        self.suite, self.secret, self.session, self.sequence = suite, secret, session, 0

    def open(self, frame):
        iv = expand(self.secret, "record iv", length=16 if self.suite == 3 else 12)
        counted = struct.pack(">Q", self.sequence).rjust(len(iv), b"\0")
        nonce = bytes(a ^ b for a, b in zip(iv, counted))
        aad = b"\x01" + frame[4:5] + frame[:4] + self.session
        text = suite_opened(self.suite, expand(self.secret, "record key"), nonce, aad, frame[5:])
        self.sequence += 1
        if frame[4] == 11:
            self.secret, self.sequence = expand(self.secret, "key update"), 0
        return text


def directions(suite, keys):
    labels = (("client", "c2g"), ("gateway", "g2c"))
    return {who: Direction(suite, keys[label], keys["session id"]) for who, label in labels}


def check_login(scene, suite, channel, gateway_id, gateway_key, client_key):
    *clear, confirmation = (data for _, _, data in frames(scene))
    hello, reply, proof = (data[5:] for data in clear)
    number, exporter = channel
    share, rest = sized(reply[33:])
    _, sealed = varint(rest)
    own = value(scene, "random client 1")
    if suite == 1:
        exponent = int.from_bytes(own, "big") | 1 << 319
        shared = pow(int.from_bytes(share, "big"), exponent, FFDHE).to_bytes(384, "big")
        secrets = [shared]
    else:
        point = X25519PublicKey.from_public_bytes(share[:32])
        secrets = [X25519PrivateKey.from_private_bytes(own).exchange(point)]
    if suite == 4:
        decapsulator = mlkem.MLKEM768PrivateKey.from_seed_bytes(value(scene, "random client 2"))
        assert decapsulator.public_key().public_bytes_raw() in hello
        secrets.append(decapsulator.decapsulate(share[32:]))
    nonce = value(scene, "random client 3" if suite == 4 else "random client 2")
    hint = mac(key_id(suite, gateway_key), "gateway hint", nonce)[:8]
    assert hello.endswith(hint + b"\x00")

    th1 = sha("th1", bytes([suite]), bytes([number]), hello, reply[: -len(sealed)])
    prk1 = extract(th1, *secrets, exporter)
    said = suite_opened(suite, expand(prk1, "hs g2c", th1), bytes(16), th1, sealed)
    named = [th1, gateway_id, key_id(suite, gateway_key)]
    signature, tag = sized(said[32:])
    assert said[:32] == named[1] + named[2]
    verify(suite, gateway_key, "login/gateway", named, signature)
    assert tag == mac(expand(prk1, "mac g", th1), "login mac gateway", *named)

    th2 = sha("th2", th1, sealed)
    said = suite_opened(suite, expand(prk1, "hs c2g", th1), bytes(16), th2, proof)
    end = 6 if suite == 1 else 17
    named = [th2, said[:end], key_id(suite, client_key), gateway_id]
    signature, tag = sized(said[end + 16:])
    assert said[end:end + 16] == named[2]
    verify(suite, client_key, "login/client", named, signature)
    assert tag == mac(expand(prk1, "mac c", th1), "login mac client", *named)

    th3 = sha("th3", th2, proof)
    keys = session_keys(scene, extract(th3, prk1), th3)
    records = directions(suite, keys)
    assert records["gateway"].open(confirmation) == mac(keys["confirm g"], "confirm g", th3)
    return keys, records


def check_alert(content, signature, alert_key):
    alert_id, rest = content[:16], content[16:]
    _, after = varint(rest)
    sequence, rest = rest[: len(rest) - len(after)], after
    created, expires, priority, audience, calls_off = rest[:6], rest[6:12], rest[12:13], rest[13:14], rest[14:15]
    text, _ = sized(rest[15:])
    fields = key_id(2, alert_key) + audience + alert_id + sequence + created + expires + priority + calls_off
    verify(2, alert_key, "alert", [fields, sha("alert text", text)], signature)
    return text.decode()


def check_patient_session(scene, keys, records, gateway_id, alert_key, receipt_key):
    group_key = alert = None
    for opcode, who, frame in frames(scene):
        if opcode == 40:
            body = frame[5:]
            _, rest = varint(body)
            _, rest = varint(rest)
            counter, sealed = varint(rest)
            nonce, aad = bytes(8) + struct.pack(">I", counter), b"\x28" + gateway_id + body[: -len(sealed)]
            alert = opened(expand(group_key, "group aead"), nonce, aad, sealed)
            print("alert:", check_alert(alert[:-64], alert[-64:], alert_key))
            continue
        said = records[who].open(frame)
        if opcode == 30:
            generation, rest = varint(said)
            step, rest = varint(rest)
            group_key = opened(keys["group wrap"], struct.pack(">QI", generation, step), gateway_id, sized(rest)[0])
        elif opcode == 41:
            assert said == alert
        elif opcode == 50:
            claim, signature = said[:-64], said[-64:]
            assert claim[16:48] == sha("alert content", alert[:-64])
            verify(2, receipt_key, "receipt", [key_id(2, alert_key) + b"\x04P001" + claim], signature)


def byte(data):
    return data[0], data[1:]


def quantity(data):
    """One quantity: its code, and `value unit, quality, method, calibration` or the reason why there is no value."""
    loinc, rest = byte(data)
    code, rest = sized(rest) if loinc else varint(rest)
    unit, rest = sized(rest)
    is_missing, rest = byte(rest)
    if is_missing:
        reason, rest = byte(rest)
        return (code, f"reason {reason}"), rest
    mantissa, rest = zigzag(rest)
    exponent, rest = struct.unpack("b", rest[:1])[0], rest[1:]
    quality, rest = option(rest, byte)
    method, rest = byte(rest)
    calibration, rest = varint(rest)
    return (code, f"{mantissa}e{exponent} {unit.decode()}", quality, method, calibration), rest


def samples(batch):
    count, rest = varint(batch[32:])
    for _ in range(count):
        for read in (varint, varint, varint, lambda data: option(data, varint), byte):
            _, rest = read(rest)
        length, rest = varint(rest)
        sample = []
        for _ in range(length):
            one, rest = quantity(rest)
            sample.append(one)
        yield sample
    assert not rest


def unpacked(count, data):
    """The samples of a waveform."""
    bits = "".join(f"{byte:08b}" for byte in data)

    def take(length):
        nonlocal bits
        head, bits = bits[:length], bits[length:]
        return int(head or "0", 2)

    samples, before = [], [0, 0]
    for at in range(count):
        if at % 32 == 0:
            order, k = take(2), take(5)
        ones = len(bits) - len(bits.lstrip("1"))
        if ones >= 24:
            take(24)
            z = take(32)
        else:
            take(ones + 1)
            z = ones << k | take(k)
        expected = [0, before[0], 2 * before[0] - before[1]][order]
        sample = (expected + (z >> 1 ^ -(z & 1)) + 2**31) % 2**32 - 2**31
        before = [sample, before[0]]
        samples.append(sample)
    assert len(bits) < 8 and "1" not in bits
    return samples


def check_waveform(said):
    signal, rest = byte(said)
    for read in (varint, varint, varint, lambda data: option(data, varint), varint, zigzag, byte, sized, byte):
        _, rest = read(rest)
    count, rest = varint(rest)
    packed, rest = sized(rest)
    assert signal == 0 and not rest
    assert unpacked(count, packed) == [1000, 1001, 1003, 1002, 998, 990, 985, 983]


def check_wearable_session(scene, records):
    previous = bytes(32)
    for opcode, who, frame in frames(scene):
        said = records[who].open(frame)
        if opcode == 75:
            check_waveform(said)
        if opcode == 70:
            assert said[:32] == previous
            previous = sha("batch", said)
            assert list(samples(said)) == [[
                (147842, "72e0 /min", 95, 1, 0), (150456, "reason 4"), (b"80404-7", "reason 0"),
                (150364, "3683e-2 Cel", None, 0, 0),
            ]]


def check_resumption(scene, suite, psk, channel):
    resume, reply, *later = (data for _, _, data in frames(scene))
    resume, reply = resume[5:], reply[5:]
    number, exporter = channel
    assert resume[-32:] == mac(psk, "resume c", resume[:-32], exporter)
    th = sha("resume th", bytes([number]), resume, reply[:-32])
    assert reply[-32:] == mac(psk, "resume g", th)
    own = X25519PrivateKey.from_private_bytes(value(scene, "random client 1"))
    shared = own.exchange(X25519PublicKey.from_public_bytes(reply[32:64]))
    records = directions(suite, session_keys(scene, extract(th, psk, shared, exporter), th))
    for frame in later:
        records["client"].open(frame)


def main():
    def key(name):
        return value("keys", name)

    gateway_id, alert_key = key("gateway id"), key("gateway's alert key")
    patients, wearables = key("gateway's ElGamal key y"), key("gateway's Ed25519 login key")
    talks = {name.split(":")[0]: name for name in SCENES}

    check_pairing("patient pairing", 1, TLS, patients, alert_key)
    keys, records = check_login("patient login", 1, TLS, gateway_id, patients, key("patient's ElGamal key y"))
    receipt_key = key("patient's receipt key")
    check_patient_session(talks["patient session"], keys, records, gateway_id, alert_key, receipt_key)

    check_pairing("wearable pairing", 2, PLAIN, wearables, alert_key)
    keys, records = check_login("wearable login", 2, PLAIN, gateway_id, wearables, key("wearable's key"))
    check_wearable_session(talks["wearable session"], records)
    check_resumption("wearable resumption", 2, keys["resume"], PLAIN)

    for suite in (3, 4):
        login, session, resumption = (f"{s['scene']} {suite}" for s in SUITES if s["suite"] == suite)
        keys, records = check_login(login, suite, PLAIN, gateway_id, wearables, key("wearable's key"))
        check_wearable_session(session, records)
        check_resumption(resumption, suite, keys["resume"], PLAIN)
    print("all frames opened, all signatures verified, all keys agree")


if __name__ == "__main__":
    main()
