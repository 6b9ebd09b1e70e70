//! Open invitations to pair. A guess at an offer's code is spent here, and committed, before the gateway answers it;
//! an offer serves one client once. It does not draw codes or run the PAKE.

use protocol::{
    credential::ClientKind,
    id::{ClientId, PatientId},
    pairing::{
        code::{PairingCode, Password, Selector},
        network::NetworkCredentials,
    },
    time::UnixMillis,
};
use rusqlite::{Row, params, types::FromSqlError};

use super::{
    column::{Millis, Text, kind, text, time},
    error::StoreError,
    ledger::{Ledger, View},
};

/// An offer to pair one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What a person carries to the client. Its selector tells open offers apart.
    pub code: PairingCode,
    /// The kind of client that it is for.
    pub kind: ClientKind,
    /// The patient, or the one who will wear the device.
    pub patient: PatientId,
    /// Whether it may take the place of the patient's active client.
    pub replaces: bool,
    /// When it was made.
    pub created: UnixMillis,
    /// The first moment at which it is closed.
    pub expires: UnixMillis,
    /// Guesses that remain.
    pub tries_left: u8,
    /// The network that a wearable is given with its grant.
    pub network: Option<NetworkCredentials>,
}

impl View<'_> {
    /// The offers that can still be used, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn open_offers(&self, now: UnixMillis) -> Result<Vec<Offer>, StoreError> {
        self.all(
            "SELECT * FROM offers WHERE doctor = ?1 AND outcome IS NULL AND expires > ?2 AND tries_left > 0
             ORDER BY offer",
            params![Text(self.doctor), Millis(now)],
            offer,
        )
    }

    /// The row and the patient of the open offer under which `client` may be enrolled.
    pub(super) fn open_offer_for(
        &self,
        client: &ClientId,
        selector: Selector,
        now: UnixMillis,
    ) -> Result<(i64, PatientId), StoreError> {
        // Its last guess may have been the right one.
        let open = self.first(
            "SELECT offer, patient FROM offers
             WHERE doctor = ?1 AND selector = ?2 AND kind = ?3 AND outcome IS NULL AND expires > ?4",
            params![Text(self.doctor), Text(selector), Text(client.kind()), Millis(now)],
            |row| Ok((row.get("offer")?, text(row, "patient")?)),
        )?;
        open.filter(|(_, patient)| !matches!(client, ClientId::Patient(id) if id != patient))
            .ok_or(StoreError::NoOpenOffer)
    }
}

