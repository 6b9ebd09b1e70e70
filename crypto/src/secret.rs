//! Secret bytes and what they are for. A [`Secret`] lives on the heap, so that moving it leaves no copy behind,
//! is wiped when it is dropped, compares in constant time and never shows its bytes in `Debug`. Its purpose is
//! a type, so a key for one thing does not compile where another is wanted. It knows no algorithm.

use alloc::boxed::Box;
use core::{fmt, marker::PhantomData};

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What a secret is for.
pub trait Purpose {
    /// The name that `Debug` prints.
    const NAME: &'static str;
}

/// `N` secret bytes with one purpose.
///
/// A key for one thing does not pass as a key for another:
/// ```compile_fail,E0308
/// use vitalward_crypto::{Secret, identity::SigningKey, purpose::GroupKey};
/// let key = Secret::<GroupKey>::new([7; 32]);
/// SigningKey::from_secret(&key);
/// ```
pub struct Secret<P, const N: usize = 32> {
    bytes: Box<[u8; N]>,
    purpose: PhantomData<fn() -> P>,
}

impl<P: Purpose, const N: usize> Secret<P, N> {
    /// Takes over the bytes; the argument's own copy is wiped.
    #[must_use]
    pub fn new(mut bytes: [u8; N]) -> Self {
        let secret = Self::filled(|secret| secret.copy_from_slice(&bytes));
        bytes.zeroize();
        secret
    }

    /// `N` bytes from the generator.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::filled(|secret| rng.fill_bytes(secret))
    }

    /// Lets `fill` write the bytes where they will stay.
    pub(crate) fn filled(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut bytes = Box::new([0; N]);
        fill(&mut bytes);
        Self { bytes, purpose: PhantomData }
    }

    /// The bytes themselves: for a primitive, a sealed message or the key store, never for a log.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        &self.bytes
    }

    /// A second copy, by name, because `Clone` would make copies too easy to overlook.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::filled(|secret| secret.copy_from_slice(self.expose()))
    }
}

impl<P, const N: usize> Drop for Secret<P, N> {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl<P, const N: usize> ZeroizeOnDrop for Secret<P, N> {}

impl<P, const N: usize> PartialEq for Secret<P, N> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes.ct_eq(&*other.bytes).into()
    }
}

impl<P, const N: usize> Eq for Secret<P, N> {}

impl<P: Purpose, const N: usize> fmt::Debug for Secret<P, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{}>(..)", P::NAME)
    }
}

/// The purposes: one key for each thing.
pub mod purpose {
    use super::Purpose;

    macro_rules! purposes {
        ($($(#[$doc:meta])+ $name:ident),+ $(,)?) => {$(
            $(#[$doc])+
            #[derive(Debug)]
            pub enum $name {}

            impl Purpose for $name {
                const NAME: &'static str = stringify!($name);
            }
        )+};
    }

    purposes! {
        /// Seals records in one direction of a session.
        TrafficKey,
        /// Authenticates one side's identity during login.
        MacKey,
        /// Seals broadcasts to all members of one epoch.
        GroupKey,
        /// Wraps group keys for one member.
        WrapKey,
        /// Proves the earlier session when it is resumed.
        ResumeKey,
        /// Confirms that the other side derived the same keys.
        ConfirmKey,
        /// What a key exchange gives, before any derivation.
        SharedSecret,
        /// Makes the key pair of a key encapsulation.
        KemSeed,
        /// What the pairing code's PAKE gives, before any derivation.
        PakeKey,
        /// A patient's private ElGamal exponent.
        ElGamalKey,
        /// An Ed25519 seed.
        Ed25519Key,
        /// Encrypts the database at rest.
        DatabaseKey,
        /// Encrypts a wearable's configuration at rest; its board keeps it.
        StorageKey,
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn debug_names_the_purpose_only() {
        assert_eq!(format!("{:?}", Secret::<purpose::GroupKey>::new([7; 32])), "Secret<GroupKey>(..)");
    }

    #[test]
    fn equality_is_over_all_bytes() {
        let secret = Secret::<purpose::MacKey, 4>::new([1, 2, 3, 4]);
        assert_eq!(secret, secret.duplicate());
        assert_ne!(secret, Secret::new([1, 2, 3, 5]));
    }
}
