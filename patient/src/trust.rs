//! Which gateway the TLS connection is with. After pairing: the one whose key was pinned, and no certificate
//! authority has a say. While pairing: anyone, because the code authenticates; then only pairing is spoken. Either
//! way the server must prove to hold the certificate's private key.

use std::{fmt, sync::Arc};

use protocol::handshake::Channel;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, NamedGroup, OtherError, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    version::TLS13,
};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Label of the exported value that ties a login to its TLS session (RFC 9266).
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// Whom to accept at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Whoever answers: only pairing may be spoken.
    Anyone,
    /// The holder of the key whose SubjectPublicKeyInfo has this SHA-256.
    Pinned([u8; 32]),
}

/// The server's key is not the pinned one.
#[derive(Debug, Error)]
#[error("the server's key is not the pinned one")]
struct NotPinned;

/// TLS 1.3 towards a gateway: X25519MLKEM768 preferred, no tickets (they would outlive a revocation), no SNI.
///
/// # Errors
/// [`enum@Error`] if the provider has no TLS 1.3, which ours has.
pub fn client_config(trust: Trust) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = PinVerifier { trust, provider: Arc::clone(&provider) };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(Arc::new(config))
}

/// The name that rustls asks for; it is neither sent nor compared.
pub(crate) fn server_name() -> ServerName<'static> {
    ServerName::IpAddress(std::net::IpAddr::from([127, 0, 0, 1]).into())
}

/// Whether an error means that somebody else than the pinned gateway answered.
#[must_use]
pub fn is_stranger(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(_))
}

/// What a finished TLS handshake says about its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secured {
    /// Binds the login to this connection.
    pub channel: Channel,
    /// SHA-256 of the server's SubjectPublicKeyInfo.
    pub spki: [u8; 32],
    /// Whether recorded traffic stays closed to a later quantum computer (X25519MLKEM768 was agreed).
    pub post_quantum: bool,
}

impl Secured {
    /// Reads it off a connection whose handshake is complete.
    ///
    /// # Errors
    /// [`enum@Error`] if the handshake is not complete.
    pub fn of(connection: &rustls::ClientConnection) -> Result<Self, Error> {
        let exporter = connection.export_keying_material([0; 32], EXPORTER_LABEL, None)?;
        let certificate =
            connection.peer_certificates().and_then(<[_]>::first).ok_or(Error::NoCertificatesPresented)?;
        let group = connection.negotiated_key_exchange_group().map(|group| group.name());
        Ok(Self {
            channel: Channel::Tls { exporter },
            spki: spki_hash(certificate)?,
            post_quantum: group == Some(NamedGroup::X25519MLKEM768),
        })
    }
}

/// SHA-256 of a certificate's SubjectPublicKeyInfo.
fn spki_hash(certificate: &CertificateDer<'_>) -> Result<[u8; 32], Error> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    Ok(Sha256::digest(parsed.public_key().raw).into())
}

struct PinVerifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for PinVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinVerifier").field("trust", &self.trust).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = spki_hash(end_entity)?;
        match self.trust {
            Trust::Pinned(pinned) if pinned != found => {
                Err(CertificateError::Other(OtherError(Arc::new(NotPinned))).into())
            }
            Trust::Pinned(_) | Trust::Anyone => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
