//! How the protocol's values lie in a column: ids as text, times as integers. It knows no table.

use std::{error::Error, fmt::Display, str::FromStr};

use protocol::{
    credential::{ClientKind, Suite},
    id::ClientId,
    time::UnixMillis,
};
use rusqlite::{
    Row, ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};

use super::error::StoreError;

/// A value that is stored as it displays and parsed when it is read.
pub(super) struct Text<T>(pub(super) T);

impl<T: Display> ToSql for Text<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.to_string().into())
    }
}

impl<T: FromStr<Err: Error + Send + Sync + 'static>> FromSql for Text<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(FromSqlError::other)
    }
}

/// A time. Times beyond the year 292 million, which only a hostile peer sends, are stored as that year.
pub(super) struct Millis(pub(super) UnixMillis);

impl ToSql for Millis {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(integer(self.0.0).into())
    }
}

impl FromSql for Millis {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let millis = u64::try_from(value.as_i64()?).map_err(FromSqlError::other)?;
        Ok(Self(UnixMillis(millis)))
    }
}

/// The nearest integer that SQLite has.
pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A number of ours that is never negative.
pub(super) fn unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

/// An id or another value that is parsed out of a text column.
pub(super) fn text<T: FromStr<Err: Error + Send + Sync + 'static>>(
    row: &Row<'_>,
    column: &str,
) -> rusqlite::Result<T> {
    Ok(row.get::<_, Text<T>>(column)?.0)
}

/// A time column.
pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<UnixMillis> {
    Ok(row.get::<_, Millis>(column)?.0)
}

/// A time column that may be empty.
pub(super) fn optional_time(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<UnixMillis>> {
    Ok(row.get::<_, Option<Millis>>(column)?.map(|millis| millis.0))
}

/// A client's kind.
pub(super) fn kind(row: &Row<'_>) -> rusqlite::Result<ClientKind> {
    match row.get_ref("kind")?.as_str()? {
        "patient" => Ok(ClientKind::Patient),
        _ => Ok(ClientKind::Wearable),
    }
}

/// The suite of a number.
pub(super) fn suite(number: u8) -> rusqlite::Result<Suite> {
    Ok(Suite::from_number(number).ok_or(FromSqlError::InvalidType)?)
}

/// A client's id, of the columns `kind` and `client`.
pub(super) fn client_id(row: &Row<'_>) -> rusqlite::Result<ClientId> {
    Ok(match kind(row)? {
        ClientKind::Patient => ClientId::Patient(text(row, "client")?),
        ClientKind::Wearable => ClientId::Wearable(text(row, "client")?),
    })
}

/// The error for a stored value that its own type does not take back.
pub(super) fn damaged(what: impl Display) -> StoreError {
    StoreError::Damaged(what.to_string())
}
