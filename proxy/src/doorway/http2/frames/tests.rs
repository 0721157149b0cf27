use std::time::Duration;

use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits {
    bytes: 32 * 1024,
    fields: 100,
};

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
    bytes.extend_from_slice(payload);
    bytes
}

fn begun(now: Instant) -> Frames {
    let mut frames = Frames::new(LIMITS, now);
    frames.take(&[b'x'; PREFACE], now).expect("any preface");
    frames
}

#[test]
fn control_frames_are_taken_in_small_numbers() {
    let now = Instant::now();
    for (kind, at_once) in [
        (PRIORITY, 1000),
        (RST_STREAM, 200),
        (SETTINGS, 100),
        (PING, 200),
        (WINDOW_UPDATE, 1000),
        (CONTINUATION, 100),
        (0x10, 500),
    ] {
        let mut frames = begun(now);
        let one = frame(kind, 0, &[]);
        for number in 0..at_once {
            assert_eq!(frames.take(&one, now), Ok(()), "kind {kind}, number {number}");
        }
        assert_eq!(frames.take(&one, now), Err(Flood), "kind {kind}");
    }
}

/// Frames of requests that are answered, in any number: with a body that ends with its last piece or behind it, or with trailers.
#[test]
fn requests_and_bodies_cost_nothing() {
    let now = Instant::now();
    let head = frame(HEADERS, END_HEADERS, &[0x82]);
    let piece = frame(DATA, 0, &[0; 5]);
    for end in [
        frame(DATA, END_STREAM, &[0; 5]),
        frame(DATA, END_STREAM, &[]),
        [
            frame(DATA, 0, &[]),
            frame(HEADERS, END_HEADERS | END_STREAM, &[0x82]),
        ]
        .concat(),
    ] {
        let mut frames = begun(now);
        for number in 0..20_000 {
            assert_eq!(frames.take(&head, now), Ok(()), "request {number}");
            frames.requested(1);
            assert_eq!(frames.take(&piece.repeat(10), now), Ok(()));
            assert_eq!(frames.take(&end, now), Ok(()), "request {number}");
        }
        assert!(
            (0..1000 - 1).all(|_| frames.take(&frame(PRIORITY, 0, &[]), now).is_ok()),
            "all is left but for the head that came before any request"
        );
    }
    // As many at once as a connection may have.
    let mut frames = begun(now);
    for _ in 0..100 {
        assert_eq!(frames.take(&head.repeat(256), now), Ok(()));
        frames.requested(256);
        assert_eq!(
            frames.take(&frame(DATA, END_STREAM, &[]).repeat(256), now),
            Ok(())
        );
    }
}

#[test]
fn frames_of_no_request_are_taken_in_small_numbers() {
    let now = Instant::now();
    for one in [
        frame(HEADERS, END_HEADERS | END_STREAM, &[]),
        frame(HEADERS, END_HEADERS, &[0x82]),
        frame(DATA, END_STREAM, &[]),
        frame(DATA, END_STREAM, &[0; 100]),
        frame(DATA, END_STREAM | PADDED, &[0]),
        frame(DATA, 0, &[]),
    ] {
        let mut frames = begun(now);
        frames.requested(1);
        for number in 0..1003 {
            assert_eq!(frames.take(&one, now), Ok(()), "{one:?}, number {number}");
        }
        assert_eq!(frames.take(&one, now), Err(Flood), "{one:?}");
    }
}

#[test]
fn a_block_may_be_about_as_large_as_a_head() {
    let now = Instant::now();
    // One field, whose text is longer than any block.
    let mut block = vec![0x40, 0x01, b'a', 0x7F, 0x80, 0x80, 0x08];
    block.resize(100_000, b'v');
    let sent = |pieces: usize| {
        let mut frames = begun(now);
        let mut pieces = block.chunks(16_000).take(pieces);
        let mut bytes = frame(HEADERS, 0, pieces.next().expect("a piece"));
        for piece in pieces {
            bytes.extend(frame(CONTINUATION, 0, piece));
        }
        frames.take(&bytes, now)
    };
    assert_eq!(sent(4), Ok(()));
    assert_eq!(sent(5), Err(Flood));
}

#[test]
fn the_fields_of_a_block_are_counted_across_frames_and_beside_padding() {
    let now = Instant::now();
    let most = (LIMITS.fields + PSEUDO) * 2;
    let mut padded = vec![7, 0, 0, 0, 0, 0];
    padded.extend(vec![0x82; most - 1]);
    padded.extend([0x82; 7]);
    for (last, outcome) in [(1, Ok(())), (2, Err(Flood))] {
        let mut frames = begun(now);
        let all = [
            frame(HEADERS, PADDED | HAS_PRIORITY, &padded),
            frame(CONTINUATION, END_HEADERS, &vec![0x82; last]),
        ];
        assert_eq!(frames.take(&all.concat(), now), outcome);
    }
    let mut frames = begun(now);
    for _ in 0..3 {
        let whole = frame(HEADERS, END_HEADERS, &vec![0x82; most]);
        assert_eq!(frames.take(&whole, now), Ok(()), "each block has its own");
    }
}

#[test]
fn what_is_half_sent_is_known() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut frames = Frames::new(LIMITS, start);
    assert_eq!(frames.unfinished_since(), Some(start));
    frames.take(&[0; PREFACE], at(1)).expect("taken");
    assert_eq!(frames.unfinished_since(), None);
    for (bytes, second, since) in [
        (frame(HEADERS, 0, &[0x82])[..4].to_vec(), 2, Some(2)),
        (frame(HEADERS, 0, &[0x82])[4..].to_vec(), 3, Some(2)),
        (frame(CONTINUATION, 0, &[0x82]), 4, Some(2)),
        (frame(CONTINUATION, END_HEADERS, &[0x82]), 5, None),
        (frame(PING, 0, &[0; 8])[..12].to_vec(), 6, Some(6)),
        (frame(PING, 0, &[0; 8])[12..].to_vec(), 7, None),
        (frame(DATA, 0, &[0; 100])[..8].to_vec(), 8, Some(8)),
        (frame(DATA, 0, &[0; 100])[8..50].to_vec(), 9, None),
        (frame(DATA, 0, &[0; 100])[50..].to_vec(), 10, None),
    ] {
        frames.take(&bytes, at(second)).expect("taken");
        assert_eq!(frames.unfinished_since(), since.map(at), "second {second}");
    }
}

proptest! {
    /// Where a piece ends makes no difference.
    #[test]
    fn frames_are_read_alike_in_any_pieces(
        sent in prop::collection::vec((0_u8..12, any::<u8>(), prop::collection::vec(any::<u8>(), 0..60)), 0..60),
        piece in 1_usize..40,
    ) {
        let now = Instant::now();
        let bytes: Vec<u8> = sent.iter().flat_map(|(kind, flags, payload)| frame(*kind, *flags, payload)).collect();
        let (mut whole, mut pieces) = (begun(now), begun(now));
        let at_once = whole.take(&bytes, now);
        let in_pieces = bytes.chunks(piece).try_for_each(|piece| pieces.take(piece, now));
        prop_assert_eq!(at_once, in_pieces);
        if at_once.is_ok() {
            prop_assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
        }
    }
}
