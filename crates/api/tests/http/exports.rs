//! Exports that are under way when something changes.

use std::{future::poll_fn, pin::pin, time::Duration};

use actix_web::{
    body::MessageBody as _,
    dev::Service as _,
    test::{self, TestRequest},
};
use pulsestream_api::app;
use pulsestream_domain::api_key::Scope;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::harness::{BATCH, EVENTS, Surface, event};

/// What a revoked credential may still be good for, here and everywhere.
const REVOCATION: Duration = Duration::from_secs(5);

#[actix_web::test]
async fn an_export_is_broken_off_when_its_key_is_revoked() {
    let surface = Surface::new().await;
    for batch in 0..3 {
        let events: Vec<_> = (0..500).map(|number| event(&format!("{batch}-{number}"))).collect();
        assert_eq!(surface.post(BATCH, &json!({"events": events})).await.status, 200);
    }
    let (key, stored) = surface.new_key(surface.tenant_id, &[Scope::EventsRead]).await;
    let service = test::init_service(app(surface.state.clone())).await;
    let request = TestRequest::with_uri(&format!("{EVENTS}/export")).insert_header(("x-api-key", key));
    let response = service.call(request.to_request()).await.expect("an answer");
    let mut body = pin!(response.into_body());
    let first = poll_fn(|context| body.as_mut().poll_next(context)).await;
    assert!(first.is_some_and(|part| part.is_ok()));

    surface.store.revoke_key(surface.tenant_id, &stored.id, &surface.origin()).await.expect("revoked");
    let revoked = Instant::now();
    // A reader that takes a part now and then gets no more than what was under way.
    loop {
        sleep(Duration::from_millis(500)).await;
        match poll_fn(|context| body.as_mut().poll_next(context)).await {
            Some(Ok(_)) => assert!(revoked.elapsed() < REVOCATION, "it goes on"),
            Some(Err(_)) => break,
            None => panic!("it ends as if it were whole"),
        }
    }

    let whole = surface.get(&format!("{EVENTS}/export")).await;
    assert_eq!(whole.text().lines().count(), 1_500);
}
