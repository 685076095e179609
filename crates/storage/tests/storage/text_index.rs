//! Whether words are indexed is a setting: what is stored is found either way, and nothing is lost by changing it.

use std::time::{Duration, Instant};

use pulsestream_domain::{event::NewEvent, ports::EventStore as _, search::TextIndex};
use pulsestream_storage::{Database, Store};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement, TransactionTrait as _};
use tokio::task::JoinSet;

use crate::support::{
    Fresh, NOW, TENANT, at, event, event_ids, id, query, with_and_without_index, with_text,
};

with_and_without_index!(
    instances_that_disagree_find_the_same_events,
    the_index_is_as_the_setting_says,
    events_of_the_build_before_are_found,
);

/// Its newest first.
async fn found(store: &Store, word: &str) -> Vec<String> {
    let page = store.search(TENANT, &query(&[("q", word)])).await.unwrap();
    event_ids(&page).into_iter().map(str::to_owned).collect()
}

async fn connect(fresh: &Fresh) -> DatabaseConnection {
    sea_orm::Database::connect(fresh.settings.url.as_str()).await.unwrap()
}

async fn count(database: &DatabaseConnection, sql: &str) -> i64 {
    let statement = Statement::from_string(database.get_database_backend(), sql);
    database.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

const VALID_INDEXES: &str =
    "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('events_all_terms') AND indisvalid";
const INDEXES: &str = "SELECT count(*) FROM pg_class WHERE relname = 'events_all_terms'";

fn numbered(n: i64) -> NewEvent {
    at(NOW.plus_secs(n), with_text(event(TENANT, &n.to_string()), "payment refused", &[("region", "eu")]))
}

async fn instances_that_disagree_find_the_same_events(fresh: &Fresh) {
    let other = match fresh.settings.text_index {
        TextIndex::Words => fresh.another(TextIndex::None).await,
        TextIndex::None => fresh.another(TextIndex::Words).await,
    };
    fresh.put(&[numbered(1)]).await;
    other.append(&[numbered(2)]).await.unwrap();

    for store in [&fresh.store, &other] {
        assert_eq!(found(store, "pay* refused").await, ["2", "1"], "{:?}", store.text_index());
    }
    for name in ["1", "2"] {
        assert!(other.delete_event(TENANT, &id(name)).await.unwrap());
    }
    for store in [&fresh.store, &other] {
        assert_eq!(found(store, "payment").await, [""; 0], "{:?}", store.text_index());
    }
}

async fn the_index_is_as_the_setting_says(fresh: &Fresh) {
    fresh.put(&[numbered(1)]).await;
    let (database, is_wanted) = (connect(fresh).await, fresh.settings.text_index == TextIndex::Words);

    match fresh.store.database() {
        Database::Postgres => {
            assert_eq!(count(&database, VALID_INDEXES).await, i64::from(is_wanted));
            assert_eq!(count(&database, INDEXES).await, i64::from(is_wanted));
        }
        Database::Sqlite => {
            let rows = async |table: &str| count(&database, &format!("SELECT count(*) FROM {table}")).await;
            assert_eq!(rows("event_terms").await, i64::from(is_wanted));
            assert_eq!(rows("unindexed_terms").await, i64::from(!is_wanted));
        }
    }
    assert!(fresh.store.is_text_index_arranged().await.unwrap());
}

/// They are sent as PostgreSQL keeps them, and have to be what it would make of their text.
#[tokio::test]
async fn postgresql_has_each_term_of_an_event_once_and_in_its_own_order() {
    let fresh = Fresh::postgres().await;
    let long = "é".repeat(200);
    let many: String = (0..3_000).rev().map(|n| format!("word{n} ")).collect();
    let texts: [(&str, &[(&str, &str)]); 5] = [
        ("", &[]),
        ("one", &[]),
        ("Zürich is in Zürich 東京 a A ab b 'quoted' back\\slash", &[("b", "it's"), ("a", ""), ("a", "x y")]),
        (&long, &[("k", &long)]),
        (&many, &[]),
    ];
    let events: Vec<NewEvent> = texts
        .into_iter()
        .enumerate()
        .map(|(n, (text, tags))| with_text(event(TENANT, &n.to_string()), text, tags))
        .collect();

    fresh.put(&events).await;

    let database = connect(&fresh).await;
    for event in &events {
        let sql = "SELECT terms = array_to_tsvector(string_to_array($1, ' ')), length(terms) FROM events WHERE id = $2";
        let values = [event.terms.as_str().into(), event.id.into()];
        let statement = Statement::from_sql_and_values(database.get_database_backend(), sql, values);
        let row = database.query_one_raw(statement).await.unwrap().unwrap();
        let (is_same, length): (bool, i32) =
            (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap());
        assert_eq!((is_same, length as usize), (true, event.terms.iter().count()), "{}", event.event_id);
    }
}

/// What the build before the setting writes, in its own statements.
async fn events_of_the_build_before_are_found(fresh: &Fresh) {
    let database = connect(fresh).await;
    fresh.put(&[numbered(1)]).await;
    let insert = |terms: &str| {
        format!(
            "INSERT INTO events (tenant_id, id, external_id, content_hash, event_type, severity, service, endpoint,
                method, occurred_at, received_at, document{}, processing_status)
             SELECT tenant_id, {}, '2', content_hash, event_type, severity, service, endpoint, method,
                occurred_at + 1, received_at, document{terms}, processing_status FROM events",
            if terms.is_empty() { "" } else { ", terms" },
            if terms.is_empty() { "randomblob(16)" } else { "gen_random_uuid()" },
        )
    };
    match fresh.store.database() {
        Database::Postgres => {
            database.execute_unprepared(&insert(", terms")).await.unwrap();
        }
        Database::Sqlite => {
            let terms = numbered(2).terms;
            database.execute_unprepared(&insert("")).await.unwrap();
            let index = format!(
                "INSERT INTO event_terms (rowid, terms)
                 SELECT row_number, '{}' FROM events WHERE external_id = '2'",
                terms.as_str()
            );
            database.execute_unprepared(&index).await.unwrap();
        }
    }

    assert_eq!(fresh.found(&[("tags", "region:eu")]).await, ["2", "1"]);
    // And it deletes what this build wrote.
    database.execute_unprepared("UPDATE events SET is_deleted = TRUE WHERE external_id = '1'").await.unwrap();
    database.execute_unprepared("DELETE FROM events WHERE external_id = '2'").await.unwrap();
    assert_eq!(fresh.found(&[("q", "payment")]).await, [""; 0]);
    if fresh.store.database() == Database::Sqlite {
        for table in ["event_terms", "unindexed_terms"] {
            assert_eq!(count(&database, &format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
        }
    }
}

/// Whoever inserts would do it otherwise, and everybody would wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terms_that_wait_are_sorted_into_the_index_beside_inserts() {
    let fresh = Fresh::postgres().await;
    let database = connect(&fresh).await;
    let done = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE '%INSERT INTO events%ROLLBACK' AND state = 'idle'";
    let words: Vec<String> = (0..200).map(|n| format!("word{n}")).collect();
    let wordy = |n: i64| with_text(event(TENANT, &n.to_string()), &words.join(" "), &[]);

    fresh.put(&[wordy(0)]).await;
    let sort_in = "SELECT gin_clean_pending_list('events_all_terms')";
    assert!(count(&database, sort_in).await > 0, "a few are not worth it");
    fresh.put(&(1..200).map(wordy).collect::<Vec<_>>()).await;

    let begun = Instant::now();
    while count(&database, done).await == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody sorts them in");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(count(&database, sort_in).await, 0, "pages are left of the list");
    assert_eq!(fresh.found(&[("q", "word7"), ("limit", "1")]).await, ["199"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_by_changing_the_setting_either_way() {
    for fresh in [Fresh::sqlite().await, Fresh::postgres().await] {
        let (mut fresh, mut next, mut expected) = (fresh, 0, Vec::new());
        for text_index in [TextIndex::None, TextIndex::Words, TextIndex::None, TextIndex::Words] {
            // More than are moved at once.
            let events: Vec<NewEvent> = (next..next + 601).map(numbered).collect();
            fresh.put(&events).await;
            // The last of all, whose number is used again, and one in between.
            for gone in [next + 600, next + 300] {
                assert!(fresh.store.delete_event(TENANT, &id(&gone.to_string())).await.unwrap());
            }
            expected.extend((next..next + 600).filter(|n| *n != next + 300).map(|n| n.to_string()));
            next += 601;

            fresh = fresh.restarted(text_index).await;

            let mut seen = Vec::new();
            let mut page = query(&[("q", "payment"), ("order", "asc"), ("limit", "1000")]);
            loop {
                let (events, behind) = fresh.store.matching(TENANT, &page).await.unwrap();
                seen.extend(events.iter().map(|found| found.event.event_id.to_string()));
                page.after = behind;
                if behind.is_none() {
                    break;
                }
            }
            assert_eq!(seen, expected, "{:?} {text_index:?}", fresh.store.database());
            let total =
                fresh.store.search(TENANT, &query(&[("tags", "region:eu")])).await.unwrap().total_count;
            assert_eq!(total, expected.len() as u64);
        }
        if fresh.store.database() == Database::Sqlite {
            assert_eq!(count(&connect(&fresh).await, "SELECT count(*) FROM unindexed_terms").await, 0);
        }
    }
}

/// On SQLite a row may get the number of one that is gone.
#[tokio::test]
async fn a_row_does_not_inherit_the_words_of_one_that_had_its_number() {
    for text_index in [TextIndex::None, TextIndex::Words] {
        let fresh = Fresh::sqlite_with(text_index).await;
        for (n, word) in ["one", "two", "three"].into_iter().enumerate() {
            let age = 1_000 - n as i64;
            fresh.put(&[at(NOW.plus_secs(-age), with_text(event(TENANT, word), word, &[]))]).await;
            if n == 1 {
                fresh.store.delete_event(TENANT, &id(word)).await.unwrap();
            }
            assert_eq!(fresh.store.remove_events_before(TENANT, NOW, 10).await.unwrap(), 1);
            for past in ["one", "two", "three"] {
                assert_eq!(fresh.found(&[("q", past)]).await, [""; 0], "{past} after {word}, {text_index:?}");
            }
        }
        fresh.put(&[with_text(event(TENANT, "last"), "four", &[])]).await;
        let fresh = fresh.restarted(TextIndex::Words).await;
        let (one, four) = (fresh.found(&[("q", "one")]).await, fresh.found(&[("q", "four")]).await);
        assert_eq!((one.len(), four.as_slice()), (0, &["last".to_owned()][..]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_whose_making_was_cut_short_is_made_anew() {
    for text_index in [TextIndex::Words, TextIndex::None] {
        let fresh = Fresh::postgres_with(TextIndex::None).await;
        fresh.put(&[numbered(1)]).await;
        let database = connect(&fresh).await;
        // Who makes an index waits for whoever is about to write.
        let writer = database.begin().await.unwrap();
        writer.execute_unprepared("UPDATE events SET severity = severity").await.unwrap();
        let impatient = format!("{}&options=-c%20statement_timeout%3D300", fresh.settings.url);
        let impatient = sea_orm::Database::connect(impatient).await.unwrap();
        let cut = "CREATE INDEX CONCURRENTLY events_all_terms ON events USING gin (terms)";
        assert!(impatient.execute_unprepared(cut).await.is_err(), "it was not cut short");
        writer.rollback().await.unwrap();
        assert_eq!((count(&database, INDEXES).await, count(&database, VALID_INDEXES).await), (1, 0));
        let store = fresh.another(text_index).await;
        assert!(!store.is_text_index_arranged().await.unwrap());

        store.arrange_text_index().await.unwrap();

        let expected = i64::from(text_index == TextIndex::Words);
        assert_eq!(
            (count(&database, INDEXES).await, count(&database, VALID_INDEXES).await),
            (expected, expected)
        );
        assert_eq!(found(&store, "payment").await, ["1"]);
    }
}

/// The making of an index waits for every transaction that is older. Those who wait for it must not be such.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn instances_that_start_while_one_makes_the_index_wait_for_it() {
    let fresh = Fresh::postgres_with(TextIndex::None).await;
    let database = connect(&fresh).await;
    let writer = database.begin().await.unwrap();
    writer.execute_unprepared("UPDATE events SET severity = severity").await.unwrap();
    let mut instances = JoinSet::new();
    for _ in 0..4 {
        let store = fresh.another(TextIndex::Words).await;
        instances.spawn(async move {
            store.migrate().await.unwrap();
            store.arrange_text_index().await.unwrap();
        });
    }
    let begun = Instant::now();
    while count(&database, INDEXES).await == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody began");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Events are stored and found meanwhile.
    fresh.put(&[numbered(1)]).await;
    assert_eq!(fresh.found(&[("q", "payment")]).await, ["1"]);
    // Longer than it takes PostgreSQL to find out who waits for whom.
    let late = fresh.another(TextIndex::Words).await;
    let late = tokio::spawn(async move { late.migrate().await });
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(count(&database, VALID_INDEXES).await, 0);
    writer.rollback().await.unwrap();

    instances.join_all().await;
    late.await.unwrap().unwrap();
    assert_eq!(count(&database, VALID_INDEXES).await, 1);
}
