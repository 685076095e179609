use std::io::Write;

use actix_web::http::Method;
use flate2::{Compression, write::GzEncoder};
use pulsestream_domain::tenant::Limits;
use serde_json::json;

use crate::harness::{Answer, BATCH, EVENTS, SEARCH, Surface, event};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

async fn post(
    surface: &Surface,
    path: &str,
    headers: &[(&'static str, &'static str)],
    body: Vec<u8>,
) -> Answer {
    let mut request = surface.request(Method::POST, path).set_payload(body);
    for header in headers {
        request = request.insert_header(*header);
    }
    surface.send(request).await
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[actix_web::test]
async fn lines_of_json_may_come_compressed() {
    let surface = Surface::new().await;
    let lines = format!("{}\n\nbroken\n{}", event("a"), event("b"));
    let zstd = zstd::encode_all(lines.as_bytes(), 3).expect("a vector takes everything");
    for (encoding, body, status) in
        [("gzip", gzip(lines.as_bytes()), "accepted"), ("zstd", zstd, "duplicate")]
    {
        let headers = [("content-type", "application/x-ndjson"), ("content-encoding", encoding)];
        let answer = post(&surface, BATCH, &headers, body).await.ok();
        assert_eq!((&answer["total_count"], &answer["successful_count"]), (&json!(3), &json!(2)));
        assert_eq!(answer["results"][2]["status"], status);
        assert_eq!(answer["results"][1]["errors"][0]["code"], "bad_json");
    }
}

#[actix_web::test]
async fn bodies_that_cannot_be_read_are_refused_with_their_reason() {
    let surface = Surface::with(Limits::default(), |parts| parts.settings.max_body_bytes = 1_000).await;
    let gzip_header = ("content-encoding", "gzip");
    let large = vec![b' '; 1_001];
    for (path, headers, body, expected) in [
        (EVENTS, vec![JSON], vec![], (400, "empty_body")),
        (EVENTS, vec![JSON], b"{".to_vec(), (400, "bad_json")),
        (EVENTS, vec![JSON], b"\xff".to_vec(), (400, "bad_utf8")),
        (EVENTS, vec![JSON], b"[]".to_vec(), (422, "not_an_object")),
        (EVENTS, vec![JSON], br#"{"title":"a","title":"b"}"#.to_vec(), (400, "duplicate_key")),
        (BATCH, vec![JSON], b"[]".to_vec(), (400, "empty_batch")),
        (BATCH, vec![JSON], b"{}".to_vec(), (422, "invalid")),
        (EVENTS, vec![], b"{}".to_vec(), (415, "unsupported_media_type")),
        (EVENTS, vec![("content-type", "text/plain")], b"{}".to_vec(), (415, "unsupported_media_type")),
        (EVENTS, vec![("content-type", "application/x-ndjson")], vec![], (415, "unsupported_media_type")),
        (BATCH, vec![JSON, ("content-encoding", "br")], vec![], (415, "unsupported_encoding")),
        (BATCH, vec![JSON, gzip_header], b"plain".to_vec(), (400, "bad_encoding")),
        (BATCH, vec![JSON, gzip_header], gzip(&large), (413, "decompressed_too_large")),
        (BATCH, vec![JSON], large.clone(), (413, "body_too_large")),
        (SEARCH, vec![JSON], large.clone(), (400, "bad_json")),
        (SEARCH, vec![JSON], vec![b' '; 64 * 1024 + 1], (413, "body_too_large")),
    ] {
        let answer = post(&surface, path, &headers, body).await;
        let (status, code) = answer.problem();
        assert_eq!((status, code.as_str()), expected);
        assert_eq!(answer.headers.contains_key("ratelimit"), path != SEARCH, "{code}");
        assert_eq!(answer.headers.contains_key("accept-encoding"), code == "unsupported_encoding");
    }
    assert_eq!(surface.get(SEARCH).await.ok()["total_count"], 0);
}

#[actix_web::test]
async fn a_batch_has_at_most_a_thousand_events() {
    let surface = Surface::new().await;
    let too_many: Vec<_> = (0..1_001).map(|i| event(&format!("e{i}"))).collect();
    assert_eq!(surface.post(BATCH, &json!(too_many)).await.problem(), (413, "batch_too_large".to_owned()));
    let answer = surface.post(BATCH, &json!(too_many[..1_000])).await.ok();
    assert_eq!(answer["successful_count"], 1_000);
}
