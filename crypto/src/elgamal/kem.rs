//! The ElGamal KEM in ffdhe3072.
use crate::{
    error::InvalidShare,
    secret::{Secret, purpose::SharedSecret},
};
use rand_core::CryptoRng;
#[derive(Debug)]
pub struct Ephemeral(());
impl Ephemeral {
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        unimplemented!()
    }
    pub fn public(&self) -> [u8; 384] {
        unimplemented!()
    }
    pub fn agree(self, peer: &[u8]) -> Result<Secret<SharedSecret, 384>, InvalidShare> {
        unimplemented!()
    }
}
