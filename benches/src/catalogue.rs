//! What the table knows of the operations before they are measured: which bench has them, what each is compared with, and
//! what the source document printed for the same job.

/// The operations of one bench target, in the order of the table.
#[derive(Debug)]
pub(crate) struct Family {
    /// Name of the bench target.
    pub(crate) bench: &'static str,
    pub(crate) title: &'static str,
    pub(crate) operations: &'static [Operation],
}

/// A criterion group.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) reference: Reference,
}

/// What an operation's ratio is to.
#[derive(Debug)]
pub(crate) enum Reference {
    /// The same operation and size by another.
    By(&'static str),
    /// One row, for whatever size.
    Row { operation: &'static str, by: &'static str, size: &'static str },
    /// Nothing does the same.
    Nothing,
}

use Reference::{By, Nothing, Row};

const POWER_256: Reference =
    Row { operation: "power modulo 3072 bits", by: "aws-lc", size: "256-bit exponent" };
const POWER_320: Reference =
    Row { operation: "power modulo 3072 bits", by: "aws-lc", size: "320-bit exponent" };
const AWS_LC_RS: Reference = By("aws-lc-rs");

const fn operation(name: &'static str, reference: Reference) -> Operation {
    Operation { name, reference }
}

pub(crate) const FAMILIES: [Family; 11] = [
    Family {
        bench: "elgamal",
        title: "ElGamal",
        operations: &[
            operation("ElGamal keygen", POWER_256),
            operation("ElGamal sign", POWER_256),
            operation("ElGamal verify", POWER_256),
            operation("ElGamal KEM, one side", POWER_320),
        ],
    },
    Family {
        bench: "modexp",
        title: "Modular exponentiation",
        operations: &[operation("power modulo 3072 bits", By("aws-lc"))],
    },
    Family {
        bench: "primes",
        title: "Groups and primes",
        operations: &[operation("signature group", Nothing), operation("safe prime", By("num-primes"))],
    },
    Family {
        bench: "aead",
        title: "Ciphers",
        operations: &[
            operation("AES-256-GCM seal", AWS_LC_RS),
            operation("AES-256-GCM open", AWS_LC_RS),
            operation("Ascon-AEAD128 seal", Nothing),
            operation("Ascon-AEAD128 open", Nothing),
            operation("AES-256-CBC encrypt", Nothing),
            operation("AES-256-CBC decrypt", Nothing),
        ],
    },
    Family {
        bench: "hash",
        title: "Hash, MAC, key derivation",
        operations: &[
            operation("SHA-256", AWS_LC_RS),
            operation("HMAC-SHA256", AWS_LC_RS),
            operation("HKDF-SHA256", AWS_LC_RS),
        ],
    },
    Family {
        bench: "curves",
        title: "Curves, ML-KEM, PAKE",
        operations: &[
            operation("Ed25519 sign", AWS_LC_RS),
            operation("Ed25519 verify", AWS_LC_RS),
            operation("X25519, one side", AWS_LC_RS),
            operation("ML-KEM-768 keygen", AWS_LC_RS),
            operation("ML-KEM-768 encapsulate", AWS_LC_RS),
            operation("ML-KEM-768 decapsulate", AWS_LC_RS),
            operation("SPAKE2, one side", Nothing),
        ],
    },
    Family {
        bench: "login",
        title: "Login, without sockets and TLS",
        operations: &[
            operation("full login, both sides", POWER_256),
            operation("full login, the gateway's side", POWER_256),
            operation("resumed login, both sides", POWER_256),
            operation("resumed login, the gateway's side", POWER_256),
        ],
    },
    Family {
        bench: "broadcast",
        title: "Group",
        operations: &[operation("group re-key", Nothing), operation("broadcast, seal and hand out", Nothing)],
    },
    Family {
        bench: "receipts",
        title: "Receipts",
        operations: &[operation("receipt signatures", By("one by one"))],
    },
    Family {
        bench: "codec",
        title: "Codec and frames",
        operations: &[
            operation("vitals encode", By("bincode")),
            operation("vitals decode", By("bincode")),
            operation("frame decode", Nothing),
        ],
    },
    Family {
        bench: "signals",
        title: "Signal processing",
        operations: &[operation("1 s of signal", Nothing)],
    },
];

/// What the lab protocol's report printed, in seconds, beside the row that does that job.
const SOURCE_FIGURES: [(&str, &str); 4] = [
    ("ElGamal keygen/textbook/ffdhe2048", "0.053737"),
    ("AES-256-CBC encrypt/aes and cbc/256", "0.002555"),
    ("AES-256-CBC decrypt/aes and cbc/256", "0.000337"),
    ("broadcast, seal and hand out/ours/10 members", "0.000845"),
];

/// The source document's figure for a row.
pub(crate) fn source_figure(id: &str) -> Option<&'static str> {
    SOURCE_FIGURES.iter().find(|(row, _)| *row == id).map(|(_, figure)| *figure)
}
