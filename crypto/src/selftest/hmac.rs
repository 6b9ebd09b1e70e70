//! HMAC-SHA256 below the framing: the tag, and its comparison.

use hmac::Mac;

use super::case::{Case, Outcome, Verdict, Wrong, ensure};
use crate::mac;

pub(super) fn wycheproof(case: &Case) -> Result<Outcome, Wrong> {
    if case.number("tagSize")? != 256 {
        return Ok(Outcome::Skipped("truncated tag"));
    }
    judge(case, ["key", "msg", "tag"], case.verdict()? == Verdict::Valid)
}

pub(super) fn rfc_4231(case: &Case) -> Result<Outcome, Wrong> {
    judge(case, ["Key", "Msg", "MD"], true)
}

fn judge(case: &Case, [key, message, tag]: [&str; 3], valid: bool) -> Result<Outcome, Wrong> {
    let (message, tag) = (case.bytes(message)?, case.bytes(tag)?);
    let mac = mac::bare(&case.bytes(key)?).chain_update(&message);
    ensure((mac.clone().finalize().into_bytes().as_slice() == tag) == valid, "another tag")?;
    ensure(mac.verify_slice(&tag).is_ok() == valid, "another verdict on the tag")?;
    Ok(Outcome::Right)
}
