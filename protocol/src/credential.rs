//! Who has which keys. A credential is pinned together with its kind: a patient's key logs in with suite 1 on the
//! TLS port only, a wearable's with suites 2 to 4 on the plain port only. Keys are looked up by id among pinned ones,
//! never taken from a login message.

use alloc::vec::Vec;
use core::fmt;

use crypto::{Aead, Secret, identity, purpose, sha256};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::{
    error::Fault,
    id::{ClientId, DoctorId, GatewayId, KeyId},
};

/// A way to log in. A build has those whose features it was given; no other gets into the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Suite {
    /// Patients: ElGamal signatures (p 3072, q 256 bits), ElGamal KEM in ffdhe3072, AES-256-GCM. On TLS only.
    Patient = 1,
    /// Wearables: Ed25519, X25519, AES-256-GCM.
    Wearable = 2,
    /// Wearables without AES in hardware: as suite 2 with Ascon-AEAD128 (NIST SP 800-232). Feature `ascon`.
    Ascon = 3,
    /// Wearables, and what is recorded stays closed to a later quantum computer: as suite 2 with X25519 and ML-KEM-768
    /// together. Feature `ml-kem`.
    Hybrid = 4,
}

impl Suite {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The suite of a number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Patient),
            2 => Some(Self::Wearable),
            3 => Some(Self::Ascon),
            4 => Some(Self::Hybrid),
            _ => None,
        }
    }

    /// The kind of client that logs in with it; no other may.
    #[must_use]
    pub const fn kind(self) -> ClientKind {
        match self {
            Self::Patient => ClientKind::Patient,
            Self::Wearable | Self::Ascon | Self::Hybrid => ClientKind::Wearable,
        }
    }

    /// Whether its own key exchange keeps recordings closed to a later quantum computer. A patient's does not; the TLS
    /// around it may.
    #[must_use]
    pub const fn is_post_quantum(self) -> bool {
        matches!(self, Self::Hybrid)
    }

    /// The cipher of its sealed messages and records.
    ///
    /// # Errors
    /// [`Fault::PeerSuite`] if this build does not have it.
    pub(crate) const fn aead(self) -> Result<Aead, Fault> {
        match self {
            #[cfg(feature = "ascon")]
            Self::Ascon => Ok(Aead::AsconAead128),
            #[cfg(not(feature = "ascon"))]
            Self::Ascon => Err(Fault::PeerSuite),
            Self::Patient | Self::Wearable | Self::Hybrid => Ok(Aead::Aes256Gcm),
        }
    }
}

/// The kind of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ClientKind {
    /// A patient's client.
    Patient,
    /// A wearable.
    Wearable,
}

impl ClientKind {
    /// All suites of this build for this kind, the preferred first.
    #[must_use]
    pub const fn suites(self) -> &'static [Suite] {
        match self {
            Self::Patient => &[
                #[cfg(feature = "elgamal")]
                Suite::Patient,
            ],
            Self::Wearable => &[
                #[cfg(feature = "ml-kem")]
                Suite::Hybrid,
                Suite::Wearable,
                #[cfg(feature = "ascon")]
                Suite::Ascon,
            ],
        }
    }

    /// Its number in a pairing.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Patient => 1,
            Self::Wearable => 2,
        }
    }
}

impl fmt::Display for ClientKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Patient => "patient",
            Self::Wearable => "wearable",
        })
    }
}

/// A key that signs logins.
#[derive(Debug)]
pub enum LoginKey {
    /// A patient's.
    #[cfg(feature = "elgamal")]
    ElGamal(crypto::elgamal::SigningKey),
    /// A wearable's.
    Ed25519(identity::SigningKey),
}

