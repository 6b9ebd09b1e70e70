//! Who may log in. A binding (client, key, patient) is made pending by a pairing and becomes active with the first
//! full login under the new key; only then the older one is replaced. It does not judge a login.

use crypto::identity::VerifyingKey;
use protocol::{
    credential::{LoginVerifyingKey, PinnedClient, Suite},
    id::{ClientId, KeyId, PatientId, WearableName},
    pairing::code::Selector,
    time::UnixMillis,
};
use rusqlite::{Row, params};

use super::{
    column::{Millis, Text, client_id, damaged, optional_time, suite, text, time},
    error::StoreError,
    ledger::{Ledger, View},
};

/// Where a binding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Paired, but not logged in yet with the new key.
    Pending,
    /// May log in.
    Active,
    /// Taken back by a person.
    Revoked(UnixMillis),
}

/// A client and what the gateway knows of it. Its keys stay bytes until [`Self::pinned`] is called: checking an ElGamal
/// key costs an exponentiation, which lists and the store's threads must not pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledClient {
    /// Who it is.
    pub id: ClientId,
    /// The fingerprint of its login key.
    pub key_id: KeyId,
    login_key: Vec<u8>,
    receipt_key: Option<[u8; 32]>,
    /// The name that a person gave to a wearable.
    pub name: Option<WearableName>,
    /// The patient: itself, or the one who wears it.
    pub patient: PatientId,
    /// When it became active; for a pending one, when it was paired.
    pub paired_at: UnixMillis,
    /// When it was last connected.
    pub last_seen: Option<UnixMillis>,
    /// The suite of its last session.
    pub suite: Option<Suite>,
    /// Whether it may log in.
    pub standing: Standing,
}

impl EnrolledClient {
    /// Its id and keys, checked.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if a key is none.
    pub fn pinned(&self) -> Result<PinnedClient, StoreError> {
        let login = LoginVerifyingKey::from_bytes(self.id.kind(), &self.login_key).map_err(damaged)?;
        Ok(PinnedClient { id: self.id.clone(), login, receipts: self.receipt_key()? })
    }

    /// The key that verifies its receipts; wearables have none.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is no key.
    pub fn receipt_key(&self) -> Result<Option<VerifyingKey>, StoreError> {
        self.receipt_key.map(|key| VerifyingKey::from_bytes(&key)).transpose().map_err(damaged)
    }
}

impl View<'_> {
    /// The binding of a client that may log in.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn client(&self, id: &ClientId) -> Result<Option<EnrolledClient>, StoreError> {
        self.client_in("active", id)
    }

    /// The binding of a client that waits for its first login. The active one, if any, stands until then.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn pending_client(&self, id: &ClientId) -> Result<Option<EnrolledClient>, StoreError> {
        self.client_in("pending", id)
    }

    /// All clients: patients first, by id; pending, active and revoked ones.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn clients(&self) -> Result<Vec<EnrolledClient>, StoreError> {
        self.all(
            "SELECT * FROM bindings WHERE doctor = ?1 AND state <> 'replaced' ORDER BY kind, client, binding",
            [Text(self.doctor)],
            enrolled_client,
        )
    }

    fn client_in(&self, state: &str, id: &ClientId) -> Result<Option<EnrolledClient>, StoreError> {
        self.first(
            "SELECT * FROM bindings WHERE doctor = ?1 AND kind = ?2 AND client = ?3 AND state = ?4",
            params![Text(self.doctor), Text(id.kind()), Text(id), state],
            enrolled_client,
        )
    }

    /// Refuses if a patient has an active client.
    pub(super) fn refuse_if_paired(&self, patient: &PatientId) -> Result<(), StoreError> {
        match self.client(&ClientId::Patient(patient.clone()))? {
            Some(EnrolledClient { paired_at, last_seen, .. }) => {
                Err(StoreError::AlreadyPaired { since: paired_at, last_seen })
            }
            None => Ok(()),
        }
    }
}

