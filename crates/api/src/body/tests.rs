use std::io::Write;

use actix_web::http::header::{CONTENT_ENCODING, HeaderName, HeaderValue};
use flate2::{Compression, write::GzEncoder};
use futures_util::stream;

use super::*;

const MAX: usize = 1_000;

fn limits() -> BodyLimits {
    BodyLimits {
        max_bytes: MAX,
        timeout: Duration::from_secs(15),
        budget: BodyBudget::new(8 * 1024 * 1024),
        large_bodies: Arc::new(LargeBodies::start(1).expect("there is room for a thread")),
    }
}

fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
    let value = |text: &str| HeaderValue::from_str(text).expect("a header value");
    let mut headers = HeaderMap::new();
    for (name, text) in pairs {
        headers.append(name.clone(), value(text));
    }
    headers
}

async fn read(encoding: &str, body: &[u8], piece_bytes: usize) -> Result<Bytes, BodyError> {
    let pieces: Vec<_> = body.chunks(piece_bytes).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let limits = limits();
    let read = limits.read(&headers(&[(CONTENT_ENCODING, encoding)]), stream::iter(pieces)).await;
    let bytes = read.map(|body| body.bytes);
    assert_eq!(limits.budget.in_use(), 0, "what was reserved is given back");
    bytes
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).expect("a vector takes everything")
}

#[tokio::test]
async fn bodies_up_to_the_cap_arrive_whole_however_they_are_cut_and_encoded() {
    let text: Vec<u8> = (0..MAX).map(|i| b'a' + (i % 26) as u8).collect();
    let mut two_members = gzip(&text[..300]);
    two_members.extend(gzip(&text[300..]));
    let mut two_frames = zstd(&text[..300]);
    two_frames.extend(zstd(&text[300..]));
    for (encoding, body) in [
        ("identity", &text),
        ("gzip", &gzip(&text)),
        ("X-GZIP", &two_members),
        ("zstd", &zstd(&text)),
        ("zstd", &two_frames),
    ] {
        for piece_bytes in [1, 7, 4096] {
            let read = read(encoding, body, piece_bytes).await;
            assert!(read.as_deref() == Ok(&text[..]), "{encoding} in pieces of {piece_bytes}: {read:?}");
        }
    }
}

#[tokio::test]
async fn a_zstd_frame_may_end_where_a_piece_of_its_reader_ends() {
    for bytes in [32 * 1024, 64 * 1024, 256 * 1024, 32 * 1024 + 1] {
        let text = vec![b'x'; bytes];
        let limits = limits().with_max_bytes(bytes);
        let pieces = stream::iter([Ok(Bytes::from(zstd(&text)))]);
        let read = limits.read(&headers(&[(CONTENT_ENCODING, "zstd")]), pieces).await;
        assert_eq!(read.map(|body| body.bytes.len()), Ok(bytes));
    }
}

#[tokio::test]
async fn large_bodies_arrive_whole_and_are_refused_beyond_the_cap_like_others() {
    let text: Vec<u8> = (0..3 * LARGE_BODY_BYTES).map(|i| (i / 1000) as u8).collect();
    for (encoding, body) in [("gzip", gzip(&text)), ("zstd", zstd(&text))] {
        for piece_bytes in [100, 1 << 20] {
            for (max_bytes, is_whole) in [(text.len(), true), (text.len() - 1, false)] {
                let limits = limits().with_max_bytes(max_bytes);
                let pieces = body.chunks(piece_bytes).map(|piece| Ok(Bytes::copy_from_slice(piece)));
                let pieces = stream::iter(pieces.collect::<Vec<_>>());
                let read = limits.read(&headers(&[(CONTENT_ENCODING, encoding)]), pieces).await;
                match read {
                    Ok(read) => assert!(is_whole && read.bytes == text, "{encoding} in {piece_bytes}"),
                    Err(error) => {
                        assert!(!is_whole, "{encoding} in {piece_bytes}: {error}");
                        assert_eq!(error, BodyError::DecompressedTooLarge { max: max_bytes });
                    }
                }
                assert_eq!(limits.budget.in_use(), 0);
            }
        }
    }
}

#[tokio::test]
async fn one_byte_over_the_cap_is_too_large_in_any_encoding() {
    let text = vec![b'a'; MAX + 1];
    assert_eq!(read("identity", &text, 4096).await, Err(BodyError::TooLarge { max: MAX }));
    assert_eq!(read("identity", &text, 100).await, Err(BodyError::TooLarge { max: MAX }));
    let bombs = [("gzip", gzip(&text)), ("zstd", zstd(&text))];
    for (encoding, bomb) in bombs {
        assert_eq!(read(encoding, &bomb, 10).await, Err(BodyError::DecompressedTooLarge { max: MAX }));
    }
    // Incompressible members are stopped by their own length.
    let mut many = Vec::new();
    while many.len() <= MAX {
        many.extend(gzip(b""));
    }
    assert_eq!(read("gzip", &many, 64).await, Err(BodyError::TooLarge { max: MAX }));
}

