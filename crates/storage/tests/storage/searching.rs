//! Searches find what they say.

use std::collections::BTreeSet;

use pulsestream_domain::{
    event::{Document, EventType, NewEvent, Severity},
    ports::EventStore as _,
    search::{EXACT_TOTAL, Query},
};

use pulsestream_storage::MAX_PAGE_BYTES;

use crate::support::{
    Fresh, NOW, OTHER, TENANT, at, event, event_ids, query, with_and_without_index, with_text,
};

with_and_without_index!(
    every_filter_finds_its_event_and_no_other,
    words_prefixes_and_tags_are_found,
    a_term_never_finds_another_tenants_event,
    only_stars_are_wild,
    the_newest_come_first_and_ties_have_an_order,
    a_page_knows_how_many_there_are_and_where_it_ends,
    pages_visit_each_event_once_while_others_arrive,
    a_total_is_exact_up_to_its_limit,
    a_page_of_large_documents_ends_early_and_hides_none,
    an_event_with_every_text_at_its_longest_is_stored_and_found,
    a_row_that_cannot_be_read_is_named,
);

async fn every_filter_finds_its_event_and_no_other(fresh: &Fresh) {
    let plain = |id: &str| event(TENANT, id);
    let text = |text: &str| Some(text.to_owned());
    let cases: Vec<(NewEvent, Vec<(&str, &str)>)> = vec![
        (
            NewEvent { event_type: EventType::UserAction, ..plain("event_type") },
            vec![("event_type", "user_action")],
        ),
        (NewEvent { severity: Severity::Critical, ..plain("severity") }, vec![("severity", "critical")]),
        (NewEvent { service: "Billing".to_owned(), ..plain("service") }, vec![("service", "Billing")]),
        (NewEvent { endpoint: "/refund/1".to_owned(), ..plain("endpoint") }, vec![("endpoint", "/ref*")]),
        (NewEvent { method: "WEBSOCKET".to_owned(), ..plain("method") }, vec![("method", "WEBSOCKET")]),
        (NewEvent { environment: text("prod"), ..plain("environment") }, vec![("environment", "prod")]),
        (NewEvent { status_code: Some(404), ..plain("status_code") }, vec![("status_code", "404")]),
        (NewEvent { status_code: Some(599), ..plain("status_class") }, vec![("status_code", "5xx")]),
        (NewEvent { user_id: text("u1"), ..plain("user_id") }, vec![("user_id", "u1")]),
        (NewEvent { correlation_id: text("c1"), ..plain("correlation") }, vec![("correlation_id", "c1")]),
        (with_text(plain("tags"), "", &[("a", "1"), ("b", "2")]), vec![("tags", "a:1"), ("tags", "b:2")]),
        (with_text(plain("words"), "Hello World", &[]), vec![("q", "world hello")]),
        (
            NewEvent { occurred_at: NOW.plus_secs(-3_600), ..plain("time") },
            vec![("start_time", "2026-11-22T09:00:00Z"), ("end_time", "2026-11-22T10:00:00Z")],
        ),
    ];
    let events: Vec<NewEvent> = cases.iter().map(|(event, _)| event.clone()).collect();
    fresh.put(&events).await;

    for (expected, pairs) in &cases {
        assert_eq!(fresh.found(pairs).await, [expected.event_id.as_str()], "{pairs:?}");
        for event in &events {
            let wanted = query(pairs).filter.matches(event);
            assert_eq!(wanted, event.event_id == expected.event_id, "{pairs:?} {}", event.event_id);
        }
    }
}

async fn words_prefixes_and_tags_are_found(fresh: &Fresh) {
    fresh
        .put(&[
            with_text(event(TENANT, "1"), "Payment declined: карта 東京 ÜNÏ", &[("region", "eu-west 1")]),
            with_text(event(TENANT, "2"), "payments accepted", &[("region", "eu:west"), ("a'b\"c\\", "%*")]),
        ])
        .await;

    let nothing: [&str; 0] = [];
    for (pairs, expected) in [
        (vec![("q", "payment")], &["1"][..]),
        (vec![("q", "PAYMENT*")], &["2", "1"]),
        (vec![("q", "payment* acc*")], &["2"]),
        (vec![("q", "payment accepted")], &nothing),
        (vec![("q", "карта")], &["1"]),
        (vec![("q", "кар*")], &["1"]),
        (vec![("q", "東京")], &["1"]),
        (vec![("q", "ünï")], &["1"]),
        (vec![("q", "uni")], &nothing),
        (vec![("q", "!!!")], &nothing),
        (vec![("q", "declined"), ("tags", "region:eu-west 1")], &["1"]),
        (vec![("tags", "region:eu:west")], &["2"]),
        (vec![("tags", "a'b\"c\\:%*")], &["2"]),
        (vec![("tags", "region:EU:west")], &nothing),
        (vec![("tags", "region:eu")], &nothing),
        (vec![("q", "region")], &nothing),
        (vec![("q", "OR NOT \"' & | :*")], &nothing),
    ] {
        assert_eq!(fresh.found(&pairs).await, expected, "{pairs:?}");
    }
}

