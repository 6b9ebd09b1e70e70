//! Ciphers by message size: what the product uses, its reference, and what the old protocols used.

#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up has nothing to measure")]

use std::hint::black_box;

use aes_gcm::{Aes256Gcm, aead::Aead};
use ascon_aead::AsconAead128;
use benches::{
    cpu_time::{CpuTime, criterion},
    reference::Gcm,
};
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit, block_padding::Pkcs7};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crypto::{AeadKey, Secret, purpose::TrafficKey};

const SIZES: [usize; 4] = [64, 256, 1024, 16 * 1024];
const KEY: [u8; 32] = [1; 32];
const NONCE: [u8; 12] = [2; 12];

type Work = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// One way to seal and to open.
struct Cipher {
    by: &'static str,
    seal: Work,
    open: Work,
}

impl Cipher {
    fn new(
        by: &'static str,
        seal: impl Fn(&[u8]) -> Vec<u8> + 'static,
        open: impl Fn(&[u8]) -> Vec<u8> + 'static,
    ) -> Self {
        Self { by, seal: Box::new(seal), open: Box::new(open) }
    }

    fn bench(&self, c: &mut Criterion<CpuTime>, [seal, open]: [&str; 2]) {
        for size in SIZES {
            let plaintext = vec![7; size];
            let ciphertext = (self.seal)(&plaintext);
            assert_eq!((self.open)(&ciphertext), plaintext);
            for (operation, work, input) in [(seal, &self.seal, plaintext), (open, &self.open, ciphertext)] {
                let mut group = c.benchmark_group(operation);
                group.throughput(Throughput::Bytes(u64::try_from(size).unwrap()));
                group.bench_function(BenchmarkId::new(self.by, size), |b| b.iter(|| work(black_box(&input))));
            }
        }
    }
}

fn aes_256_gcm(c: &mut Criterion<CpuTime>) {
    let key = || AeadKey::new(&Secret::<TrafficKey>::new(KEY));
    let [ours, ours_too] = [key(), key()];
    let [theirs, theirs_too] = [Gcm::new(&KEY), Gcm::new(&KEY)];
    let [portable, portable_too] = [(); 2].map(|()| Aes256Gcm::new(&KEY.into()));
    for cipher in [
        Cipher::new(
            "ours",
            move |plaintext| ours.seal(&NONCE, b"", plaintext).unwrap(),
            move |ciphertext| ours_too.open(&NONCE, b"", ciphertext).unwrap(),
        ),
        Cipher::new(
            "aws-lc-rs",
            move |plaintext| theirs.seal(&NONCE, b"", plaintext),
            move |ciphertext| theirs_too.open(&NONCE, b"", ciphertext),
        ),
        Cipher::new(
            "aes-gcm",
            move |plaintext| portable.encrypt(&NONCE.into(), plaintext).unwrap(),
            move |ciphertext| portable_too.decrypt(&NONCE.into(), ciphertext).unwrap(),
        ),
    ] {
        cipher.bench(c, ["AES-256-GCM seal", "AES-256-GCM open"]);
    }
}

fn ascon_aead128(c: &mut Criterion<CpuTime>) {
    let [seal, open] = [(); 2].map(|()| AsconAead128::new(&[1; 16].into()));
    Cipher::new(
        "ascon-aead",
        move |plaintext| seal.encrypt(&[2; 16].into(), plaintext).unwrap(),
        move |ciphertext| open.decrypt(&[2; 16].into(), ciphertext).unwrap(),
    )
    .bench(c, ["Ascon-AEAD128 seal", "Ascon-AEAD128 open"]);
}

/// As the lab protocol did it: a key schedule for each message, PKCS #7, the IV in front, no authentication.
fn aes_256_cbc(c: &mut Criterion<CpuTime>) {
    const IV: [u8; 16] = [3; 16];
    Cipher::new(
        "aes and cbc",
        |plaintext| {
            let encryptor = cbc::Encryptor::<aes::Aes256>::new(&KEY.into(), &IV.into());
            [&IV, &*encryptor.encrypt_padded_vec::<Pkcs7>(plaintext)].concat()
        },
        |ciphertext| {
            let (iv, body) = ciphertext.split_first_chunk::<16>().unwrap();
            let decryptor = cbc::Decryptor::<aes::Aes256>::new(&KEY.into(), iv.into());
            decryptor.decrypt_padded_vec::<Pkcs7>(body).unwrap()
        },
    )
    .bench(c, ["AES-256-CBC encrypt", "AES-256-CBC decrypt"]);
}

criterion_group!(name = benches; config = criterion(); targets = aes_256_gcm, ascon_aead128, aes_256_cbc);
criterion_main!(benches);
