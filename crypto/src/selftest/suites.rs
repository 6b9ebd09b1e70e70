//! The list of all suites.

use alloc::vec::Vec;

use super::{
    Suite, aead,
    case::{Case, Outcome, Wrong, objects, records, wycheproof},
    dsa, ed25519, elgamal, framing, group, hash, hkdf, hmac, ml_kem, pake, x25519,
};

/// A set of the crate `wycheproof`, which the build script put there.
macro_rules! wycheproof {
    ($name:literal) => {
        include_str!(concat!(env!("OUT_DIR"), "/", $name, ".json"))
    };
}

/// An excerpt of somebody's file (`tests/vectors/README.md`).
macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("../../tests/vectors/", $name))
    };
}

/// Every suite, in the order in which they run.
pub const SUITES: &[Suite] = &[
    suite("SHA-256", CAVP, SHA_256, file!("sha256.rsp"), records, hash::sha256),
    suite("SHA-512", CAVP, SHA_512, file!("sha512.rsp"), records, hash::sha512),
    suite("HMAC-SHA256", WYCHEPROOF, HMAC, wycheproof!("hmac_sha256"), wycheproof, hmac::wycheproof),
    suite("HMAC-SHA256", "RFC 4231", HMAC, file!("rfc4231.txt"), records, hmac::rfc_4231),
    suite("HKDF-SHA256", WYCHEPROOF, HKDF, wycheproof!("hkdf_sha256"), wycheproof, hkdf::wycheproof),
    suite("HKDF-SHA256", "RFC 5869", HKDF, file!("rfc5869.txt"), records, hkdf::rfc_5869),
    suite("framing", OURS, FRAMING, file!("framing_kat.json"), list, framing::check),
    suite("AES-256-GCM", WYCHEPROOF, AES_GCM, wycheproof!("aes_gcm"), wycheproof, aead::aes_gcm),
    suite("AES-256-GCM", CAVP, AES_GCM, file!("gcm256.rsp"), records, aead::aes_gcm_known),
    suite("Ascon-AEAD128", WYCHEPROOF, ASCON, wycheproof!("ascon_aead128"), wycheproof, aead::ascon_aead128),
    suite("Ascon-128 v1.2", WYCHEPROOF, ASCON_V1, wycheproof!("ascon128"), wycheproof, aead::ascon128),
    suite("Ascon-128 v1.2", "legacy", ASCON_V1, file!("ascon128.txt"), records, aead::ascon128_known),
    suite("Ed25519", WYCHEPROOF, ED25519, wycheproof!("ed25519"), wycheproof, ed25519::wycheproof),
    suite("Ed25519", "RFC 8032", ED25519, file!("rfc8032.input"), ed25519::lines, ed25519::rfc_8032),
    suite("X25519", WYCHEPROOF, X25519, wycheproof!("x25519"), wycheproof, x25519::wycheproof),
    suite("X25519", "RFC 7748", X25519, file!("rfc7748.txt"), records, x25519::rfc_7748),
    suite(
        "ML-KEM-768 keys",
        WYCHEPROOF,
        ML_KEM,
        wycheproof!("ml_kem_768_key_generation"),
        wycheproof,
        ml_kem::key_generation,
    ),
    suite(
        "ML-KEM-768 encaps",
        WYCHEPROOF,
        ML_KEM,
        wycheproof!("ml_kem_768_encapsulation"),
        wycheproof,
        ml_kem::encapsulation,
    ),
    suite(
        "ML-KEM-768 decaps",
        WYCHEPROOF,
        ML_KEM,
        wycheproof!("ml_kem_768"),
        wycheproof,
        ml_kem::decapsulation,
    ),
    suite(
        "ML-KEM-768 import",
        WYCHEPROOF,
        ML_KEM,
        wycheproof!("ml_kem_768_decapsulation"),
        wycheproof,
        ml_kem::long_key,
    ),
    suite("prime numbers", WYCHEPROOF, GROUP, wycheproof!("primality"), wycheproof, group::primality),
    suite("DSA primes", PQG_GEN, GROUP, file!("pqg_primes.rsp"), records, group::primes),
    suite("DSA primes", PQG_VER, GROUP, file!("pqg_verify.rsp"), records, group::verdict),
    suite("DSA generators", PQG_GEN, GROUP, file!("pqg_generator.rsp"), records, group::generator),
    suite("DSA keys", CAVP, DSA, file!("dsa_keypair.rsp"), records, dsa::key_pair),
    suite("DSA signing", CAVP, DSA, file!("dsa_sign.rsp"), records, dsa::signature),
    suite("DSA signing", "RFC 6979", NONCES, file!("rfc6979.txt"), records, dsa::rfc_6979),
    suite("DSA verification", CAVP, DSA, file!("dsa_verify.rsp"), records, dsa::verdict),
    suite(
        "DSA verification",
        WYCHEPROOF,
        DSA,
        wycheproof!("dsa_3072_256_sha256"),
        wycheproof,
        dsa::wycheproof,
    ),
    suite(
        "ElGamal signatures",
        OURS,
        ELGAMAL,
        file!("elgamal_kat.json"),
        elgamal::signatures,
        elgamal::signature,
    ),
    suite("ElGamal KEM", OURS, KEM, file!("elgamal_kat.json"), elgamal::exchanges, elgamal::kem),
    suite("SPAKE2", "PyPI spake2", SPAKE2, file!("pake_kat.json"), list, pake::check),
];

const WYCHEPROOF: &str = "Wycheproof";
const CAVP: &str = "NIST CAVP";
const PQG_GEN: &str = "CAVP PQGGen";
const PQG_VER: &str = "CAVP PQGVer";
const OURS: &str = "our Python";

/// What the product does with a primitive, and its sizes in bytes.
type Use = (&'static str, &'static str);

const SHA_256: Use = ("transcripts", "digest 32");
const SHA_512: Use = ("signatures", "digest 64");
const HMAC: Use = ("proof of shared keys", "key 32 tag 32");
const HKDF: Use = ("session keys", "key 32");
const FRAMING: Use = ("whatever is hashed", "4 per part");
const AES_GCM: Use = ("records, alerts", "key 32 nonce 12 tag 16");
const ASCON: Use = ("wearables, suite 3", "key 16 nonce 16 tag 16");
const ASCON_V1: Use = ("legacy format, later", "key 16 nonce 16 tag 16");
const ED25519: Use = ("logins, receipts", "key 32 signature 64");
const X25519: Use = ("logins, resumption", "share 32 secret 32");
const ML_KEM: Use = ("wearables, suite 4", "key 1184 share 1088");
const GROUP: Use = ("the signature group", "p 384 q 32 g 384");
const DSA: Use = ("ElGamal's arithmetic", "p 384 q 32");
const NONCES: Use = ("ElGamal's nonces", "nonce 32");
const ELGAMAL: Use = ("patients' logins", "key 384 signature 416");
const KEM: Use = ("patients' sessions", "share 384 secret 384");
const SPAKE2: Use = ("pairing codes", "message 33 key 32");

const fn suite(
    name: &'static str,
    origin: &'static str,
    (used_for, sizes): Use,
    vectors: &'static str,
    read: fn(&str) -> Result<Vec<Case>, Wrong>,
    check: fn(&Case) -> Result<Outcome, Wrong>,
) -> Suite {
    Suite { name, origin, used_for, sizes, vectors, read, check }
}

fn list(json: &str) -> Result<Vec<Case>, Wrong> {
    objects(json, "")
}
