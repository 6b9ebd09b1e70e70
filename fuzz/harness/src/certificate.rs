//! The gateway's TLS certificate as a patient's client reads it, in a whole TLS handshake in memory.

use std::sync::{Arc, LazyLock};

use patient::trust::{Secured, Trust, client_config};
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use rustls::{
    ClientConnection, ServerConfig, ServerConnection,
    crypto::aws_lc_rs::{default_provider, sign::any_supported_type},
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::TLS13,
};

/// An Ed25519 key in PKCS #8 (RFC 8410) up to its 32-byte seed.
const PKCS8_HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::try_from(pkcs8()).unwrap());
static CERTIFICATE: LazyLock<CertificateDer<'static>> = LazyLock::new(|| {
    let params = CertificateParams::new(vec!["vitalward.invalid".into()]).unwrap();
    params.self_signed(&*KEY).unwrap().der().clone()
});
static PINNED: LazyLock<[u8; 32]> =
    LazyLock::new(|| handshake(Trust::Anyone, genuine()).expect("a genuine certificate").spki);

fn pkcs8() -> Vec<u8> {
    [&PKCS8_HEAD[..], &[23; 32]].concat()
}

/// The certificate that the client pinned.
pub(crate) fn genuine() -> &'static [u8] {
    &CERTIFICATE
}

/// Whatever certificate a server shows that holds the pinned key: the client believes it only if the pinned key is in it.
pub(crate) fn certificate(bytes: &[u8]) {
    let secured = handshake(Trust::Pinned(*PINNED), bytes);
    assert!(secured.is_some() || bytes != genuine(), "the genuine certificate was refused");
    if let Some(secured) = secured {
        assert_eq!(secured.spki, *PINNED);
        let spki = KEY.subject_public_key_info();
        assert!(bytes.windows(spki.len()).any(|window| window == spki), "a key that was not pinned");
    }
}

/// What the client knows at the end of a handshake with a server that shows these bytes as its certificate.
fn handshake(trust: Trust, certificate: &[u8]) -> Option<Secured> {
    let mut client =
        ClientConnection::new(client_config(trust).unwrap(), ServerName::try_from("gateway").unwrap())
            .unwrap();
    let mut server = ServerConnection::new(Arc::new(server(certificate))).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let (mut there, mut back) = (Vec::new(), Vec::new());
        client.write_tls(&mut there).unwrap();
        server.read_tls(&mut &*there).unwrap();
        server.process_new_packets().ok()?;
        server.write_tls(&mut back).unwrap();
        client.read_tls(&mut &*back).unwrap();
        client.process_new_packets().ok()?;
    }
    Secured::of(&client).ok()
}

fn server(certificate: &[u8]) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shows(certificate.to_vec())));
    config.send_tls13_tickets = 0;
    config
}

/// Shows any bytes as its certificate.
#[derive(Debug)]
struct Shows(Vec<u8>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let key = any_supported_type(&PrivatePkcs8KeyDer::from(pkcs8()).into()).unwrap();
        Some(Arc::new(CertifiedKey::new(vec![CertificateDer::from(self.0.clone())], key)))
    }
}
