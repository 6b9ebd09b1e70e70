//! Every message codec, those inside sealed parts included.

use protocol::testkit::wire::CODECS;

use crate::fixture::select;

/// What decodes encodes to bytes that decode to the same, and to nothing else: not one byte less or more is a message.
pub fn messages(data: &[u8]) {
    let (which, bytes) = select(data);
    let (name, recode) = CODECS[usize::from(which) % CODECS.len()];
    let Some(encoded) = recode(bytes) else { return };
    assert!(encoded.len() <= bytes.len(), "{name}: what was read is never longer when it is written");
    assert_eq!(recode(&encoded).as_ref(), Some(&encoded), "{name}: decoding and encoding is the identity");
    assert_eq!(recode(&[&encoded[..], &[0]].concat()), None, "{name}: read past its end");
    if let Some((_, short)) = encoded.split_last() {
        assert_eq!(recode(short), None, "{name}: read without its last byte");
    }
}
