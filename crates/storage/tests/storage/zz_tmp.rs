use crate::support::*;
use pulsestream_domain::{
    event::{Document, NewEvent},
    ports::EventStore as _,
};
fn batch(n: usize, start: usize, tag: &str) -> Vec<NewEvent> {
    (start..start+n).map(|i| { let e = with_text(event(TENANT, &format!("{tag}-{i}-0123456789abcdef0123")), &format!("payment declined for order {i} by the acquiring bank with code {} and more text", i % 97), &[("region","eu"),("k","v")]);
      NewEvent { document: Document::from_stored(format!("{{\"title\":\"t\",\"message\":\"payment declined for order {i} by the acquiring bank\",\"context\":{{\"tags\":{{\"region\":\"eu\"}}}},\"payload\":{{\"n\":{i},\"pad\":\"{}\"}}}}", "x".repeat(150))), status_code: Some(200), duration_ms: Some(12.5), ..e } }).collect()
}
async fn rate(fresh: &Fresh, size: usize, secs: f64, tag: &str) -> f64 {
    let batches: Vec<_> = (0..)
        .map(|b| batch(size, b * size, tag))
        .take((if size == 1 { 30_000 } else { 60_000 / size } as f64 * secs) as usize)
        .collect();
    let t = std::time::Instant::now();
    let mut n = 0;
    for b in &batches {
        fresh.store.append(b).await.unwrap();
        n += size;
        if t.elapsed().as_secs_f64() > secs {
            break;
        }
    }
    n as f64 / t.elapsed().as_secs_f64()
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates() {
    for (name, fresh) in [("sqlite", Fresh::sqlite().await), ("postgres", Fresh::postgres().await)] {
        for round in 0..3 {
            for size in [1, 10, 100, 500, 1000] {
                println!(
                    "{name} size {size}: {:.0}/s",
                    rate(&fresh, size, 1.5, &format!("{name}{round}x{size}")).await
                );
            }
        }
    }
}
