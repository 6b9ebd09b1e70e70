//! Times for people: local, to the second, with the day only when it is another one. Every time that a gateway sends is
//! RFC 3339 in UTC.

use jiff::{Timestamp, Zoned, tz::TimeZone};
use protocol::time::UnixMillis;

/// The time of an RFC 3339 text.
pub(super) fn parsed(text: &str) -> Option<UnixMillis> {
    let timestamp: Timestamp = text.parse().ok()?;
    u64::try_from(timestamp.as_millisecond()).ok().map(UnixMillis)
}

/// `14:03:22`.
pub(super) fn clock(time: UnixMillis) -> String {
    local(time).map_or_else(|| "--:--:--".into(), |local| local.strftime("%H:%M:%S").to_string())
}

/// `14:03`, or `20 Nov` if that is not today.
pub(super) fn shortly(text: &str, now: UnixMillis) -> String {
    match (parsed(text).and_then(local), local(now)) {
        (Some(then), Some(today)) if then.date() == today.date() => then.strftime("%H:%M").to_string(),
        (Some(then), _) => then.strftime("%-d %b").to_string(),
        _ => text.to_owned(),
    }
}

/// `14:03:22`, or `20 Nov 14:03` if that is not today.
pub(super) fn moment(time: UnixMillis, now: UnixMillis) -> String {
    match (local(time), local(now)) {
        (Some(then), Some(today)) if then.date() != today.date() => then.strftime("%-d %b %H:%M").to_string(),
        _ => clock(time),
    }
}

/// Like [`moment`], for a text; what is no time stays as it is.
pub(super) fn moment_of(text: &str, now: UnixMillis) -> String {
    parsed(text).map_or_else(|| text.to_owned(), |time| moment(time, now))
}

/// A sentence with its times made local.
pub(super) fn localised(sentence: &str, now: UnixMillis) -> String {
    let word = |word: &str| {
        let bare = word.trim_end_matches([',', ')', '.', ';']);
        let tail = word.strip_prefix(bare).unwrap_or_default();
        match parsed(bare) {
            Some(time) => format!("{}{tail}", moment(time, now)),
            None => word.to_owned(),
        }
    };
    sentence.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn local(time: UnixMillis) -> Option<Zoned> {
    let timestamp = Timestamp::from_millisecond(i64::try_from(time.0).ok()?).ok()?;
    Some(timestamp.to_zoned(TimeZone::system()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_sentences_become_local_and_short() {
        let now = parsed("2026-11-21T12:00:00Z").unwrap();
        let said = localised("not connected since 2026-11-21T11:59:01.123Z, alas", now);
        assert_eq!(said, format!("not connected since {}, alas", clock(UnixMillis(now.0 - 58_877))));
        assert_eq!(localised("connected, no receipt yet", now), "connected, no receipt yet");
        let earlier = moment_of("2026-11-01T12:00:00Z", now);
        assert!(earlier.starts_with("1 Nov "), "{earlier}");
        assert_eq!(moment_of("unknown", now), "unknown");
    }
}
