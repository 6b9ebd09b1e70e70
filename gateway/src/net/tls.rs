//! The patients' port speaks TLS 1.3 only, with the hybrid post-quantum group preferred, a self-signed certificate that
//! patients pin, and neither tickets nor early data: a session must not outlive a revocation.

use std::sync::Arc;

use anyhow::Context;
use crypto::{Secret, purpose};
use protocol::{
    credential::{ClientKind, GatewayIdentity, LoginKey},
    handshake::Channel,
    id::{DoctorId, GatewayId},
};
use rand_core::Rng;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, PublicKeyData};
use rustls::{
    NamedGroup, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    server::NoServerSessionStorage,
    version::TLS13,
};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

use crate::store::identity::StoredIdentity;

/// Makes all keys of a new gateway.
///
/// # Errors
/// If the certificate cannot be made.
pub fn new_identity(doctor: &DoctorId) -> anyhow::Result<StoredIdentity> {
    let mut rng = host::entropy::system_rng();
    let key = KeyPair::generate_for(&PKCS_ED25519).context("cannot make the TLS key")?;
    let mut params = CertificateParams::new(vec!["vitalward.invalid".into()])?;
    params.distinguished_name.push(rcgen::DnType::CommonName, format!("Vitalward gateway {doctor}"));
    let certificate = params.self_signed(&key).context("cannot make the TLS certificate")?;
    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    let keys = GatewayIdentity {
        gateway: GatewayId::from_random(id),
        doctor: doctor.clone(),
        patient_login: LoginKey::generate(ClientKind::Patient, &mut rng)?,
        wearable_login: LoginKey::generate(ClientKind::Wearable, &mut rng)?,
        alerts: crypto::identity::SigningKey::from_secret(&Secret::<purpose::Ed25519Key>::generate(&mut rng)),
        tls_spki: Sha256::digest(key.subject_public_key_info()).into(),
    };
    Ok(StoredIdentity {
        keys,
        tls_certificate: certificate.der().to_vec(),
        tls_key: Zeroizing::new(key.serialize_der()),
    })
}

/// The server's configuration. With `require_post_quantum`, clients without X25519MLKEM768 are refused.
///
/// # Errors
/// If the stored certificate and key do not fit.
pub fn server_config(
    identity: &StoredIdentity,
    require_post_quantum: bool,
) -> anyhow::Result<Arc<ServerConfig>> {
    let mut provider = aws_lc_rs::default_provider();
    if require_post_quantum {
        provider.kx_groups.retain(|group| group.name() == NamedGroup::X25519MLKEM768);
    }
    let certificate = CertificateDer::from(identity.tls_certificate.clone());
    let key = PrivatePkcs8KeyDer::from(identity.tls_key.to_vec());
    let mut config = ServerConfig::builder_with_provider(Arc::<CryptoProvider>::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .context("the stored TLS certificate and key do not fit")?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// The channel of a TLS session, and whether its recorded traffic stays closed to a later quantum computer.
///
/// # Errors
/// If the session has no keys to export.
pub fn channel<S: AsyncRead + AsyncWrite>(stream: &TlsStream<S>) -> Result<(Channel, bool), rustls::Error> {
    let (_, session) = stream.get_ref();
    let exporter = session.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None)?;
    let group = session.negotiated_key_exchange_group().map(|group| group.name());
    Ok((Channel::Tls { exporter }, group == Some(NamedGroup::X25519MLKEM768)))
}
