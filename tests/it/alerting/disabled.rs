//! Channels that the service disables, and who hears of it.

use std::time::Duration;

use pulsestream_tests::{App, AppBuilder, Combination, Person, Tenant, Trial, on_some};
use serde_json::{Value, json};

use super::{EACH_DATABASE, get, post, put, receiver::Receiver, rule, text, with_status};
use crate::mail_server::{self, MailServer};

pub(super) fn trials() -> Vec<Trial> {
    on_some!(
        &EACH_DATABASE, within Duration::from_secs(60);
        owners_get_a_letter_when_the_receiver_of_a_channel_is_gone,
        without_a_mail_server_the_channel_and_its_deliveries_tell_that_it_is_disabled,
        letters_to_owners_count_for_the_daily_limit,
    )
}

fn builder(combination: Combination) -> AppBuilder {
    App::builder(combination)
        .set("alerting.ingest_delay", "0s")
        .set("alerting.allow_http", true)
        .set("alerting.allow_private_destinations", true)
        .set("alerting.private_ports", "1024-65535")
        .set("jobs.poll_interval", "100ms")
}

/// A webhook whose receiver says that it is gone, and an alert that it is told of. Answers with the channel's path.
async fn tell_of_alert(tenant: &Tenant, gone: &Receiver) -> String {
    let channel = json!({"name": "hook", "type": "webhook", "url": gone.url()});
    let channel = post(tenant, "/channels", &channel).await;
    let made = post(tenant, "/rules", &rule(&json!({"notification_channels": ["hook"]}))).await;
    tenant.send_batch(&[with_status(500), with_status(500)]).await.expect(200);
    post(tenant, &format!("/rules/{}/test", text(&made["rule_id"])), &json!({})).await;
    format!("/channels/{}", text(&channel["channel"]["id"]))
}

/// The one delivery to the owners about a channel, when it stands as it is to.
async fn owners_told(tenant: &Tenant, channel: &str, is_meant: impl Fn(&Value) -> bool) -> Value {
    let id = channel.trim_start_matches("/channels/");
    loop {
        let listed = get(tenant, &format!("/deliveries?channel_id={id}")).await;
        let all = listed["deliveries"].as_array().expect("a list");
        let told: Vec<&Value> = all.iter().filter(|one| one["reason"] == "owners_told").collect();
        assert!(told.len() <= 1, "{listed}");
        if let Some(told) = told.first().filter(|told| is_meant(told)) {
            return get(tenant, &format!("/deliveries/{}", text(&told["id"]))).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn owners_get_a_letter_when_the_receiver_of_a_channel_is_gone(combination: Combination) {
    let mails = MailServer::start().await;
    let app = mails.used_by(builder(combination), mail_server::PASSWORD).start().await;
    let tenant = app.tenant().await;
    let (one, other) =
        (Person::create(&app, &tenant, "owner").await, Person::create(&app, &tenant, "owner").await);
    Person::create(&app, &tenant, "admin").await;
    let gone = Receiver::answering(&tenant, "410 Gone").await;
    let channel = tell_of_alert(&tenant, &gone).await;
    gone.next().await;

    let letters = [mails.letter().await, mails.letter().await];

    let to: Vec<&Value> = letters.iter().map(|letter| &letter.to).collect();
    assert_eq!(to, [&json!([one.email]), &json!([other.email])]);
    for letter in &letters {
        assert!(letter.text.contains("The channel 'hook' was disabled"), "{}", letter.text);
        assert!(letter.text.contains("its receiver says that it is gone"), "{}", letter.text);
    }
    let told = owners_told(&tenant, &channel, |told| told["state"] == "delivered").await;
    assert_eq!(told["attempts"].as_array().expect("a list").len(), 1, "{told}");
    let shown = get(&tenant, &channel).await;
    assert_eq!(shown["channel"]["enabled"], false, "{shown}");
}

async fn without_a_mail_server_the_channel_and_its_deliveries_tell_that_it_is_disabled(
    combination: Combination,
) {
    let app = builder(combination).start().await;
    let tenant = app.tenant().await;
    Person::create(&app, &tenant, "owner").await;
    let gone = Receiver::answering(&tenant, "410 Gone").await;
    let channel = tell_of_alert(&tenant, &gone).await;

    let told = owners_told(&tenant, &channel, |told| told["state"] == "failed").await;

    assert_eq!(told["attempts"][0]["error"], "no mail server is set up", "{told}");
    let shown = get(&tenant, &channel).await;
    assert_eq!(shown["channel"]["disabled_reason"], "its receiver says that it is gone", "{shown}");
    app.logged("a channel is disabled", 1).await;
}

async fn letters_to_owners_count_for_the_daily_limit(combination: Combination) {
    let mails = MailServer::start().await;
    let app = mails
        .used_by(builder(combination), mail_server::PASSWORD)
        .set("alerting.letters_per_day", 1)
        .start()
        .await;
    let tenant = app.tenant().await;
    Person::create(&app, &tenant, "owner").await;
    let gone = Receiver::answering(&tenant, "410 Gone").await;
    let channel = tell_of_alert(&tenant, &gone).await;
    mails.letter().await;
    owners_told(&tenant, &channel, |told| told["state"] == "delivered").await;
    let renewed = json!({"name": "hook", "type": "webhook", "url": gone.url(), "enabled": true});
    put(&tenant, &channel, &renewed).await;
    let rules = get(&tenant, "/rules").await;
    let rule = format!("/rules/{}", text(&rules["rules"][0]["id"]));
    let alerts = get(&tenant, "/alerts").await;
    post(&tenant, &format!("/alerts/{}/resolve", text(&alerts["alerts"][0]["id"])), &json!({})).await;
    post(&tenant, &format!("{rule}/test"), &json!({})).await;

    let id = channel.trim_start_matches("/channels/");
    let waiting = loop {
        let listed = get(&tenant, &format!("/deliveries?channel_id={id}&state=pending")).await;
        let told = listed["deliveries"].as_array().expect("a list").iter().find(|one| {
            one["reason"] == "owners_told" && one["next_attempt_at"].as_str() > one["created_at"].as_str()
        });
        if let Some(told) = told {
            break told.clone();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(waiting["attempt_count"], 0, "it was only put off: {waiting}");
}