impl LoginKey {
    /// A fresh key for a kind of client.
    ///
    /// # Errors
    /// [`Fault::PeerSuite`] if this build has no suite for it.
    pub fn generate(kind: ClientKind, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Self, Fault> {
        match kind {
            #[cfg(feature = "elgamal")]
            ClientKind::Patient => Ok(Self::ElGamal(crypto::elgamal::SigningKey::generate(rng))),
            #[cfg(not(feature = "elgamal"))]
            ClientKind::Patient => Err(Fault::PeerSuite),
            ClientKind::Wearable => Ok(Self::Ed25519(identity::SigningKey::generate(rng))),
        }
    }

    /// The key of a kind of client out of its 32 secret bytes.
    ///
    /// # Errors
    /// [`Fault::DeniedKey`] if the bytes are no key of that kind.
    pub fn from_secret(kind: ClientKind, bytes: [u8; 32]) -> Result<Self, Fault> {
        match kind {
            #[cfg(feature = "elgamal")]
            ClientKind::Patient => {
                crypto::elgamal::SigningKey::from_secret(&Secret::<purpose::ElGamalKey>::new(bytes))
                    .map(Self::ElGamal)
                    .map_err(|_| Fault::DeniedKey)
            }
            #[cfg(not(feature = "elgamal"))]
            ClientKind::Patient => Err(Fault::PeerSuite),
            ClientKind::Wearable => {
                Ok(Self::Ed25519(identity::SigningKey::from_secret(&Secret::<purpose::Ed25519Key>::new(
                    bytes,
                ))))
            }
        }
    }

    /// The secret bytes, for the store that keeps them.
    #[must_use]
    pub fn to_secret(&self) -> Secret<purpose::Ed25519Key> {
        match self {
            #[cfg(feature = "elgamal")]
            Self::ElGamal(key) => Secret::new(*key.to_secret().expose()),
            Self::Ed25519(key) => key.to_secret(),
        }
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> LoginVerifyingKey {
        match self {
            #[cfg(feature = "elgamal")]
            Self::ElGamal(key) => LoginVerifyingKey::ElGamal(key.verifying_key().clone()),
            Self::Ed25519(key) => LoginVerifyingKey::Ed25519(key.verifying_key()),
        }
    }

    /// Signs `parts` for `purpose`.
    #[cfg_attr(not(feature = "elgamal"), expect(unused_variables, reason = "Ed25519 draws no randomness"))]
    pub(crate) fn sign(
        &self,
        purpose: &str,
        parts: &[&[u8]],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Vec<u8> {
        match self {
            #[cfg(feature = "elgamal")]
            Self::ElGamal(key) => {
                let own = self.verifying_key().key_id();
                key.sign(purpose, own.as_bytes(), &crypto::framed(purpose, parts), rng).to_bytes().to_vec()
            }
            Self::Ed25519(key) => key.sign(purpose, parts).to_bytes().to_vec(),
        }
    }
}

/// The public half of a [`LoginKey`], known to be well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginVerifyingKey {
    /// A patient's.
    #[cfg(feature = "elgamal")]
    ElGamal(crypto::elgamal::VerifyingKey),
    /// A wearable's.
    Ed25519(identity::VerifyingKey),
}

impl LoginVerifyingKey {
    /// Reads the public key of a kind of client; every check of the key is made here.
    ///
    /// # Errors
    /// [`Fault::DeniedKey`] if the bytes are no key of that kind.
    pub fn from_bytes(kind: ClientKind, bytes: &[u8]) -> Result<Self, Fault> {
        match kind {
            #[cfg(feature = "elgamal")]
            ClientKind::Patient => crypto::elgamal::VerifyingKey::from_bytes(bytes)
                .map(Self::ElGamal)
                .map_err(|_| Fault::DeniedKey),
            #[cfg(not(feature = "elgamal"))]
            ClientKind::Patient => Err(Fault::PeerSuite),
            ClientKind::Wearable => {
                identity::VerifyingKey::from_bytes(bytes).map(Self::Ed25519).map_err(|_| Fault::DeniedKey)
            }
        }
    }

    /// The key as bytes: 384 of a patient's, 32 of a wearable's.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            #[cfg(feature = "elgamal")]
            Self::ElGamal(key) => key.to_bytes().to_vec(),
            Self::Ed25519(key) => key.to_bytes().to_vec(),
        }
    }

    /// The kind of client it is for.
    #[must_use]
    pub const fn kind(&self) -> ClientKind {
        match self {
            #[cfg(feature = "elgamal")]
            Self::ElGamal(_) => ClientKind::Patient,
            Self::Ed25519(_) => ClientKind::Wearable,
        }
    }

