//! Cutting a stream into frames: however it arrives, the same frames come out.

use arbitrary::Unstructured;
use protocol::frame::{self, Frame, FrameError, FrameReader, HEADER_LEN, MAX_BODY, MAX_BODY_BEFORE_LOGIN};

/// The stream in one piece, and in pieces whose lengths the input chooses: the same frames, the same end, and never more
/// kept than one frame and one read. Frames encode back to the bytes they were cut from.
pub fn frames(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let limit = match input.int_in_range(0..=2).unwrap_or(0) {
        0 => MAX_BODY,
        1 => MAX_BODY_BEFORE_LOGIN,
        _ => 16,
    };
    let cuts: Vec<u8> =
        (0..input.int_in_range(0..=8).unwrap_or(0)).filter_map(|_| input.arbitrary().ok()).collect();
    let stream = input.take_rest();

    let (whole, end, left) = cut(limit, [stream]);
    let again: Vec<u8> = whole.iter().flat_map(|f| frame::encode(f.opcode, &f.body)).collect();
    assert_eq!(again, stream[..again.len()], "frames are the bytes they were cut from");
    assert_eq!(again.len() + left, stream.len(), "no byte is lost or made up");
    assert!(whole.iter().all(|frame| frame.body.len() <= limit));
    assert!(end.is_some() || left < HEADER_LEN + limit, "what waits is less than a frame");

    let mut rest = stream;
    let pieces = cuts.iter().map(|length| {
        let (piece, later) = rest.split_at(usize::from(*length).min(rest.len()));
        rest = later;
        piece
    });
    let mut pieces: Vec<&[u8]> = pieces.collect();
    pieces.push(rest);
    let (cut_whole, cut_end, _) = cut(limit, pieces);
    assert_eq!((cut_whole, cut_end), (whole, end), "cut in other pieces");
}

/// The frames of a stream, the error that ended it, and the bytes left over.
fn cut<'a>(
    limit: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Frame>, Option<FrameError>, usize) {
    let mut reader = FrameReader::new(limit);
    let (mut frames, mut end) = (Vec::new(), None);
    for piece in pieces {
        reader.push(piece);
        while end.is_none() {
            match reader.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => end = Some(error),
            }
        }
    }
    (frames, end, reader.buffered())
}