async fn a_term_never_finds_another_tenants_event(fresh: &Fresh) {
    let mine = with_text(event(TENANT, "mine"), "shared", &[]);
    // As if the pieces of both tenants' ids in the terms were the same.
    let theirs = NewEvent { terms: mine.terms.clone(), ..event(OTHER, "theirs") };
    fresh.put(&[mine, theirs]).await;

    assert_eq!(fresh.found(&[("q", "shared")]).await, ["mine"]);
}

async fn only_stars_are_wild(fresh: &Fresh) {
    let services = [
        "a%c", "abc", "a_c", "a[b]c", "a?c", "a\\c", "ABC", "a]c", "a'c", "äbc", "a*c", "ac", "a^c", "a!c",
        "a-c",
    ];
    let events: Vec<NewEvent> = services
        .iter()
        .map(|service| NewEvent {
            service: (*service).to_owned(),
            ..event(TENANT, &format!("s{}", services.iter().position(|s| s == service).unwrap()))
        })
        .collect();
    fresh.put(&events).await;

    for pattern in [
        "a%c", "a%*", "a_*", "*_c", "a[b]*", "[ab]*", "a?*", "*?c", "a\\*", "*\\c", "a*c", "A*", "*bc",
        "*]c", "*[!a]*", "a[^b]*", "ä*", "*'c", "*", "**", "a*b*c", "*b*b*", "a[*", "*[b-d]*",
    ] {
        let query = query(&[("service", pattern), ("limit", "1000")]);
        let expected: BTreeSet<&str> = events
            .iter()
            .filter(|event| query.filter.matches(event))
            .map(|event| event.event_id.as_str())
            .collect();
        let page = fresh.store.search(TENANT, &query).await.unwrap();
        let found: BTreeSet<&str> = event_ids(&page).into_iter().collect();
        assert_eq!(found, expected, "{pattern}");
    }
}

async fn the_newest_come_first_and_ties_have_an_order(fresh: &Fresh) {
    let old = at(NOW.plus_secs(-1), event(TENANT, "old"));
    let (first, second) = (event(TENANT, "first"), event(TENANT, "second"));
    fresh.put(&[second, old, first]).await;

    let descending = fresh.found(&[]).await;
    let mut ascending = fresh.found(&[("order", "asc")]).await;

    assert_eq!(descending[2], "old");
    ascending.reverse();
    assert_eq!(ascending, descending);
}

async fn a_page_knows_how_many_there_are_and_where_it_ends(fresh: &Fresh) {
    let plain = |n| at(NOW.plus_secs(n), event(TENANT, &format!("e{n:02}")));
    let events: Vec<NewEvent> = (0..25).map(|n| with_text(plain(n), "page", &[])).collect();
    fresh.put(&events).await;

    // Each way of searching: by time alone, by a column of its index, by another, by a word.
    for filter in [("order", "desc"), ("service", "checkout"), ("endpoint", "/pay*"), ("q", "page")] {
        for (limit, offset, first, length, is_last) in [
            ("10", "0", "e24", 10, false),
            ("10", "20", "e04", 5, true),
            ("25", "0", "e24", 25, true),
            ("5", "20", "e04", 5, true),
        ] {
            let query = query(&[("limit", limit), ("offset", offset), filter]);
            let page = fresh.store.search(TENANT, &query).await.unwrap();
            assert_eq!(page.events[0].event.event_id.as_str(), first);
            assert_eq!((page.events.len(), page.next.is_none()), (length, is_last));
            assert_eq!((page.total_count, page.total_count_is_lower_bound), (25, false));
        }
        let beyond = fresh.store.search(TENANT, &query(&[("offset", "99"), filter])).await.unwrap();
        assert_eq!((beyond.events.len(), beyond.total_count), (0, 25));
    }
}

