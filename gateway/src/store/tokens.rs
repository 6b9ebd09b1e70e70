//! Session tokens, which let a client resume without a full login. The store knows only their hashes. Used means
//! deleted, so a token works once, also across restarts. It does not check the proof of a resumption.

use crypto::{Secret, purpose};
use protocol::{
    credential::Suite,
    id::{ClientId, KeyId},
    time::UnixMillis,
};
use rusqlite::params;

use super::{
    column::{Millis, Text, client_id, suite, text, time},
    error::StoreError,
    ledger::{Ledger, View},
};

/// What a token stands for.
#[derive(Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Whose it is.
    pub client: ClientId,
    /// The suite of its login.
    pub suite: Suite,
    /// The key of its login.
    pub key_id: KeyId,
    /// Proves the earlier session.
    pub psk: Secret<purpose::ResumeKey>,
    /// The first moment at which it is worth nothing.
    pub expires: UnixMillis,
}

impl View<'_> {
    /// What the token of this hash stands for; `None` if it is unknown, used or expired.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn token(&self, hash: &[u8; 32], now: UnixMillis) -> Result<Option<TokenRecord>, StoreError> {
        self.first(
            "SELECT * FROM tokens WHERE hash = ?1 AND doctor = ?2 AND expires > ?3",
            params![hash, Text(self.doctor), Millis(now)],
            |row| {
                Ok(TokenRecord {
                    client: client_id(row)?,
                    suite: suite(row.get("suite")?)?,
                    key_id: text(row, "key_id")?,
                    psk: Secret::new(row.get("psk")?),
                    expires: time(row, "expires")?,
                })
            },
        )
    }
}

impl Ledger<'_> {
    /// Keeps a token; those that have expired are deleted on the way.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the hash is taken.
    pub fn save_token(
        &self,
        hash: &[u8; 32],
        token: &TokenRecord,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.execute("DELETE FROM tokens WHERE expires <= ?1", [Millis(now)])?;
        self.execute(
            "INSERT INTO tokens VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                hash,
                Text(self.doctor),
                Text(token.client.kind()),
                Text(&token.client),
                token.suite.number(),
                Text(token.key_id),
                token.psk.expose(),
                Millis(token.expires),
            ],
        )?;
        Ok(())
    }

    /// Uses the token up. True once at most, and only if it has not expired and its client is active with the key
    /// of its login.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn consume_token(&self, hash: &[u8; 32], now: UnixMillis) -> Result<bool, StoreError> {
        let token = self.token(hash, now)?;
        self.execute("DELETE FROM tokens WHERE hash = ?1 AND doctor = ?2", params![hash, Text(self.doctor)])?;
        let Some(TokenRecord { client, key_id, .. }) = token else {
            return Ok(false);
        };
        self.exists(
            "SELECT 1 FROM bindings
             WHERE doctor = ?1 AND kind = ?2 AND client = ?3 AND state = 'active' AND key_id = ?4",
            params![Text(self.doctor), Text(client.kind()), Text(&client), Text(key_id)],
        )
    }

    /// Deletes all tokens of a client.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub fn delete_tokens(&self, client: &ClientId) -> Result<(), StoreError> {
        self.execute(
            "DELETE FROM tokens WHERE doctor = ?1 AND kind = ?2 AND client = ?3",
            params![Text(self.doctor), Text(client.kind()), Text(client)],
        )?;
        Ok(())
    }
}