#[tokio::test]
async fn bombs_are_cut_off_at_the_cap() {
    let zeros = vec![0; 50 * 1024 * 1024];
    let generous = BodyLimits { max_bytes: 11 * 1024 * 1024, ..limits() };
    let generous = BodyLimits { budget: BodyBudget::new(24 * 1024 * 1024), ..generous };
    for (encoding, bomb) in [("gzip", gzip(&zeros)), ("zstd", zstd(&zeros))] {
        let pieces = stream::iter([Ok(Bytes::from(bomb))]);
        let read = generous.read(&headers(&[(CONTENT_ENCODING, encoding)]), pieces).await;
        let max = generous.max_bytes;
        assert_eq!(read.map(|body| body.bytes.len()), Err(BodyError::DecompressedTooLarge { max }));
    }
}

#[tokio::test]
async fn what_is_not_the_encoding_it_claims_is_bad() {
    let long: Vec<u8> = (0..900_u32).map(|i| (i * i % 251) as u8).collect();
    for (encoding, good) in [("gzip", gzip(&long)), ("zstd", zstd(&long))] {
        let mut trailing = good.clone();
        trailing.extend(b"garbage");
        for bad in [&long[..], &good[..good.len() - 1], &good[..good.len() / 2], &good[..3], &trailing] {
            for piece_bytes in [1, 50, 4096] {
                let read = read(encoding, bad, piece_bytes).await;
                assert_eq!(read, Err(BodyError::BadEncoding), "{encoding}, {} bytes", bad.len());
            }
        }
        assert_eq!(read(encoding, b"", 1).await, Ok(Bytes::new()));
    }
    assert_eq!(read("gzip", &gzip(&gzip(b"x")), 9).await, Ok(gzip(b"x").into()), "only one layer is undone");
}

#[tokio::test]
async fn a_zstd_window_beyond_8_mib_is_refused() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
    encoder.window_log(27).expect("a valid window");
    // Larger than its window, or the frame would say a smaller one.
    encoder.write_all(&vec![0; 1 << 24]).expect("a vector takes everything");
    let frame = encoder.finish().expect("a vector takes everything");
    assert_eq!(read("zstd", &frame, 4096).await, Err(BodyError::BadEncoding));
}

#[tokio::test]
async fn other_encodings_and_more_than_one_are_unsupported() {
    for encoding in ["", "br", "deflate", "xyz", "gzip, gzip", "gzip,zstd"] {
        assert_eq!(read(encoding, b"x", 1).await, Err(BodyError::UnsupportedEncoding), "{encoding}");
    }
    let twice = headers(&[(CONTENT_ENCODING, "gzip"), (CONTENT_ENCODING, "gzip")]);
    let read = limits().read(&twice, stream::iter([Ok(Bytes::new())])).await;
    assert_eq!(read.map(|_| ()), Err(BodyError::UnsupportedEncoding));
}

#[tokio::test]
async fn an_announced_length_over_the_cap_is_refused_unread() {
    let announced = headers(&[(CONTENT_LENGTH, "1001")]);
    let never = stream::pending::<Result<Bytes, PayloadError>>();
    let read = limits().read(&announced, never).await;
    assert_eq!(read.map(|_| ()), Err(BodyError::TooLarge { max: MAX }));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up() {
    let stalls = stream::iter([Ok(Bytes::from_static(b"{"))]).chain(stream::pending());
    let read = limits().read(&HeaderMap::new(), stalls).await;
    assert_eq!(read.map(|_| ()), Err(BodyError::TimedOut));
}

#[tokio::test]
async fn bodies_beyond_the_budget_are_refused_at_once() {
    let limits = BodyLimits { budget: BodyBudget::new(MAX), ..limits() };
    let body = || stream::iter([Ok(Bytes::from(vec![b'a'; MAX / 2 + 1]))]);
    let first = limits.read(&HeaderMap::new(), body()).await.expect("there is room");

    let second = limits.read(&HeaderMap::new(), body()).await;
    assert_eq!(second.map(|_| ()), Err(BodyError::Overloaded));
    let announced = headers(&[(CONTENT_LENGTH, "900")]);
    let third = limits.read(&announced, stream::pending::<Result<Bytes, PayloadError>>()).await;
    assert_eq!(third.map(|_| ()), Err(BodyError::Overloaded));

    drop(first);
    assert!(limits.read(&HeaderMap::new(), body()).await.is_ok());
}

#[tokio::test]
async fn a_body_that_says_how_long_it_is_holds_no_more_while_it_arrives() {
    let limits = limits();
    // A buffer that only doubles would hold 800 bytes for these 500.
    let pieces = [200, 200, 100].map(|bytes| Ok(Bytes::from(vec![b' '; bytes])));
    let pieces = stream::iter(pieces).chain(stream::pending());
    let announced = headers(&[(CONTENT_LENGTH, "600")]);
    let mut reading = Box::pin(limits.read(&announced, pieces));

    assert!(futures_util::poll!(&mut reading).is_pending());

    assert_eq!(limits.budget.in_use(), 600);
}

#[tokio::test]
async fn the_window_of_a_zstd_frame_counts_as_well() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
    encoder.window_log(23).expect("a valid window");
    encoder.write_all(b"small").expect("a vector takes everything");
    encoder.flush().expect("a vector takes everything");
    let frame = encoder.finish().expect("a vector takes everything");
    assert_eq!(read("zstd", &frame, 4096).await, Err(BodyError::Overloaded));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_interrupted() {
    let breaks = stream::iter([Ok(Bytes::from_static(b"{")), Err(PayloadError::Incomplete(None))]);
    let read = limits().read(&HeaderMap::new(), breaks).await;
    assert_eq!(read.map(|_| ()), Err(BodyError::Interrupted));
}