impl Ledger<'_> {
    /// Pins a client that proved to know the code of the open offer `selector`, until its first login. An earlier
    /// pending binding of the same client gives way.
    ///
    /// # Errors
    /// [`StoreError::NoOpenOffer`] if none is open, or it is for another kind of client or patient.
    pub fn enrol_pending(
        &self,
        client: &PinnedClient,
        name: Option<&WearableName>,
        selector: Selector,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let (offer_row, patient) = self.open_offer_for(&client.id, selector, now)?;
        let id = params![Text(self.doctor), Text(client.id.kind()), Text(&client.id)];
        self.execute(
            "DELETE FROM bindings WHERE doctor = ?1 AND kind = ?2 AND client = ?3 AND state = 'pending'",
            id,
        )?;
        self.insert(
            "INSERT INTO bindings
                 (doctor, kind, client, state, key_id, login_key, receipt_key, name, patient, offer, paired_at)
             VALUES (?1, ?2, ?3, 'pending', ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                Text(self.doctor),
                Text(client.id.kind()),
                Text(&client.id),
                Text(client.login.key_id()),
                client.login.to_bytes(),
                client.receipts.as_ref().map(VerifyingKey::to_bytes),
                name.map(Text),
                Text(patient),
                offer_row,
                Millis(now),
            ],
        )?;
        Ok(())
    }

    /// Makes the pending binding of this client and key the active one: the older one is replaced, its tokens are
    /// deleted, the offer is used up.
    ///
    /// # Errors
    /// [`StoreError::NotPending`] if it is not pending, or its offer was used, cancelled or has expired;
    /// [`StoreError::AlreadyPaired`] if the patient was paired meanwhile and the offer does not replace.
    pub fn confirm_enrolment(&self, id: &ClientId, key: KeyId, now: UnixMillis) -> Result<(), StoreError> {
        let pending = self.first(
            "SELECT binding, offer, replaces FROM bindings JOIN offers USING (offer)
             WHERE bindings.doctor = ?1 AND bindings.kind = ?2 AND client = ?3 AND state = 'pending' AND key_id = ?4
               AND outcome IS NULL AND expires > ?5",
            params![Text(self.doctor), Text(id.kind()), Text(id), Text(key), Millis(now)],
            |row| Ok((row.get::<_, i64>("binding")?, row.get::<_, i64>("offer")?, row.get("replaces")?)),
        )?;
        let (binding, offer, replaces) = pending.ok_or(StoreError::NotPending)?;
        if let (ClientId::Patient(patient), false) = (id, replaces) {
            self.refuse_if_paired(patient)?;
        }
        self.execute(
            "UPDATE bindings SET state = 'replaced', ended_at = coalesce(ended_at, ?4)
             WHERE doctor = ?1 AND kind = ?2 AND client = ?3 AND state IN ('active', 'revoked')",
            params![Text(self.doctor), Text(id.kind()), Text(id), Millis(now)],
        )?;
        self.execute(
            "UPDATE bindings SET state = 'active', paired_at = ?2, last_seen = ?2 WHERE binding = ?1",
            params![binding, Millis(now)],
        )?;
        self.delete_tokens(id)?;
        self.use_up_offer(offer, now)
    }

    /// Takes back a client's right to log in, with its tokens, any pending binding, and, for a patient, the open offers:
    /// a code that is still in somebody's hand must not bring it back.
    ///
    /// # Errors
    /// [`StoreError::UnknownClient`] if it has none.
    pub fn revoke(&self, id: &ClientId, now: UnixMillis) -> Result<(), StoreError> {
        let client = params![Text(self.doctor), Text(id.kind()), Text(id)];
        let pending = self.execute(
            "DELETE FROM bindings WHERE doctor = ?1 AND kind = ?2 AND client = ?3 AND state = 'pending'",
            client,
        )?;
        let active = self.execute(
            "UPDATE bindings SET state = 'revoked', ended_at = ?4
             WHERE doctor = ?1 AND kind = ?2 AND client = ?3 AND state = 'active'",
            params![Text(self.doctor), Text(id.kind()), Text(id), Millis(now)],
        )?;
        self.delete_tokens(id)?;
        if let ClientId::Patient(patient) = id {
            self.cancel_offers_for(patient, now)?;
        }
        if pending + active == 0 { Err(StoreError::UnknownClient) } else { Ok(()) }
    }

    /// Notes that a client is connected now; `suite` at the beginning of a session.
    ///
    /// # Errors
    /// [`StoreError::UnknownClient`] if it is not active.
    pub fn seen(&self, id: &ClientId, suite: Option<Suite>, now: UnixMillis) -> Result<(), StoreError> {
        let noted = self.execute(
            "UPDATE bindings SET last_seen = ?4, suite = coalesce(?5, suite)
             WHERE doctor = ?1 AND kind = ?2 AND client = ?3 AND state = 'active'",
            params![Text(self.doctor), Text(id.kind()), Text(id), Millis(now), suite.map(Suite::number)],
        )?;
        if noted == 0 { Err(StoreError::UnknownClient) } else { Ok(()) }
    }
}

fn enrolled_client(row: &Row<'_>) -> rusqlite::Result<EnrolledClient> {
    Ok(EnrolledClient {
        id: client_id(row)?,
        key_id: text(row, "key_id")?,
        login_key: row.get("login_key")?,
        receipt_key: row.get("receipt_key")?,
        name: row.get::<_, Option<Text<_>>>("name")?.map(|name| name.0),
        patient: text(row, "patient")?,
        paired_at: time(row, "paired_at")?,
        last_seen: optional_time(row, "last_seen")?,
        suite: row.get::<_, Option<_>>("suite")?.map(suite).transpose()?,
        standing: match row.get_ref("state")?.as_str()? {
            "pending" => Standing::Pending,
            "active" => Standing::Active,
            _ => Standing::Revoked(time(row, "ended_at")?),
        },
    })
}
