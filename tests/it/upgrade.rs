//! While servers are replaced one by one, those of the release before work on the schema of the one after.

use pulsestream_tests::{
    App, Combination, Trial, backup::refusal, command, event_with_id, on_some, trials::DEFAULT_CAP, unique,
};

/// Limits have no part in it.
const STORES: [Combination; 2] = [Combination::SQLITE, Combination::POSTGRES];

pub(crate) fn trials() -> Vec<Trial> {
    on_some![
        &STORES, within DEFAULT_CAP;
        a_server_works_on_with_a_later_schema_and_says_so,
        a_schema_of_something_else_is_refused,
    ]
}

async fn note_step(app: &App, name: &str) {
    let step = format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{name}', 0)");
    app.ground().try_execute(&step).await.expect("the table is there");
}

async fn a_server_works_on_with_a_later_schema_and_says_so(combination: Combination) {
    let before = App::start(combination).await;
    let tenant = before.unlimited_tenant().await;
    for statement in
        ["ALTER TABLE events ADD COLUMN later text NULL", "CREATE TABLE later (id bigint PRIMARY KEY)"]
    {
        before.ground().try_execute(statement).await.expect("a step may do that");
    }
    note_step(&before, "m29991231_000001_later").await;

    let after = before.another().await;

    for app in [&before, &after] {
        let (client, id) = (tenant.at(app), unique("event"));
        app.anonymous().get("/readyz").await.expect(200);
        client.send(&event_with_id(&id)).await.expect(200);
        let found = client.search(&[("limit", "1")]).await.expect(200).json();
        assert_eq!(found["events"][0]["id"], id, "{found}");
    }
    assert!(after.process().log().contains("1 steps ahead of this version, up to m29991231_000001_later"));
    let mut migrate = command::program(after.ground(), after.settings());
    migrate.args(["migrate", "--json"]);
    let said = command::json(migrate).await;
    assert_eq!(said["steps_ahead"][0], "m29991231_000001_later", "{said}");
}

async fn a_schema_of_something_else_is_refused(combination: Combination) {
    let app = App::start(combination).await;
    note_step(&app, "m20200101_000001_earlier").await;
    let mut migrate = command::program(app.ground(), app.settings());
    migrate.arg("migrate");

    let why = refusal(&command::output(migrate).await);

    assert!(why.contains("m20200101_000001_earlier"), "{why}");
}
