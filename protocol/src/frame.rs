//! Frames on a byte stream: a length, an opcode, a body. Owns the cutting and its limits; knows no message.
//!
//! ```text
//! 0        4        5
//! +--------+--------+----------------------+
//! | length | opcode | body                 |
//! +--------+--------+----------------------+
//! length: u32, big-endian, of opcode and body together: 1 to the limit in force
//! ```

use alloc::vec::Vec;

use thiserror::Error;

use crate::opcode::Opcode;

/// Bytes of length and opcode before a body.
pub const HEADER_LEN: usize = 5;
/// Largest body before a login is complete, in bytes.
pub const MAX_BODY_BEFORE_LOGIN: usize = 4 * 1024;
/// Largest body in an established session, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub opcode: Opcode,
    /// Its content, still unread.
    pub body: Vec<u8>,
}

/// Bytes that are no frame. The stream cannot be read on after any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The length is zero: a frame has at least an opcode.
    #[error("a frame of length zero")]
    Empty,
    /// The body would be longer than is allowed now.
    #[error("a frame body of {length} bytes, {limit} are allowed here")]
    TooLong {
        /// Announced length of the body.
        length: usize,
        /// The limit in force.
        limit: usize,
    },
    /// No opcode has this number.
    #[error("unknown opcode {0}")]
    UnknownOpcode(u8),
}

/// The bytes of a frame.
#[must_use]
pub fn encode(opcode: Opcode, body: &[u8]) -> Vec<u8> {
    let mut frame = begin(opcode, body.len());
    frame.extend_from_slice(body);
    frame
}

/// The header of a frame whose body of `body_len` bytes follows.
pub(crate) fn begin(opcode: Opcode, body_len: usize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_LEN + body_len);
    frame.extend_from_slice(&length_field(body_len).to_be_bytes());
    frame.push(opcode as u8);
    frame
}

/// The length field of a frame with a body of `body_len` bytes.
pub(crate) fn length_field(body_len: usize) -> u32 {
    u32::try_from(body_len).map_or(u32::MAX, |length| length.saturating_add(1))
}

/// Cuts a stream of bytes into frames, however the bytes arrive.
#[derive(Debug)]
pub struct FrameReader {
    buffer: Vec<u8>,
    consumed: usize,
    limit: usize,
}

impl FrameReader {
    /// A reader that takes bodies of at most `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), consumed: 0, limit }
    }

    /// Changes the largest body, for frames that have not been cut yet.
    pub const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.consumed > 0 {
            self.buffer.drain(..self.consumed);
            self.consumed = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that wait to be cut.
    #[must_use]
    pub const fn buffered(&self) -> usize {
        self.buffer.len() - self.consumed
    }

    /// The next whole frame, if one has arrived.
    ///
    /// # Errors
    /// [`FrameError`] as soon as the header shows it, before the body is waited for.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let pending = self.buffer.get(self.consumed..).unwrap_or_default();
        let Some((length, rest)) = pending.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let body_len = match usize::try_from(u32::from_be_bytes(*length)) {
            Ok(length) => length.checked_sub(1).ok_or(FrameError::Empty)?,
            Err(_) => usize::MAX,
        };
        if body_len > self.limit {
            return Err(FrameError::TooLong { length: body_len, limit: self.limit });
        }
        let Some((number, rest)) = rest.split_first() else {
            return Ok(None);
        };
        let opcode = Opcode::from_number(*number).ok_or(FrameError::UnknownOpcode(*number))?;
        let Some(body) = rest.get(..body_len) else {
            return Ok(None);
        };
        let frame = Frame { opcode, body: body.to_vec() };
        self.consumed += HEADER_LEN + body_len;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(reader: &mut FrameReader) -> Vec<Frame> {
        core::iter::from_fn(|| reader.next_frame().unwrap()).collect()
    }

    #[test]
    fn a_frame_is_length_opcode_body() {
        assert_eq!(encode(Opcode::Heartbeat, &[0xaa, 0xbb]), [0, 0, 0, 3, 80, 0xaa, 0xbb]);
    }

    #[test]
    fn two_frames_in_one_read_are_two_frames() {
        let mut reader = FrameReader::new(16);
        let two = [encode(Opcode::Heartbeat, &[]), encode(Opcode::EncMsg, &[7; 9])].concat();
        reader.push(&two);
        let cut = frames(&mut reader);
        assert_eq!(cut.iter().map(|f| f.opcode).collect::<Vec<_>>(), [Opcode::Heartbeat, Opcode::EncMsg]);
        assert_eq!(reader.buffered(), 0);
    }

    #[test]
    fn a_frame_in_many_reads_is_one_frame() {
        let mut reader = FrameReader::new(16);
        let bytes = encode(Opcode::EncMsg, &[7; 16]);
        let (last, first) = bytes.split_last().unwrap();
        for byte in first {
            reader.push(&[*byte]);
            assert_eq!(reader.next_frame(), Ok(None));
        }
        reader.push(&[*last]);
        assert_eq!(frames(&mut reader).len(), 1);
    }

    #[test]
    fn hostile_headers_are_refused_before_their_bodies_arrive() {
        let refused = |bytes: &[u8]| {
            let mut reader = FrameReader::new(16);
            reader.push(bytes);
            reader.next_frame().unwrap_err()
        };
        assert_eq!(refused(&[0, 0, 0, 0]), FrameError::Empty);
        assert_eq!(refused(&[0, 0, 0, 18]), FrameError::TooLong { length: 17, limit: 16 });
        assert_eq!(refused(&[0xff; 4]), FrameError::TooLong { length: 0xffff_fffe, limit: 16 });
        assert_eq!(refused(&[0, 0, 0, 2, 99]), FrameError::UnknownOpcode(99));
    }
}
