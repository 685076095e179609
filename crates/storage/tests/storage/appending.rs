//! Each event is stored once.

use pulsestream_domain::{
    Timestamp,
    event::{DeviceType, Document, Enrichment, NewEvent, Performance, ProcessingStatus, StoredEvent, Terms},
    ports::{Appended, EventStore as _, Existing},
};

use crate::support::{Fresh, NOW, OTHER, TENANT, event, id, on_both, with_text};

on_both!(
    a_new_event_is_stored_and_read_back_as_it_was,
    an_event_without_optional_parts_reads_back_without_them,
    an_id_that_is_taken_answers_with_the_event_that_has_it,
    the_answer_has_the_order_of_the_events,
    two_tenants_may_use_one_id,
    a_deleted_id_is_free_again,
    the_same_rows_again_are_stored_and_not_duplicates,
    a_thousand_events_go_in_one_call,
    any_number_of_events_goes_in_one_call,
    nothing_to_append_is_nothing,
    existing_events_are_looked_up_in_the_order_asked,
);

fn full() -> NewEvent {
    NewEvent {
        environment: Some("prod".to_owned()),
        status_code: Some(599),
        duration_ms: Some(0.1 + 0.2),
        user_id: Some("ü".to_owned()),
        correlation_id: Some("c-1".to_owned()),
        occurred_at: Timestamp::from_micros(1),
        received_at: NOW.plus_micros(7),
        enrichment: Enrichment {
            device_type: Some(DeviceType::Tablet),
            performance: Some(Performance::Poor),
        },
        document: Document::from_stored(r#"{"title":"☃","payload":{"n":0.10000000000000000001}}"#.to_owned()),
        ..with_text(event(TENANT, "full"), "some words", &[("k", "v")])
    }
}

async fn a_new_event_is_stored_and_read_back_as_it_was(fresh: &Fresh) {
    fresh.put(&[full()]).await;

    let mut stored = fresh.store.event(TENANT, &id("full")).await.unwrap().unwrap();

    stored.event.id = full().id;
    let expected = NewEvent { terms: Terms::default(), id: stored.event.id, ..full() };
    assert_eq!(stored, StoredEvent { event: expected, processing_status: ProcessingStatus::Completed });
}

async fn an_event_without_optional_parts_reads_back_without_them(fresh: &Fresh) {
    let bare = event(TENANT, "bare");
    fresh.put(std::slice::from_ref(&bare)).await;

    assert_eq!(fresh.store.event(TENANT, &id("bare")).await.unwrap().unwrap().event, bare);
}

async fn an_id_that_is_taken_answers_with_the_event_that_has_it(fresh: &Fresh) {
    fresh.put(&[event(TENANT, "a")]).await;
    let again = NewEvent { content_hash: [9; 16], received_at: NOW.plus_secs(60), ..event(TENANT, "a") };

    let outcomes = fresh.store.append(&[again]).await.unwrap();

    let first = Existing { content_hash: [7; 16], received_at: NOW };
    assert_eq!(outcomes, [Appended::Existing(first)]);
    assert_eq!(fresh.found(&[]).await, ["a"]);
}

async fn the_answer_has_the_order_of_the_events(fresh: &Fresh) {
    fresh.put(&[event(TENANT, "m"), event(TENANT, "b")]).await;

    let events: Vec<NewEvent> = ["z", "m", "a", "b", "c"].map(|id| event(TENANT, id)).into();
    let outcomes = fresh.store.append(&events).await.unwrap();

    let is_stored: Vec<bool> = outcomes.iter().map(|outcome| *outcome == Appended::Stored).collect();
    assert_eq!(is_stored, [true, false, true, false, true]);
}

async fn two_tenants_may_use_one_id(fresh: &Fresh) {
    fresh.put(&[event(TENANT, "a"), event(OTHER, "a")]).await;

    let mine = fresh.store.event(TENANT, &id("a")).await.unwrap().unwrap();
    let theirs = fresh.store.event(OTHER, &id("a")).await.unwrap().unwrap();

    assert_eq!((mine.event.tenant_id, theirs.event.tenant_id), (TENANT, OTHER));
    assert_eq!(fresh.found(&[]).await, ["a"]);
}

async fn a_deleted_id_is_free_again(fresh: &Fresh) {
    fresh.put(&[event(TENANT, "a"), event(OTHER, "a")]).await;
    assert!(fresh.store.delete_event(TENANT, &id("a")).await.unwrap());
    assert_eq!(fresh.store.existing(TENANT, &[id("a")]).await.unwrap(), [None]);

    let second = event(TENANT, "a");
    fresh.put(std::slice::from_ref(&second)).await;

    assert_eq!(fresh.store.event(TENANT, &id("a")).await.unwrap().unwrap().event.id, second.id);
    assert_eq!(fresh.found(&[]).await, ["a"]);
}

async fn the_same_rows_again_are_stored_and_not_duplicates(fresh: &Fresh) {
    let events = [event(TENANT, "a"), event(TENANT, "b")];
    fresh.put(&events[..1]).await;

    assert_eq!(fresh.store.append(&events).await.unwrap(), [Appended::Stored, Appended::Stored]);
    assert_eq!(fresh.found(&[]).await.len(), 2);
}

async fn a_thousand_events_go_in_one_call(fresh: &Fresh) {
    let events: Vec<NewEvent> = (0..1_000).map(|n| event(TENANT, &format!("e{n}"))).collect();
    fresh.put(&events).await;

    let again: Vec<NewEvent> = (0..1_000).map(|n| event(TENANT, &format!("e{n}"))).collect();
    let outcomes = fresh.store.append(&again).await.unwrap();

    assert!(outcomes.iter().all(|outcome| matches!(outcome, Appended::Existing(_))));
    let stats = fresh.store.stats(TENANT, NOW).await.unwrap();
    assert_eq!(stats.total_events, 1_000);
}

async fn any_number_of_events_goes_in_one_call(fresh: &Fresh) {
    for count in [1, 2, 7, 8, 9, 63, 64, 65, 137] {
        let events: Vec<NewEvent> = (0..count)
            .map(|n| with_text(event(TENANT, &format!("{count}-{n}")), &format!("of{count}"), &[]))
            .collect();
        fresh.put(&events).await;
        let found = fresh.found(&[("q", &format!("of{count}")), ("limit", "1000")]).await;
        assert_eq!(found.len(), count);
    }
}

async fn nothing_to_append_is_nothing(fresh: &Fresh) {
    assert_eq!(fresh.store.append(&[]).await.unwrap(), []);
    assert_eq!(fresh.store.existing(TENANT, &[]).await.unwrap(), []);
}

async fn existing_events_are_looked_up_in_the_order_asked(fresh: &Fresh) {
    fresh
        .put(&[
            event(TENANT, "b"),
            event(OTHER, "c"),
            NewEvent { content_hash: [1; 16], ..event(TENANT, "a") },
        ])
        .await;

    let found = fresh.store.existing(TENANT, &["c", "a", "b", "A"].map(id)).await.unwrap();

    let existing = |content_hash| Some(Existing { content_hash, received_at: NOW });
    assert_eq!(found, [None, existing([1; 16]), existing([7; 16]), None]);
}
