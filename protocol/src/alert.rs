//! Alerts and receipts. The gateway signs an alert's content once; whoever carries it, in whatever envelope, a
//! patient believes only the signature. A receipt is the patient's signature that it was opened, or read.

use alloc::{string::String, vec::Vec};
use core::fmt;

use crypto::{
    identity::{Signature, SigningKey, VerifyingKey},
    sha256,
};
use serde::{Deserialize, Serialize};

use crate::{
    codec,
    error::{Fault, Malformed},
    id::{AlertId, KeyId, PatientId},
    time::UnixMillis,
};

/// Longest text of an alert, in bytes of UTF-8.
pub const MAX_ALERT_TEXT: usize = 4096;

/// How urgent an alert is (IEC 60601-1-8 priorities).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Priority {
    /// Awareness.
    Low,
    /// Prompt response.
    Medium,
    /// Immediate response.
    High,
}

/// Whom an alert is for. The list of a selection is not part of it: patients do not learn of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Audience {
    /// Every enrolled patient; travels under the group key.
    Ward,
    /// Chosen patients; travels only in each one's own session, and is refused under the group key.
    Selected,
}

/// What an alert says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    id: AlertId,
    sequence: u64,
    created: UnixMillis,
    expires: UnixMillis,
    priority: Priority,
    audience: Audience,
    cancels: Option<AlertId>,
    text: String,
}

/// The parts of a new alert.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its id.
    pub id: AlertId,
    /// Grows by one with each alert of this gateway; shows gaps.
    pub sequence: u64,
    /// When it was raised.
    pub created: UnixMillis,
    /// When it ceases to matter; it is not delivered afterwards.
    pub expires: UnixMillis,
    /// How urgent it is.
    pub priority: Priority,
    /// Whom it is for.
    pub audience: Audience,
    /// The alert that this one calls off.
    pub cancels: Option<AlertId>,
    /// What people read; 1 to [`MAX_ALERT_TEXT`] bytes.
    pub text: String,
}

/// An alert whose signature this process made or checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    content: Content,
    signature: [u8; 64],
}

impl Draft {
    /// Signs the alert as the gateway whose key this is.
    ///
    /// # Errors
    /// [`Fault::PeerLimit`] if the text is empty or too long.
    pub fn sign(self, key: &SigningKey) -> Result<Alert, Fault> {
        let Self { id, sequence, created, expires, priority, audience, cancels, text } = self;
        let content = Content { id, sequence, created, expires, priority, audience, cancels, text };
        content.check()?;
        let gateway = key_id(&key.verifying_key());
        let signature = key.sign("alert", &content.signed_parts(&gateway).as_slices()).to_bytes();
        Ok(Alert { content, signature })
    }
}

impl Alert {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> AlertId {
        self.content.id
    }

    /// Its number among the gateway's alerts.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.content.sequence
    }

    /// When it was raised.
    #[must_use]
    pub const fn created(&self) -> UnixMillis {
        self.content.created
    }

    /// When it ceases to matter.
    #[must_use]
    pub const fn expires(&self) -> UnixMillis {
        self.content.expires
    }

    /// How urgent it is.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        self.content.priority
    }

    /// Whom it is for.
    #[must_use]
    pub const fn audience(&self) -> Audience {
        self.content.audience
    }

    /// The alert that this one calls off.
    #[must_use]
    pub const fn cancels(&self) -> Option<AlertId> {
        self.content.cancels
    }

    /// What people read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.content.text
    }

    /// Hash of the content, which receipts name.
    #[must_use]
    pub fn content_hash(&self) -> [u8; 32] {
        sha256("alert content", &[&codec::encode(&self.content)])
    }

    /// Content and signature as bytes, for an envelope or a store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = codec::encode(&self.content);
        bytes.extend_from_slice(&self.signature);
        bytes
    }
}

impl Content {
    fn check(&self) -> Result<(), Fault> {
        if self.text.is_empty() || self.text.len() > MAX_ALERT_TEXT {
            return Err(Fault::PeerLimit("an alert's text has 1 to 4096 bytes"));
        }
        Ok(())
    }

    fn signed_parts(&self, gateway: &KeyId) -> SignedParts {
        SignedParts {
            fixed: codec::encode(&(
                gateway,
                self.audience,
                self.id,
                self.sequence,
                self.created,
                self.expires,
                self.priority,
                self.cancels,
            )),
            text_hash: sha256("alert text", &[self.text.as_bytes()]),
        }
    }
}

struct SignedParts {
    fixed: Vec<u8>,
    text_hash: [u8; 32],
}

impl SignedParts {
    fn as_slices(&self) -> [&[u8]; 2] {
        [&self.fixed, &self.text_hash]
    }
}

