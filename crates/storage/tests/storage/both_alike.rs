//! Both databases answer like a list in memory that is filtered and sorted, also where some instances index words and
//! others do not.

use std::cell::Cell;

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use pulsestream_domain::{
    Timestamp,
    event::{EventType, NewEvent, Severity},
    ports::EventStore as _,
    search::{FacetField, Filter, Interval, Order, Page, Pattern, Position, Query, TextIndex, Word},
    tenant::TenantId,
};
use pulsestream_storage::Store;
use uuid::Uuid;

use crate::support::{Fresh, NOW, TENANT, event, terms};

const SERVICES: [&str; 8] = ["api", "API", "a_i", "a%i", "a[p]i", "äpi", "a?i\\", "api-2"];
const TEXTS: [&str; 6] = ["", "alpha beta", "Alphabet", "beta gamma", "γάμμα 東京", "beta beta"];
const WORDS: [&str; 7] = ["alpha", "al", "beta", "b", "γάμμα", "東京", "missing"];
const TAGS: [(&str, &str); 3] = [("k", "v"), ("k", "w x"), ("é", "☃")];

prop_compose! {
    pub(crate) fn some_event()(
        kind in select(EventType::ALL),
        severity in select(Severity::ALL),
        service in select(&SERVICES[..]),
        endpoint in "/[ab%_*]{0,3}",
        method in select(&["GET", "POST", "get"][..]),
        environment in option::of(select(&["prod", "Prod", ""][..])),
        status_code in option::of(prop_oneof![198_u16..=202, 398_u16..=402, 499_u16..=501]),
        duration_ms in option::of(0.0_f64..5.0),
        user_id in option::of(select(&["u", "U", "ü"][..])),
        age in 0_i64..6,
        text in select(&TEXTS[..]),
        tags in vec(select(&TAGS[..]), 0..3),
    ) -> NewEvent {
        NewEvent {
            event_type: kind,
            severity,
            service: service.to_owned(),
            endpoint,
            method: method.to_owned(),
            environment: environment.map(str::to_owned),
            status_code,
            duration_ms,
            user_id: user_id.map(str::to_owned),
            correlation_id: user_id.map(|user| format!("{user}-{age}")),
            occurred_at: NOW.plus_secs(-age * 40),
            terms: terms(TENANT, text, &tags),
            ..event(TENANT, "id")
        }
    }
}

fn some_pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![
        select(&SERVICES[..]).prop_map(Pattern::new),
        "[a*]{0,2}[pi*%_?\\[]{0,2}".prop_map(Pattern::new),
        select(&["a*", "*i", "*p*", "*", "a*i", "/*", "/a*", "*%*", "*_", "A*"][..]).prop_map(Pattern::new),
    ]
}

/// Present now and then, so that several conditions together still find something.
fn rarely<T: Clone + std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    option::weighted(0.2, of)
}

prop_compose! {
    pub(crate) fn some_filter()(
        event_type in rarely(select(EventType::ALL)),
        severity in rarely(select(Severity::ALL)),
        (service, endpoint) in (rarely(some_pattern()), rarely(some_pattern())),
        method in rarely(select(&["GET", "get"][..])),
        environment in rarely(select(&["prod", "Prod", ""][..])),
        status_code in rarely(select(vec![200..=200, 200..=299, 400..=499, 500..=599])),
        user_id in rarely(select(&["u", "ü"][..])),
        correlation_id in rarely("[uU]-[0-5]"),
        tags in rarely(vec(select(&TAGS[..]), 1..3)),
        words in rarely(vec((select(&WORDS[..]), any::<bool>()), 0..3)),
        start in rarely(0_i64..6),
        end in rarely(0_i64..6),
    ) -> Filter {
        let word = |(text, is_prefix): (&str, bool)| Word { text: text.to_owned(), is_prefix };
        Filter {
            event_type,
            severity,
            service,
            endpoint,
            method: method.map(str::to_owned),
            environment: environment.map(str::to_owned),
            status_code,
            user_id: user_id.map(str::to_owned),
            correlation_id,
            tags: tags.unwrap_or_default().into_iter().map(|(key, value)| format!("{key}:{value}")).collect(),
            words: words.map(|words| words.into_iter().map(word).collect()),
            start_time: start.map(|age| NOW.plus_secs(-age * 40)),
            end_time: end.map(|age| NOW.plus_secs(-age * 40)),
        }
    }
}

prop_compose! {
    fn some_query()(
        filter in some_filter(),
        is_ascending in any::<bool>(),
        limit in 1_u32..8,
        offset in prop_oneof![3 => Just(0_u64), 1 => 0_u64..10],
    ) -> Query {
        let order = if is_ascending { Order::Ascending } else { Order::Descending };
        Query { filter, order, limit, offset, after: None, fingerprint: [0; 16] }
    }
}