    /// Its fingerprint.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        let kind = match self {
            #[cfg(feature = "elgamal")]
            Self::ElGamal(_) => "elgamal",
            Self::Ed25519(_) => "ed25519",
        };
        key_id_of(kind, &self.to_bytes())
    }

    /// Checks a signature over `parts` for `purpose`.
    pub(crate) fn verify(&self, purpose: &str, parts: &[&[u8]], signature: &[u8]) -> Result<(), Fault> {
        let verified = match self {
            #[cfg(feature = "elgamal")]
            Self::ElGamal(key) => crypto::elgamal::Signature::from_bytes(signature).and_then(|s| {
                key.verify(purpose, self.key_id().as_bytes(), &crypto::framed(purpose, parts), &s)
            }),
            Self::Ed25519(key) => {
                identity::Signature::from_bytes(signature).and_then(|s| key.verify(purpose, parts, &s))
            }
        };
        verified.map_err(|_| Fault::DeniedProof)
    }
}

/// The fingerprint of a public key of a kind.
pub(crate) fn key_id_of(kind: &str, public: &[u8]) -> KeyId {
    let hash = sha256("key id", &[kind.as_bytes(), public]);
    let (id, _) = hash.split_first_chunk::<16>().map_or(([0; 16], &[][..]), |(id, rest)| (*id, rest));
    KeyId::from_bytes(id)
}

/// The keys with which a gateway proves itself: one per kind of client, and one that signs alerts.
#[derive(Debug)]
pub struct GatewayIdentity {
    /// This installation.
    pub gateway: GatewayId,
    /// Its doctor.
    pub doctor: DoctorId,
    /// For patients' logins.
    #[cfg(feature = "elgamal")]
    pub patient_login: LoginKey,
    /// For wearables' logins.
    pub wearable_login: LoginKey,
    /// Signs alerts.
    pub alerts: identity::SigningKey,
    /// SHA-256 of the SubjectPublicKeyInfo of its TLS certificate.
    pub tls_spki: [u8; 32],
}

impl GatewayIdentity {
    /// The login key that a client of this kind has pinned.
    pub(crate) const fn login_key(&self, kind: ClientKind) -> &LoginKey {
        match kind {
            #[cfg(feature = "elgamal")]
            ClientKind::Patient => &self.patient_login,
            _ => &self.wearable_login,
        }
    }

    /// What a client of this kind pins.
    #[must_use]
    pub fn pinned(&self, kind: ClientKind) -> PinnedGateway {
        PinnedGateway {
            gateway: self.gateway,
            doctor: self.doctor.clone(),
            login: self.login_key(kind).verifying_key(),
            alerts: self.alerts.verifying_key(),
            tls_spki: self.tls_spki,
        }
    }
}

/// What a client knows of its gateway since pairing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedGateway {
    /// The installation.
    pub gateway: GatewayId,
    /// Its doctor.
    pub doctor: DoctorId,
    /// Verifies its side of a login.
    pub login: LoginVerifyingKey,
    /// Verifies its alerts.
    pub alerts: identity::VerifyingKey,
    /// SHA-256 of the SubjectPublicKeyInfo of its TLS certificate.
    pub tls_spki: [u8; 32],
}

/// The keys with which a client proves itself.
#[derive(Debug)]
pub struct ClientIdentity {
    /// Who it is.
    pub id: ClientId,
    /// Signs its logins.
    pub login: LoginKey,
    /// Signs its receipts; wearables have none.
    pub receipts: Option<identity::SigningKey>,
}

/// What a gateway knows of a client since pairing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedClient {
    /// Who it is.
    pub id: ClientId,
    /// Verifies its side of a login.
    pub login: LoginVerifyingKey,
    /// Verifies its receipts; wearables have none.
    pub receipts: Option<identity::VerifyingKey>,
}

impl ClientId {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> ClientKind {
        match self {
            Self::Patient(_) => ClientKind::Patient,
            Self::Wearable(_) => ClientKind::Wearable,
        }
    }
}
