//! One event at a time.

use pulsestream_domain::{
    Timestamp,
    event::{Document, NewEvent, ProcessingStatus},
};

use crate::support::{Fresh, NOW, OTHER, TENANT, event, id, on_both, with_and_without_index, with_text};

on_both!(
    an_event_of_another_tenant_is_not_there,
    a_retried_event_waits_until_it_is_processed,
    a_document_that_is_none_does_not_hold_up_the_others,
);
with_and_without_index!(a_deleted_event_is_gone_from_every_read);

async fn an_event_of_another_tenant_is_not_there(fresh: &Fresh) {
    fresh.put(&[event(TENANT, "a")]).await;

    assert_eq!(fresh.store.event(OTHER, &id("a")).await.unwrap(), None);
    assert!(!fresh.store.delete_event(OTHER, &id("a")).await.unwrap());
    assert!(!fresh.store.retry_event(OTHER, &id("a")).await.unwrap());
    assert!(fresh.store.event(TENANT, &id("a")).await.unwrap().is_some());
}

async fn a_deleted_event_is_gone_from_every_read(fresh: &Fresh) {
    fresh.put(&[with_text(event(TENANT, "a"), "word", &[])]).await;
    fresh.store.retry_event(TENANT, &id("a")).await.unwrap();

    assert!(fresh.store.delete_event(TENANT, &id("a")).await.unwrap());

    assert_eq!(fresh.store.event(TENANT, &id("a")).await.unwrap(), None);
    assert!(fresh.found(&[]).await.is_empty());
    assert!(fresh.found(&[("q", "word")]).await.is_empty());
    let stats = fresh.store.stats(TENANT, NOW).await.unwrap();
    assert_eq!((stats.total_events, stats.pending_events, stats.last_event_at), (0, 0, None));
    assert_eq!(fresh.store.reprocess_pending(10).await.unwrap(), 0);
    assert!(!fresh.store.delete_event(TENANT, &id("a")).await.unwrap());
}

async fn a_retried_event_waits_until_it_is_processed(fresh: &Fresh) {
    let document = r#"{"title":"t","context":{"user_agent":"curl/8.5.0"}}"#;
    let mut events = ["a", "b", "c"].map(|id| event(TENANT, id));
    events[0] = NewEvent {
        document: Document::from_stored(document.to_owned()),
        duration_ms: Some(300.0),
        ..events[0].clone()
    };
    fresh.put(&events).await;
    for name in ["a", "b"] {
        assert!(fresh.store.retry_event(TENANT, &id(name)).await.unwrap());
    }
    assert_eq!(fresh.store.pending_events().await.unwrap(), 2);
    assert_eq!(fresh.store.stats(TENANT, NOW).await.unwrap().pending_events, 2);

    assert_eq!(fresh.store.reprocess_pending(1).await.unwrap(), 1);
    assert_eq!(fresh.store.reprocess_pending(10).await.unwrap(), 1);

    assert_eq!(fresh.store.pending_events().await.unwrap(), 0);
    let processed = fresh.store.event(TENANT, &id("a")).await.unwrap().unwrap();
    assert_eq!(processed.processing_status, ProcessingStatus::Completed);
    let enrichment = processed.event.enrichment;
    assert_eq!(enrichment.device_type.map(|device| device.as_str()), Some("bot"));
    assert_eq!(enrichment.performance.map(|performance| performance.as_str()), Some("good"));
    assert_eq!(processed.event.received_at, Timestamp::from_micros(NOW.as_micros()));
}

async fn a_document_that_is_none_does_not_hold_up_the_others(fresh: &Fresh) {
    let broken = NewEvent { document: Document::from_stored("{".to_owned()), ..event(TENANT, "a") };
    fresh.put(&[broken, event(TENANT, "b")]).await;
    for name in ["a", "b"] {
        fresh.store.retry_event(TENANT, &id(name)).await.unwrap();
    }

    assert_eq!(fresh.store.reprocess_pending(10).await.unwrap(), 2);
}