/// What a page has to be.
fn page_of(events: &[NewEvent], query: &Query) -> (Vec<Uuid>, u64, Option<Position>) {
    let mut found: Vec<&NewEvent> = events.iter().filter(|event| query.filter.matches(event)).collect();
    let total = found.len() as u64;
    found.sort_by_key(|event| (event.occurred_at, event.id));
    if query.order == Order::Descending {
        found.reverse();
    }
    let rest: Vec<&NewEvent> = found
        .into_iter()
        .filter(|event| query.after.is_none_or(|after| after.is_before(event, query.order)))
        .skip(query.offset as usize)
        .collect();
    let shown = &rest[..rest.len().min(query.limit as usize)];
    let next = (rest.len() > shown.len()).then(|| Position::of(shown[shown.len() - 1]));
    (shown.iter().map(|event| event.id).collect(), total, next)
}

fn shown(page: &Page) -> (Vec<Uuid>, u64, Option<Position>) {
    (page.events.iter().map(|found| found.event.id).collect(), page.total_count, page.next)
}

/// The events as those of a tenant that no other case has.
pub(crate) fn owned_by(tenant_id: TenantId, events: Vec<NewEvent>) -> Vec<NewEvent> {
    let owned = |(n, sample): (usize, NewEvent)| {
        let fresh = event(tenant_id, &format!("e{n}"));
        let (old, new) = (prefix(TENANT), prefix(tenant_id));
        assert_eq!(old, new, "terms made for one tenant have to serve the other");
        NewEvent { tenant_id, id: fresh.id, event_id: fresh.event_id, ..sample }
    };
    events.into_iter().enumerate().map(owned).collect()
}

/// The piece of a tenant's id that its terms start with.
fn prefix(tenant_id: TenantId) -> u32 {
    tenant_id.0.as_u128() as u32
}

/// Answers how many pages had events.
async fn compare(
    databases: &[[Store; 2]; 2],
    tenant_id: TenantId,
    events: &[NewEvent],
    queries: &[Query],
) -> usize {
    let mut pages = 0;
    for [one, other] in databases {
        let (some, rest) = events.split_at(events.len() / 2);
        one.append(some).await.unwrap();
        other.append(rest).await.unwrap();
    }
    let stores = databases.as_flattened();
    for query in queries {
        let mut query = query.clone();
        loop {
            let expected = page_of(events, &query);
            for store in stores {
                let page = store.search(tenant_id, &query).await.unwrap();
                assert_eq!(
                    shown(&page),
                    expected,
                    "{:?} {:?} {query:?}",
                    store.database(),
                    store.text_index()
                );
            }
            pages += usize::from(!expected.0.is_empty());
            let Some(next) = expected.2 else { break };
            query = Query { after: Some(next), offset: 0, ..query };
        }
        for others in stores.windows(2) {
            let [one, other] = others else { continue };
            for (_, field) in FacetField::ALL {
                assert_eq!(
                    one.facets(tenant_id, &query.filter, field, 3).await.unwrap(),
                    other.facets(tenant_id, &query.filter, field, 3).await.unwrap(),
                );
            }
            assert_eq!(
                one.histogram(tenant_id, &query.filter, Interval::Minute).await.unwrap(),
                other.histogram(tenant_id, &query.filter, Interval::Minute).await.unwrap(),
            );
        }
    }
    pages
}

#[test]
fn both_databases_answer_like_a_list_in_memory() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (sqlite, postgres) = runtime.block_on(async { (Fresh::sqlite().await, Fresh::postgres().await) });
    let databases = runtime.block_on(async {
        [
            [sqlite.store.clone(), sqlite.another(TextIndex::None).await],
            [postgres.store.clone(), postgres.another(TextIndex::None).await],
        ]
    });
    let (case, pages) = (Cell::new(0_u128), Cell::new(0));

    TestRunner::new(Config { cases: 48, ..Config::default() })
        .run(&(vec(some_event(), 0..40), vec(some_query(), 1..8)), |(events, queries)| {
            case.set(case.get() + 1);
            let tenant_id = TenantId(Uuid::from_u128(TENANT.0.as_u128() ^ (case.get() << 64)));
            let events = owned_by(tenant_id, events);
            pages.set(pages.get() + runtime.block_on(compare(&databases, tenant_id, &events, &queries)));
            Ok(())
        })
        .unwrap();

    assert!(pages.get() > 100, "only {} pages had events: this says little", pages.get());
}

#[test]
fn instants_before_1970_fall_into_their_interval() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for fresh in [Fresh::sqlite().await, Fresh::postgres().await] {
            let early = NewEvent { occurred_at: Timestamp::from_micros(-1), ..event(TENANT, "early") };
            fresh.put(&[early]).await;
            let buckets = fresh.store.histogram(TENANT, &Filter::default(), Interval::Minute).await.unwrap();
            assert_eq!(buckets[0].start, Timestamp::from_secs(-60));
        }
    });
}
