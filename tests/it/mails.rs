//! Letters about accounts, through a mail server that is not ours.

use std::time::Duration;

use pulsestream_tests::{App, Combination, Person, Trial, on_some, person::with_token, unique};
use serde_json::{Value, json};

use crate::mail_server::{self, MailServer};

const EACH_DATABASE: [Combination; 2] = [Combination::SQLITE, Combination::POSTGRES];
const CONFIRM: &str = "/api/v1/auth/password-reset/confirm";
const PUBLIC_URL: &str = "https://pulse.example.com/";

pub(crate) fn trials() -> Vec<Trial> {
    on_some!(
        &EACH_DATABASE, within Duration::from_secs(60);
        a_forgotten_password_is_set_anew_with_a_link_that_came_by_mail,
        a_new_user_chooses_a_password_with_a_link_that_came_by_mail,
    )
}

async fn server(combination: Combination) -> (App, MailServer) {
    let mails = MailServer::start().await;
    let builder = mails.used_by(App::builder(combination), mail_server::PASSWORD);
    (builder.set("server.public_url", PUBLIC_URL).start().await, mails)
}

/// Sets a password with the link in a letter, and answers with the token.
async fn choose(app: &App, link: &str, password: &str) -> String {
    let token = link.strip_prefix("https://pulse.example.com/reset-password#");
    let token = token.unwrap_or_else(|| panic!("a link to the service: {link}")).to_owned();
    let body = json!({"token": token, "new_password": password});
    app.anonymous().post(CONFIRM, &body).await.expect(200);
    token
}

async fn a_forgotten_password_is_set_anew_with_a_link_that_came_by_mail(combination: Combination) {
    let (app, mails) = server(combination).await;
    let person = Person::create(&app, &app.tenant().await, "viewer").await;
    let body = json!({"email": person.email, "tenant_slug": person.slug});
    app.anonymous().post("/api/v1/auth/password-reset/request", &body).await.expect(200);

    let letter = mails.letter().await;

    assert_eq!(letter.to, json!([person.email]));
    let token = choose(&app, letter.link(), "a password of another kind").await;
    person.login(&app, "a password of another kind").await.expect(200);
    let again = json!({"token": token, "new_password": "yet another password"});
    assert_eq!(app.anonymous().post(CONFIRM, &again).await.expect(400).code(), "invalid_token");
}

async fn a_new_user_chooses_a_password_with_a_link_that_came_by_mail(combination: Combination) {
    let (app, mails) = server(combination).await;
    let tenant = app.tenant().await;
    let owner = with_token(&app, &Person::create(&app, &tenant, "owner").await.tokens(&app).await);
    let email = format!("{}-{}@example.com", unique("invited"), tenant.canary);
    let made = owner.post("/api/v1/auth/register/user", &json!({"email": email})).await.expect(200).json();
    let brought = json!({"email": format!("own-{email}"), "password": "a password of their own"});
    owner.post("/api/v1/auth/register/user", &brought).await.expect(200);

    let letter = mails.letter().await;

    assert_eq!(letter.to, json!([email]), "who brought a password is not invited");
    let once = made["one_time_password"].as_str().expect("a password");
    assert!(!letter.text.contains(once), "a mail holds no password");
    choose(&app, letter.link(), "chosen by the invited").await;
    let person = Person { id: String::new(), email, slug: tenant.slug.clone() };
    let tokens = person.login(&app, "chosen by the invited").await.expect(200).json();
    assert_eq!(tokens["must_change_password"], Value::Bool(false));
}