async fn pages_visit_each_event_once_while_others_arrive(fresh: &Fresh) {
    let filters = ["user_id", "correlation_id", "q"];
    for (order, filter) in ["desc", "asc"].into_iter().flat_map(|order| filters.map(|filter| (order, filter)))
    {
        let sought = format!("{order}by{}", filter.len());
        let made = |instant, n: i64| {
            let event = at(instant, event(TENANT, &format!("{sought}-{n}")));
            let ids = (Some(sought.clone()), Some(sought.clone()));
            with_text(NewEvent { user_id: ids.0, correlation_id: ids.1, ..event }, &sought, &[])
        };
        // Half of them at one and the same instant.
        let events: Vec<NewEvent> = (0..50).map(|n| made(NOW.plus_secs(i64::max(n, 25)), n)).collect();
        fresh.put(&events).await;

        let mut visited = Vec::new();
        let mut query = query(&[("order", order), ("limit", "7"), (filter, &sought)]);
        loop {
            let page = fresh.store.search(TENANT, &query).await.unwrap();
            visited.extend(event_ids(&page).into_iter().map(str::to_owned));
            let Some(next) = page.next else { break };
            query = Query { after: Some(next), ..query };
            // Where the search has been already, either way.
            let behind = if order == "desc" { NOW.plus_secs(99) } else { NOW.plus_secs(-99) };
            fresh.put(&[made(behind, 100 + visited.len() as i64)]).await;
        }

        assert_eq!(visited.len(), 50);
        assert_eq!(visited.iter().collect::<BTreeSet<_>>().len(), 50);
    }
}

async fn a_total_is_exact_up_to_its_limit(fresh: &Fresh) {
    for thousand in 0..10 {
        let events: Vec<NewEvent> = (0..1_000)
            .map(|n| at(NOW.plus_secs(thousand), event(TENANT, &format!("{thousand}-{n}"))))
            .map(|event| with_text(event, "frequent", &[]))
            .collect();
        fresh.put(&events).await;
    }
    let searches = [("order", "desc"), ("endpoint", "/pay"), ("q", "frequent")]
        .map(|filter| query(&[("limit", "1"), filter]));
    for small in &searches {
        let page = fresh.store.search(TENANT, small).await.unwrap();
        assert_eq!((page.total_count, page.total_count_is_lower_bound), (EXACT_TOTAL, false));
    }

    fresh.put(&[with_text(event(TENANT, "one-more"), "frequent", &[])]).await;

    for small in searches {
        let page = fresh.store.search(TENANT, &small).await.unwrap();
        assert_eq!((page.total_count, page.total_count_is_lower_bound), (EXACT_TOTAL, true));
        let first = event_ids(&page)[0].to_owned();
        let second = Query { after: page.next, ..small };
        let page = fresh.store.search(TENANT, &second).await.unwrap();
        assert_eq!((page.total_count, page.total_count_is_lower_bound), (EXACT_TOTAL, true));
        assert_eq!(page.events.len(), 1);
        assert_ne!(event_ids(&page), [first]);
    }
}

/// More of them than a total counts, behind more of others than a walk through time looks at.
#[tokio::test]
async fn a_word_that_was_frequent_long_ago_is_found() {
    let fresh = Fresh::postgres().await;
    let word = with_text(event(TENANT, "word"), "outage", &[]);
    fresh.put(&[word, event(TENANT, "other")]).await;
    let database = sea_orm::Database::connect(fresh.settings.url.as_str()).await.unwrap();
    for (from, sign, copies) in [("word", '-', EXACT_TOTAL), ("other", '+', 20_001)] {
        let copy = format!(
            "INSERT INTO events (tenant_id, id, external_id, content_hash, event_type, severity, service, endpoint,
                method, occurred_at, received_at, document, terms, processing_status)
             SELECT tenant_id, gen_random_uuid(), external_id || '-' || n, content_hash, event_type, severity, service, endpoint,
                method, occurred_at {sign} n, received_at, document, terms, processing_status
             FROM events CROSS JOIN generate_series(1, {copies}) AS n WHERE external_id = '{from}'"
        );
        sea_orm::ConnectionTrait::execute_unprepared(&database, &copy).await.unwrap();
    }

    let mut query = query(&[("q", "outage"), ("limit", "2")]);
    let page = fresh.store.search(TENANT, &query).await.unwrap();
    assert_eq!(event_ids(&page), ["word", "word-1"]);
    assert_eq!((page.total_count, page.total_count_is_lower_bound), (EXACT_TOTAL, true));
    query.after = page.next;
    assert_eq!(event_ids(&fresh.store.search(TENANT, &query).await.unwrap()), ["word-2", "word-3"]);
}

