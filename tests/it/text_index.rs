//! A server that does not index words finds what one that does has stored, and the other way round.

use pulsestream_tests::{
    App, Client, Combination, Trial, backup::refusal, client::event_path, command, event_with_id, on_some,
    trials::DEFAULT_CAP,
};
use serde_json::json;

/// Limits have no part in it.
const STORES: [Combination; 2] = [Combination::SQLITE, Combination::POSTGRES];
const SETTING: &str = "search.text_index";
/// Before all events of these trials.
const SINCE: (&str, &str) = ("start_time", "2020-01-01T00:00:00Z");

pub(crate) fn trials() -> Vec<Trial> {
    on_some![
        &STORES, within DEFAULT_CAP;
        a_search_for_words_without_an_index_needs_a_time_and_says_what_it_did,
        the_setting_can_be_changed_at_a_restart_either_way,
        a_server_that_may_not_change_the_database_says_what_is_to_be_done,
    ]
}

async fn send(tenant: &Client, id: &str) {
    let mut event = event_with_id(id);
    event["title"] = json!("Crimson order");
    tenant.send(&event).await.expect(200);
}

/// The ids that a search for the word finds, sorted.
async fn found(client: &Client) -> Vec<String> {
    let mut ids = client.found(&[("q", "crim*"), SINCE]).await;
    ids.sort();
    ids
}

async fn a_search_for_words_without_an_index_needs_a_time_and_says_what_it_did(combination: Combination) {
    let app = App::builder(combination).set(SETTING, "none").start().await;
    let tenant = app.tenant().await;
    send(&tenant, "one").await;

    let refused = tenant.search(&[("q", "crimson")]).await.expect(422).json();
    assert_eq!(refused["errors"][0]["pointer"], "/start_time", "{refused}");
    let answer = tenant.search(&[("q", "crimson"), SINCE]).await.expect(200).json();
    assert_eq!(
        (&answer["text_index"], &answer["events"][0]["id"]),
        (&json!("none"), &json!("one")),
        "{answer}"
    );
    let answer = tenant.search(&[("service", "*")]).await.expect(200).json();
    assert_eq!((answer.get("text_index"), &answer["total_count"]), (None, &json!(1)), "{answer}");

    let mut search = command::program(app.ground(), app.settings());
    search.args(["search", "--tenant", &tenant.slug, "q=crimson"]);
    assert!(refusal(&command::output(search).await).contains("start_time is required with q and tags"));
    let mut search = command::program(app.ground(), app.settings());
    search.args(["search", "--tenant", &tenant.slug, "q=crimson", "start_time=2020-01-01T00:00:00Z"]);
    let said = command::output(search).await;
    let said = String::from_utf8_lossy(&said.stdout);
    assert!(said.contains("1 of 1 events") && said.contains("words are not indexed"), "{said}");
}

async fn the_setting_can_be_changed_at_a_restart_either_way(combination: Combination) {
    let indexed = App::start(combination).await;
    let tenant = indexed.tenant().await;
    send(&tenant, "1").await;

    let unindexed = indexed.another_with(&[(SETTING, "none")], None).await;
    send(&tenant.at(&unindexed), "2").await;
    // The one that goes on as before finds it, too.
    assert_eq!(tenant.found(&[("q", "crimson"), ("order", "asc")]).await, ["1", "2"]);
    assert_eq!(found(&tenant.at(&unindexed)).await, ["1", "2"]);

    let again = unindexed.another_with(&[(SETTING, "words")], None).await;
    send(&tenant.at(&again), "3").await;
    let client = tenant.at(&again);
    assert_eq!(client.found(&[("q", "crimson"), ("order", "asc")]).await, ["1", "2", "3"]);
    assert_eq!(found(&tenant.at(&unindexed)).await, ["1", "2", "3"]);
    client.delete(&event_path("2")).await.expect(200);
    for app in [&indexed, &unindexed, &again] {
        assert_eq!(found(&tenant.at(app)).await, ["1", "3"]);
    }
    assert!(again.process().log().contains("making the index of words"), "{}", again.process().log());
}

async fn a_server_that_may_not_change_the_database_says_what_is_to_be_done(combination: Combination) {
    let unindexed = App::builder(combination).set(SETTING, "none").start().await;
    let tenant = unindexed.tenant().await;
    send(&tenant, "one").await;
    let mut settings = unindexed.settings().to_vec();
    settings.extend([
        ("database.migrate_on_start".to_owned(), "false".to_owned()),
        (SETTING.to_owned(), "words".to_owned()),
    ]);

    let refused = command::output(command::serve(unindexed.ground(), &settings, None)).await;
    let why = refusal(&refused);
    assert!(why.contains(SETTING) && why.contains("pulsestream migrate"), "{why}");
    let mut migrate = command::program(unindexed.ground(), &settings);
    migrate.arg("migrate");
    assert!(command::output(migrate).await.status.success());

    let changed = [("database.migrate_on_start", "false"), (SETTING, "words")];
    let indexed = unindexed.another_with(&changed, None).await;
    assert_eq!(tenant.at(&indexed).found(&[("q", "crimson")]).await, ["one"]);
}
