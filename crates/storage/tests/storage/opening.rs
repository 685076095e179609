//! What is opened, and what is refused.

use pulsestream_domain::ports::{EventStore as _, StoreError};
use pulsestream_storage::{Database, OpenError, Settings, Store};
use pulsestream_testing::{postgres::PostgresServer, shared};

use crate::support::{Fresh, TENANT, event, on_both};

on_both!(a_store_that_is_closed_answers_with_errors);

async fn a_store_that_is_closed_answers_with_errors(fresh: &Fresh) {
    fresh.put(&[event(TENANT, "a")]).await;
    fresh.store.ping().await.unwrap();

    fresh.store.close().await;

    assert!(matches!(fresh.store.ping().await, Err(StoreError::Unavailable(_))));
    let refused = fresh.store.append(&[event(TENANT, "b")]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}

async fn refused(url: &str) -> OpenError {
    Store::connect(&Settings::new(url)).await.err().unwrap_or_else(|| panic!("{url} was opened"))
}

#[tokio::test]
async fn a_url_of_no_known_database_is_refused() {
    for url in ["", "mysql://localhost/x", "/tmp/x.db", "http://localhost"] {
        assert!(matches!(refused(url).await, OpenError::UnknownScheme), "{url}");
    }
    for url in ["sqlite::memory:", "sqlite://x?mode=memory"] {
        assert!(matches!(refused(url).await, OpenError::InMemory), "{url}");
    }
    assert!(matches!(refused("postgres://localhost:port/x").await, OpenError::BadUrl(_)));
    assert!(matches!(refused("sqlite://x?mode=what").await, OpenError::BadUrl(_)));
}

#[tokio::test]
async fn an_sqlite_file_is_made_unless_the_url_says_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/new.db", directory.path().display());

    assert!(matches!(refused(&format!("{url}?mode=rw")).await, OpenError::NoSuchDatabase(_)));

    let store = Store::connect(&Settings::new(&url)).await.unwrap();
    assert_eq!(store.database(), Database::Sqlite);
    assert!(directory.path().join("new.db").exists());
    assert!(Store::connect(&Settings::new(format!("{url}?mode=rw"))).await.is_ok());
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named_as_the_reason() {
    let database = shared::databases().unwrap().fresh().unwrap();
    let missing = database.url().replace(database.name(), "no_such_database");
    assert!(matches!(refused(&missing).await, OpenError::NoSuchDatabase(_)));

    let directory = tempfile::tempdir().unwrap();
    let nobody = format!("postgres://postgres@localhost/postgres?host={}", directory.path().display());
    assert!(matches!(refused(&nobody).await, OpenError::Unreachable(_)));
}

#[tokio::test]
async fn a_server_that_could_lose_what_it_acknowledged_is_refused() {
    let server = PostgresServer::start_with(&[("fsync", "off")]).unwrap();
    let error = refused(&server.url("postgres")).await;
    assert!(matches!(error, OpenError::Unsafe { setting: "fsync", .. }), "{error:?}");

    let database = shared::databases().unwrap().fresh().unwrap();
    for (setting, value, expected) in
        [("synchronous_commit", "off", Some("synchronous_commit")), ("synchronous_commit", "local", None)]
    {
        let url = format!("{}&options=-c%20{setting}%3D{value}", database.url());
        match (Store::connect(&Settings::new(&url)).await, expected) {
            (Ok(_), None) => {}
            (Err(OpenError::Unsafe { setting, value: found }), Some(expected)) => {
                assert_eq!((setting, found.as_str()), (expected, value));
            }
            (answer, _) => panic!("{setting} = {value}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn a_database_that_can_not_hold_every_text_is_refused() {
    let database = shared::databases().unwrap().fresh().unwrap();
    let connection = sea_orm::Database::connect(database.url()).await.unwrap();
    let name = format!("{}_latin", &database.name()[..40]);
    let create = format!("CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    sea_orm::ConnectionTrait::execute_unprepared(&connection, &create).await.unwrap();

    let error = refused(&database.url().replace(database.name(), &name)).await;

    shared::databases().unwrap().drop(&name).unwrap();
    assert!(matches!(error, OpenError::WrongEncoding { .. }), "{error:?}");
}

#[test]
fn settings_do_not_show_the_password() {
    let settings = Settings::new("postgres://me:secret@host/db");
    assert!(!format!("{settings:?}").contains("secret"));
}
