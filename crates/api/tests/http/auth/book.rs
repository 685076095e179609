//! The book of changes over HTTP.

use std::time::Duration;

use actix_web::{http::Method, test::TestRequest};
use pulsestream_domain::{identity::Role, tenant::Limits};
use serde_json::{Value, json};

use super::{refusals, text};
use crate::harness::Surface;

const BOOK: &str = "/api/v1/auth/audit-log";

async fn entries(surface: &Surface, token: &str, query: &str) -> Vec<Value> {
    let answer = surface.as_bearer(token, Method::GET, &format!("{BOOK}{query}"), None).await.ok();
    answer["entries"].as_array().expect("an array").clone()
}

#[actix_web::test]
async fn the_book_says_who_did_what_from_where_with_which_request() {
    let surface = Surface::new().await;
    let later = || surface.clock.advance(Duration::from_secs(1));
    later();
    let owner = surface.person(Role::Owner).await;
    later();
    let make = TestRequest::post()
        .uri("/api/v1/auth/api-keys")
        .insert_header(("authorization", format!("Bearer {}", owner.access)))
        .insert_header(("x-request-id", "the-request"));
    let made = surface.send_with(make, Some(&json!({"name": "ci"}))).await.ok();
    later();
    surface.login("owner@example.com", "wrong horse battery").await;

    let [failed, created, login] = &entries(&surface, &owner.access, "?limit=3").await[..] else {
        panic!("three entries")
    };

    assert_eq!((&created["action"], &created["request_id"]), (&json!("key.created"), &json!("the-request")));
    assert_eq!(created["actor"], format!("user:{}", owner.id));
    assert_eq!(created["target"], format!("key:{}", text(&made["id"])));
    assert_eq!((&created["ip"], &created["before_hash"]), (&json!("192.0.2.7"), &Value::Null));
    assert_eq!(created["after_hash"].as_str().map(str::len), Some(64));
    assert_eq!((&failed["action"], &failed["actor"]), (&json!("login.failed"), &json!("anonymous")));
    assert_eq!(failed["target"], format!("user:{}", owner.id));
    assert_eq!(login["action"], "login.succeeded");
}

#[actix_web::test]
async fn the_book_is_searched_and_paged_and_a_cursor_belongs_to_its_search() {
    let surface = Surface::new().await;
    let owner = surface.person(Role::Owner).await;
    let (_, other_key) = surface.new_tenant("second", Limits::default()).await;
    for name in ["a", "b", "c"] {
        let body = json!({"name": name});
        surface.as_bearer(&owner.access, Method::POST, "/api/v1/auth/api-keys", Some(&body)).await.ok();
    }
    let by_owner = format!("?actor=user:{}&action=key.created", owner.id);
    assert_eq!(entries(&surface, &owner.access, &by_owner).await.len(), 3);
    assert_eq!(entries(&surface, &owner.access, "?action=key.created").await.len(), 4);
    assert_eq!(entries(&surface, &owner.access, "?end_time=2020-01-01T00:00:00Z").await.len(), 0);

    let page = async |cursor: &str| {
        let path = format!("{BOOK}{by_owner}&limit=2{cursor}");
        surface.as_bearer(&owner.access, Method::GET, &path, None).await
    };
    let first = page("").await.ok();
    assert_eq!((first["entries"].as_array().map(Vec::len), &first["has_more"]), (Some(2), &json!(true)));
    let cursor = text(&first["next_cursor"]);
    let second = page(&format!("&cursor={cursor}")).await.ok();
    assert_eq!((second["entries"].as_array().map(Vec::len), &second["has_more"]), (Some(1), &json!(false)));
    assert_eq!(second["next_cursor"], Value::Null);

    let elsewhere =
        surface.as_bearer(&owner.access, Method::GET, &format!("{BOOK}?cursor={cursor}"), None).await;
    assert_eq!(refusals(&elsewhere), ["422 invalid", "/cursor bad_cursor"]);
    let bad = format!("{BOOK}?actor=me&action=party&start_time=now");
    let bad = surface.as_bearer(&owner.access, Method::GET, &bad, None).await;
    let expected =
        ["422 invalid", "/start_time bad_timestamp", "/actor unknown_value", "/action unknown_value"];
    assert_eq!(refusals(&bad), expected);
    let foreign = surface.as_bearer(&other_key, Method::GET, BOOK, None).await;
    assert_eq!(foreign.problem(), (403, "insufficient_scope".to_owned()));
}

#[actix_web::test]
async fn the_book_is_exported_whole() {
    let surface = Surface::new().await;
    let owner = surface.person(Role::Owner).await;
    let all = entries(&surface, &owner.access, "?limit=1000").await;
    let export = async |query: &str| {
        surface.as_bearer(&owner.access, Method::GET, &format!("{BOOK}/export{query}"), None).await
    };

    let lines = export("").await;
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> =
        lines.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines, all);
    let csv = export("?format=csv&action=user.created").await;
    let rows: Vec<&str> = csv.text().lines().collect();
    assert_eq!(rows[0], "id,at,actor,action,target,before_hash,after_hash,ip,request_id");
    assert_eq!(rows.len(), 2);
    assert!(rows[1].contains(",operator,user.created,user:"), "{}", rows[1]);
}