/// The index has a hash of four bytes of each.
#[tokio::test]
async fn endpoints_and_correlation_ids_that_share_a_hash_are_told_apart() {
    let fresh = Fresh::postgres().await;
    let database = sea_orm::Database::connect(fresh.settings.url.as_str()).await.unwrap();
    // Among so many there are some that do.
    let alike = "SELECT min(text), max(text) FROM (SELECT '/' || n AS text FROM generate_series(1, 300000) AS n) AS texts
         GROUP BY hashtext(text) HAVING count(*) = 2 LIMIT 1";
    let statement = sea_orm::Statement::from_string(sea_orm::DatabaseBackend::Postgres, alike);
    let row = sea_orm::ConnectionTrait::query_one_raw(&database, statement).await.unwrap().unwrap();
    let texts: [String; 2] = [0, 1].map(|column| row.try_get_by_index(column).unwrap());
    assert_ne!(texts[0], texts[1]);
    for text in &texts {
        let event = event(TENANT, text);
        fresh.put(&[NewEvent { endpoint: text.clone(), correlation_id: Some(text.clone()), ..event }]).await;
    }

    for text in &texts {
        assert_eq!(fresh.found(&[("endpoint", text)]).await, [text.as_str()]);
        assert_eq!(fresh.found(&[("correlation_id", text)]).await, [text.as_str()]);
    }
}

async fn a_page_of_large_documents_ends_early_and_hides_none(fresh: &Fresh) {
    let document = Document::from_stored(format!(r#"{{"title":"{}"}}"#, "x".repeat(MAX_PAGE_BYTES / 3)));
    let large: Vec<NewEvent> = ["a", "b", "c", "d", "e", "f", "g"]
        .map(|id| NewEvent { document: document.clone(), ..event(TENANT, id) })
        .to_vec();
    fresh.put(&large).await;
    let mut walk = query(&[("limit", "1000"), ("order", "asc")]);
    let mut pages = Vec::new();
    loop {
        let (events, next) = fresh.store.matching(TENANT, &walk).await.unwrap();
        pages.push(events.iter().map(|found| found.event.event_id.to_string()).collect::<String>());
        if next.is_none() {
            break;
        }
        walk.after = next;
    }
    assert_eq!(pages, ["abc", "def", "g"]);
    // A connection whose page was cut is as good as before.
    assert_eq!(fresh.found(&[("limit", "1")]).await, ["g"]);
}

/// An entry of an index on PostgreSQL must stay below 2,704 bytes.
async fn an_event_with_every_text_at_its_longest_is_stored_and_found(fresh: &Fresh) {
    // Four bytes each, in no order that compresses.
    let longest = |length: u32| -> String {
        let symbols = (1..=length).filter_map(|n| char::from_u32(0x1_F300 + n * n * 7_919 % 1_499 % 768));
        symbols.collect()
    };
    let event = NewEvent {
        service: longest(100),
        endpoint: longest(500),
        method: longest(10),
        environment: Some(longest(50)),
        user_id: Some(longest(255)),
        correlation_id: Some(longest(255)),
        status_code: Some(599),
        duration_ms: Some(1.0),
        ..event(TENANT, &"x".repeat(255))
    };
    assert_eq!(event.user_id.as_ref().map(String::len), Some(4 * 255));
    let user = event.user_id.clone().unwrap();
    fresh.put(std::slice::from_ref(&event)).await;

    assert_eq!(fresh.found(&[("user_id", &user)]).await, [event.event_id.as_str()]);
}

async fn a_row_that_cannot_be_read_is_named(fresh: &Fresh) {
    use std::error::Error as _;
    let damaged = event(TENANT, "a");
    let key = damaged.id.to_string();
    fresh.put(&[damaged]).await;
    let connection = sea_orm::Database::connect(fresh.settings.url.as_str()).await.unwrap();
    sea_orm::ConnectionTrait::execute_unprepared(&connection, "UPDATE events SET severity = 'loud'")
        .await
        .unwrap();

    let error = fresh.store.search(TENANT, &query(&[])).await.unwrap_err();

    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("events.severity") && cause.contains(&key), "{cause}");
    assert!(fresh.store.append(&[event(TENANT, "b")]).await.is_ok());
}
