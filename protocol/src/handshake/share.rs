//! The key exchange of each suite: what a client sends in HELLO, what the gateway answers, and the secrets that both then
//! have. A share authenticates nobody; the proofs that follow do.
//!
//! A wearable's share is X25519 (32 bytes), followed by an ML-KEM-768 encapsulation key (1184) if and only if suite 4 is
//! among those offered: one HELLO serves every suite in it.

use alloc::vec::Vec;

use crypto::{InvalidShare, Prk, Secret, exchange, purpose::SharedSecret};
use rand_core::CryptoRng;

use crate::{
    credential::{ClientKind, Suite},
    error::Fault,
};

/// Bytes of an X25519 share.
const X25519_LEN: usize = 32;
/// Bytes of an ML-KEM-768 encapsulation key (FIPS 203, table 3), also where this build has no suite 4.
const ML_KEM_LEN: usize = 1184;

/// A client's ephemeral secrets between HELLO and its answer.
pub(crate) enum Offer {
    #[cfg(feature = "elgamal")]
    ElGamal(crypto::elgamal::kem::Ephemeral),
    Wearable {
        x25519: exchange::Ephemeral,
        #[cfg(feature = "ml-kem")]
        ml_kem: Option<crypto::ml_kem::Ephemeral>,
    },
}

/// What both sides have after the exchange.
pub(crate) enum Shared {
    #[cfg(feature = "elgamal")]
    ElGamal(Secret<SharedSecret, 384>),
    X25519(Secret<SharedSecret>),
    /// The secret of X25519, then that of ML-KEM.
    #[cfg(feature = "ml-kem")]
    Hybrid(Secret<SharedSecret>, Secret<SharedSecret>),
}

impl core::fmt::Debug for Offer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Offer(..)")
    }
}

impl Offer {
    /// Fresh secrets for any of these suites, which are all for one kind of client.
    pub(crate) fn generate(suites: &[Suite], rng: &mut (impl CryptoRng + ?Sized)) -> Result<Self, Fault> {
        match suites.first().map(|suite| suite.kind()) {
            #[cfg(feature = "elgamal")]
            Some(ClientKind::Patient) => Ok(Self::ElGamal(crypto::elgamal::kem::Ephemeral::generate(rng))),
            Some(ClientKind::Wearable) => Ok(Self::Wearable {
                x25519: exchange::Ephemeral::generate(rng),
                #[cfg(feature = "ml-kem")]
                ml_kem: suites.contains(&Suite::Hybrid).then(|| crypto::ml_kem::Ephemeral::generate(rng)),
            }),
            _ => Err(Fault::PeerSuite),
        }
    }

    /// The share for HELLO.
    pub(crate) fn public(&self) -> Vec<u8> {
        match self {
            #[cfg(feature = "elgamal")]
            Self::ElGamal(own) => own.public().to_vec(),
            #[cfg(feature = "ml-kem")]
            Self::Wearable { x25519, ml_kem: Some(ml_kem) } => {
                [&x25519.public()[..], &ml_kem.public()].concat()
            }
            Self::Wearable { x25519, .. } => x25519.public().to_vec(),
        }
    }

    /// The secrets of `suite`, one of those offered, from the gateway's share.
    pub(crate) fn agree(self, suite: Suite, peer: &[u8]) -> Result<Shared, Fault> {
        let shared = match (self, suite) {
            #[cfg(feature = "elgamal")]
            (Self::ElGamal(own), Suite::Patient) => own.agree(peer).map(Shared::ElGamal),
            (Self::Wearable { x25519, .. }, Suite::Wearable | Suite::Ascon) => {
                x25519.agree(peer).map(Shared::X25519)
            }
            #[cfg(feature = "ml-kem")]
            (Self::Wearable { x25519, ml_kem: Some(ml_kem) }, Suite::Hybrid) => {
                peer.split_at_checked(X25519_LEN).ok_or(InvalidShare).and_then(|(point, ciphertext)| {
                    Ok(Shared::Hybrid(x25519.agree(point)?, ml_kem.decapsulate(ciphertext)?))
                })
            }
            _ => return Err(Fault::PeerSuite),
        };
        shared.map_err(refused)
    }
}

/// The gateway's share for `suite`, and the secrets that go with it, from the share of a HELLO that offered `offered`.
pub(crate) fn answer(
    suite: Suite,
    offered: &[u8],
    share: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(Vec<u8>, Shared), Fault> {
    #[cfg(feature = "elgamal")]
    if suite == Suite::Patient {
        let own = crypto::elgamal::kem::Ephemeral::generate(rng);
        let public = own.public().to_vec();
        return Ok((public, Shared::ElGamal(own.agree(share).map_err(refused)?)));
    }
    let (point, rest) = share.split_at_checked(X25519_LEN).ok_or_else(|| refused(InvalidShare))?;
    let ml_kem_len = if offered.contains(&Suite::Hybrid.number()) { ML_KEM_LEN } else { 0 };
    if rest.len() != ml_kem_len {
        return Err(refused(InvalidShare));
    }
    let own = exchange::Ephemeral::generate(rng);
    let public = own.public().to_vec();
    let shared = own.agree(point).map_err(refused)?;
    match suite {
        Suite::Wearable | Suite::Ascon => Ok((public, Shared::X25519(shared))),
        #[cfg(feature = "ml-kem")]
        Suite::Hybrid => {
            let (ciphertext, secret) = crypto::ml_kem::encapsulate(rest, rng).map_err(refused)?;
            Ok(([&public[..], &ciphertext].concat(), Shared::Hybrid(shared, secret)))
        }
        _ => Err(Fault::PeerSuite),
    }
}

fn refused(_: InvalidShare) -> Fault {
    Fault::PeerLimit("a key share is a valid group element")
}

impl Shared {
    /// PRK1: bound to everything said so far, and to the channel.
    pub(crate) fn extract(&self, transcript: &[u8; 32], exporter: &[u8; 32]) -> Prk {
        match self {
            #[cfg(feature = "elgamal")]
            Self::ElGamal(secret) => Prk::extract(transcript, &[secret.expose(), exporter]),
            Self::X25519(secret) => Prk::extract(transcript, &[secret.expose(), exporter]),
            #[cfg(feature = "ml-kem")]
            Self::Hybrid(x25519, ml_kem) => {
                Prk::extract(transcript, &[x25519.expose(), ml_kem.expose(), exporter])
            }
        }
    }
}
