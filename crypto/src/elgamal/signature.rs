//! ElGamal signatures: r = g^k, s = (h - x rho) / k mod q, where rho = r mod q and h hashes role, key ids, public
//! key, r and message. Accepted iff r = g^(h/s) y^(-rho/s): recomputing r forces it into the subgroup, where
//! plain ElGamal takes it as it comes.

use core::fmt;

use crypto_bigint::{U256, U512, U3072};
use rand_core::CryptoRng;
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use super::{
    group::{ELEMENT_LEN, Q, SCALAR_LEN, Scalar, SignatureGroup},
    nonce::Nonces,
};
use crate::{
    error::{InvalidKey, VerificationFailed},
    framing,
    hash::sha256,
    secret::{Secret, purpose::ElGamalKey},
};

/// A private key x, 1 <= x < q, with its public half; wiped when it is dropped.
pub struct SigningKey {
    x: Secret<ElGamalKey>,
    verifying: VerifyingKey,
}

impl SigningKey {
    /// A new key, uniform because numbers outside the range are drawn again.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        loop {
            if let Ok(key) = Self::from_secret(&Secret::generate(rng)) {
                return key;
            }
        }
    }

    /// The key of this big-endian x.
    ///
    /// # Errors
    /// [`InvalidKey`] unless 1 <= x < q.
    pub fn from_secret(x: &Secret<ElGamalKey>) -> Result<Self, InvalidKey> {
        let exponent = Zeroizing::new(U256::from_be_slice(x.expose()));
        if *exponent == U256::ZERO || *exponent >= **Q {
            return Err(InvalidKey);
        }
        let verifying = VerifyingKey { y: SignatureGroup::get().pow_generator(&exponent) };
        Ok(Self { x: x.duplicate(), verifying })
    }

    /// x, big-endian, for the key store.
    #[must_use]
    pub fn to_secret(&self) -> Secret<ElGamalKey> {
        self.x.duplicate()
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// Signs a message in a role and between the keys that `key_ids` names. The 32 bytes drawn from `rng` hedge
    /// the nonce; the signature stays safe if they are predictable.
    #[must_use]
    pub fn sign(
        &self,
        role: &str,
        key_ids: &[u8],
        message: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Signature {
        let mut fresh = Zeroizing::new([0; 32]);
        rng.fill_bytes(fresh.as_mut_slice());
        let digest =
            sha256("elgamal/nonce", &[role.as_bytes(), key_ids, &self.verifying.to_bytes(), message]);
        let mut nonces = Nonces::new(Q, self.x.expose(), &digest, fresh.as_slice());
        let x = Zeroizing::new(Scalar::new(&U256::from_be_slice(self.x.expose())));
        loop {
            let k = nonces.draw();
            let r = SignatureGroup::get().pow_generator(&k);
            let rho = Scalar::new(&r.rem(Q));
            let h = self.verifying.challenge(role, key_ids, &r, message);
            // k is a unit, so the default is never taken; s = 0 would only mean the next k.
            let inverse = Zeroizing::new(Scalar::new(&k).invert().unwrap_or(Scalar::ZERO));
            let s = (*inverse * (h - *x * rho)).retrieve();
            if rho != Scalar::ZERO && s != U256::ZERO {
                return Signature { r, s };
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, ..)", self.verifying)
    }
}

/// A public key y that lies in the subgroup of order q and is not its neutral element: there is no way to have
/// one that does not.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    y: U3072,
}

impl VerifyingKey {
    /// Reads the 384-byte big-endian encoding; costs one exponentiation.
    ///
    /// # Errors
    /// [`InvalidKey`] unless the length is exact, 1 < y < p - 1 and y^q = 1.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidKey> {
        let group = SignatureGroup::get();
        let y = group.element(bytes).filter(|y| group.has_order_q(y)).ok_or(InvalidKey)?;
        Ok(Self { y })
    }

    /// The 384-byte big-endian encoding.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; ELEMENT_LEN] {
        self.y.to_be_bytes().into()
    }

    /// Checks a signature over a message in a role and between the keys that `key_ids` names.
    ///
    /// # Errors
    /// [`VerificationFailed`], whatever the reason.
    pub fn verify(
        &self,
        role: &str,
        key_ids: &[u8],
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), VerificationFailed> {
        let Signature { r, s } = signature;
        let h = self.challenge(role, key_ids, r, message);
        let rho = Scalar::new(&r.rem(Q));
        let w = Scalar::new(s).invert_vartime().into_option().ok_or(VerificationFailed)?;
        let (e, f) = ((h * w).retrieve(), (-rho * w).retrieve());
        if SignatureGroup::get().public_product(&e, (&self.y, &f)) == *r {
            Ok(())
        } else {
            Err(VerificationFailed)
        }
    }

    /// h = SHA-512 of everything the signature binds, modulo q.
    fn challenge(&self, role: &str, key_ids: &[u8], r: &U3072, message: &[u8]) -> Scalar {
        let (y, r) = (self.to_bytes(), r.to_be_bytes());
        let mut hash = Sha512::new();
        framing::feed("elgamal", &[role.as_bytes(), key_ids, &y, r.as_slice(), message], |piece| {
            hash.update(piece);
        });
        Scalar::new(&U512::from_be_slice(&hash.finalize()).rem(Q))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({:02x?})", self.to_bytes().first_chunk::<4>())
    }
}

/// A signature whose numbers are in range: 1 < r < p - 1, r mod q is not 0, 1 <= s < q. Without those bounds one
/// signature gives others, and some r verify for any key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    r: U3072,
    s: U256,
}

impl Signature {
    /// Reads r (384 bytes) and s (32 bytes), both big-endian.
    ///
    /// # Errors
    /// [`VerificationFailed`] for another length or a number out of range.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VerificationFailed> {
        let (r, s) = bytes.split_at_checked(ELEMENT_LEN).ok_or(VerificationFailed)?;
        let s: &[u8; SCALAR_LEN] = s.try_into().map_err(|_| VerificationFailed)?;
        let r = SignatureGroup::get().element(r).ok_or(VerificationFailed)?;
        let s = U256::from_be_slice(s);
        if r.rem(Q) == U256::ZERO || s == U256::ZERO || s >= **Q {
            return Err(VerificationFailed);
        }
        Ok(Self { r, s })
    }

    /// r (384 bytes), then s (32 bytes), both big-endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; ELEMENT_LEN + SCALAR_LEN] {
        let mut bytes = [0; ELEMENT_LEN + SCALAR_LEN];
        let (r, s) = bytes.split_at_mut(ELEMENT_LEN);
        r.copy_from_slice(self.r.to_be_bytes().as_slice());
        s.copy_from_slice(self.s.to_be_bytes().as_slice());
        bytes
    }
}