impl Ledger<'_> {
    /// Opens an offer. Those that have expired are closed on the way.
    ///
    /// # Errors
    /// [`StoreError::AlreadyPaired`] if the patient has an active client that the offer does not replace;
    /// [`StoreError::SelectorTaken`] if an open offer has its selector.
    pub fn create_offer(&self, offer: &Offer) -> Result<(), StoreError> {
        if offer.kind == ClientKind::Patient && !offer.replaces {
            self.refuse_if_paired(&offer.patient)?;
        }
        self.close_expired_offers(offer.created)?;
        let sql = "SELECT 1 FROM offers WHERE doctor = ?1 AND selector = ?2 AND outcome IS NULL";
        if self.exists(sql, params![Text(self.doctor), Text(offer.code.selector)])? {
            return Err(StoreError::SelectorTaken);
        }
        self.insert(
            "INSERT INTO offers
                 (doctor, selector, password, kind, patient, replaces, created, expires, tries_left, ssid, passphrase)
             VALUES (?1, ?2, CAST(?3 AS TEXT), ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                Text(self.doctor),
                Text(offer.code.selector),
                offer.code.password.expose(),
                Text(offer.kind),
                Text(&offer.patient),
                offer.replaces,
                Millis(offer.created),
                Millis(offer.expires),
                offer.tries_left,
                offer.network.as_ref().map(NetworkCredentials::ssid),
                offer.network.as_ref().map(NetworkCredentials::expose),
            ],
        )?;
        Ok(())
    }

    /// Closes the offers that have expired: their passwords and networks are forgotten, with the enrolments that hang on them.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn close_expired_offers(&self, now: UnixMillis) -> Result<(), StoreError> {
        self.execute(
            "UPDATE offers SET outcome = 'expired', closed_at = expires, password = NULL, ssid = NULL, passphrase = NULL
             WHERE outcome IS NULL AND expires <= ?1",
            [Millis(now)],
        )?;
        self.drop_orphaned_bindings()
    }

    /// Takes one guess off the open offer `selector` and gives the offer, with the guesses that then remain. `None`
    /// if none is open or no guess remains.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn spend_guess(&self, selector: Selector, now: UnixMillis) -> Result<Option<Offer>, StoreError> {
        self.first(
            "UPDATE offers SET tries_left = tries_left - 1
             WHERE doctor = ?1 AND selector = ?2 AND outcome IS NULL AND expires > ?3 AND tries_left > 0
             RETURNING *",
            params![Text(self.doctor), Text(selector), Millis(now)],
            offer,
        )
    }

    /// Closes all open offers for a patient's clients.
    pub(super) fn cancel_offers_for(&self, patient: &PatientId, now: UnixMillis) -> Result<(), StoreError> {
        self.execute(
            "UPDATE offers SET outcome = 'cancelled', closed_at = ?3, password = NULL, ssid = NULL, passphrase = NULL
             WHERE doctor = ?1 AND patient = ?2 AND outcome IS NULL",
            params![Text(self.doctor), Text(patient), Millis(now)],
        )?;
        self.drop_orphaned_bindings()
    }

    /// Closes the open offer `selector`; `false` if there is none.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn cancel_offer(&self, selector: Selector, now: UnixMillis) -> Result<bool, StoreError> {
        let cancelled = self.execute(
            "UPDATE offers SET outcome = 'cancelled', closed_at = ?3, password = NULL, ssid = NULL, passphrase = NULL
             WHERE doctor = ?1 AND selector = ?2 AND outcome IS NULL",
            params![Text(self.doctor), Text(selector), Millis(now)],
        )?;
        self.drop_orphaned_bindings()?;
        Ok(cancelled > 0)
    }

    /// Closes an offer under which a client was enrolled.
    pub(super) fn use_up_offer(&self, offer: i64, now: UnixMillis) -> Result<(), StoreError> {
        self.execute(
            "UPDATE offers SET outcome = 'used', closed_at = ?2, password = NULL, ssid = NULL, passphrase = NULL WHERE offer = ?1",
            params![offer, Millis(now)],
        )?;
        self.drop_orphaned_bindings()
    }

    fn drop_orphaned_bindings(&self) -> Result<(), StoreError> {
        self.execute(
            "DELETE FROM bindings WHERE state = 'pending'
                 AND (SELECT outcome FROM offers WHERE offers.offer = bindings.offer) IS NOT NULL",
            [],
        )?;
        Ok(())
    }
}

fn offer(row: &Row<'_>) -> rusqlite::Result<Offer> {
    let selector = Selector::from_bytes(characters(row, "selector")?).map_err(FromSqlError::other)?;
    let password = Password::from_bytes(characters(row, "password")?).map_err(FromSqlError::other)?;
    Ok(Offer {
        code: PairingCode { selector, password },
        kind: kind(row)?,
        patient: text(row, "patient")?,
        replaces: row.get("replaces")?,
        created: time(row, "created")?,
        expires: time(row, "expires")?,
        tries_left: row.get("tries_left")?,
        network: network(row)?,
    })
}

fn network(row: &Row<'_>) -> rusqlite::Result<Option<NetworkCredentials>> {
    let Some(ssid) = row.get("ssid")? else { return Ok(None) };
    let passphrase: String = row.get("passphrase")?;
    let network = NetworkCredentials::new(ssid, passphrase.into());
    network.map(Some).map_err(|error| FromSqlError::other(error).into())
}

fn characters<const N: usize>(row: &Row<'_>, column: &str) -> rusqlite::Result<[u8; N]> {
    Ok(row.get_ref(column)?.as_str()?.as_bytes().try_into().map_err(FromSqlError::other)?)
}