/// An alert as it came, signature unchecked. It cannot be shown as one:
/// ```compile_fail,E0308
/// use vitalward_protocol::alert::{Alert, UnverifiedAlert};
/// fn show(alert: &Alert) {}
/// show(&UnverifiedAlert::decode(&[]).unwrap());
/// ```
#[derive(Debug)]
pub struct UnverifiedAlert {
    content: Content,
    signature: [u8; 64],
}

impl UnverifiedAlert {
    /// Reads what [`Alert::encode`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] if it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (content, rest) = codec::decode_prefix(bytes)?;
        Ok(Self { content, signature: rest.try_into().map_err(|_| Malformed)? })
    }

    /// The alert, if the gateway of this key signed it.
    ///
    /// # Errors
    /// [`Fault::DeniedProof`] if it did not; [`Fault::PeerLimit`] for an empty or overlong text.
    pub fn verify(self, gateway: &VerifyingKey) -> Result<Alert, Fault> {
        self.content.check()?;
        let parts = self.content.signed_parts(&key_id(gateway));
        Signature::from_bytes(&self.signature)
            .and_then(|signature| gateway.verify("alert", &parts.as_slices(), &signature))
            .map_err(|_| Fault::DeniedProof)?;
        Ok(Alert { content: self.content, signature: self.signature })
    }
}

/// How far an alert has come with a patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// The patient's device opened it and shows it.
    Decrypted,
    /// The patient confirmed having read it.
    Acknowledged,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Decrypted => "decrypted",
            Self::Acknowledged => "acknowledged",
        })
    }
}

/// A receipt whose signature this process made or checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    claim: Claim,
    signature: [u8; 64],
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    alert: AlertId,
    content_hash: [u8; 32],
    stage: Stage,
    time: UnixMillis,
}

impl Claim {
    fn signed_bytes(&self, gateway: &VerifyingKey, patient: &PatientId) -> Vec<u8> {
        codec::encode(&(key_id(gateway), patient, self))
    }
}

impl Receipt {
    /// Signs that `patient` has brought `alert` of this gateway to `stage`.
    #[must_use]
    pub fn sign(
        alert: &Alert,
        stage: Stage,
        time: UnixMillis,
        patient: &PatientId,
        gateway: &VerifyingKey,
        key: &SigningKey,
    ) -> Self {
        let claim = Claim { alert: alert.id(), content_hash: alert.content_hash(), stage, time };
        let signature = key.sign("receipt", &[&claim.signed_bytes(gateway, patient)]).to_bytes();
        Self { claim, signature }
    }

    /// The alert it is about.
    #[must_use]
    pub const fn alert(&self) -> AlertId {
        self.claim.alert
    }

    /// Hash of the content that was opened.
    #[must_use]
    pub const fn content_hash(&self) -> [u8; 32] {
        self.claim.content_hash
    }

    /// How far the alert has come.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.claim.stage
    }

    /// When, on the patient's clock.
    #[must_use]
    pub const fn time(&self) -> UnixMillis {
        self.claim.time
    }

    /// The receipt as its opcode's body; also what the store keeps as proof.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = codec::encode(&self.claim);
        bytes.extend_from_slice(&self.signature);
        bytes
    }
}

/// A receipt as it came, signature unchecked. It cannot be stored as one:
/// ```compile_fail,E0308
/// use vitalward_protocol::alert::{Receipt, UnverifiedReceipt};
/// fn store(receipt: &Receipt) {}
/// store(&UnverifiedReceipt::decode(&[]).unwrap());
/// ```
#[derive(Debug)]
pub struct UnverifiedReceipt {
    claim: Claim,
    signature: [u8; 64],
}

impl UnverifiedReceipt {
    /// Reads what [`Receipt::encode`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] if it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (claim, rest) = codec::decode_prefix(bytes)?;
        Ok(Self { claim, signature: rest.try_into().map_err(|_| Malformed)? })
    }

    /// The receipt, if `patient` signed it for this gateway with the key enrolled.
    ///
    /// # Errors
    /// [`Fault::DeniedProof`] if not.
    pub fn verify(
        self,
        patient: &PatientId,
        receipt_key: &VerifyingKey,
        gateway: &VerifyingKey,
    ) -> Result<Receipt, Fault> {
        Signature::from_bytes(&self.signature)
            .and_then(|s| receipt_key.verify("receipt", &[&self.claim.signed_bytes(gateway, patient)], &s))
            .map_err(|_| Fault::DeniedProof)?;
        Ok(Receipt { claim: self.claim, signature: self.signature })
    }
}

/// The fingerprint of an Ed25519 key.
#[must_use]
pub fn key_id(key: &VerifyingKey) -> KeyId {
    crate::credential::key_id_of("ed25519", &key.to_bytes())
}
