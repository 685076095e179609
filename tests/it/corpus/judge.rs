//! An answer held against what its case expects, and against what holds for every answer.

use serde_json::Value;

use super::{
    exchange::{Heard, RawAnswer},
    names::Names,
    piece,
    table::Expectation,
};

/// What is wrong with what was heard.
pub(super) fn complaints(expect: &Expectation, heard: &Heard, names: &Names) -> Vec<String> {
    let mut wrong = Vec::new();
    if expect.closed && !heard.closed {
        wrong.push("the connection stays open".to_owned());
    }
    if let Some(seconds) = expect.within
        && heard.took.as_secs_f64() > seconds as f64
    {
        wrong.push(format!("it took {:.1} s instead of at most {seconds} s", heard.took.as_secs_f64()));
    }
    let wanted = if expect.status.is_some() { expect.answers } else { 0 };
    if expect.or_unanswered && heard.answers.is_empty() {
        return wrong;
    }
    if heard.answers.len() != wanted {
        wrong.push(format!("{} answers instead of {wanted}: {:?}", heard.answers.len(), statuses(heard)));
    }
    for answer in &heard.answers {
        wrong.extend(about(expect, answer, names));
    }
    wrong
}

fn statuses(heard: &Heard) -> Vec<u64> {
    heard.answers.iter().map(|answer| answer.status).collect()
}

fn about(expect: &Expectation, answer: &RawAnswer, names: &Names) -> Vec<String> {
    let mut wrong = Vec::new();
    if expect.status.is_some_and(|status| status != answer.status) {
        wrong.push(format!("{} instead of {:?}: {}", answer.status, expect.status, shown(answer)));
        return wrong;
    }
    if !(expect.by_parser && answer.body.is_empty()) {
        wrong.extend(breaches(answer).map(|breach| format!("{breach}: {}", shown(answer))));
    }
    let body = answer.json();
    wrong.extend(wrong_codes(expect, &body).map(|what| format!("{what}: {}", shown(answer))));
    if let Some(items) = &expect.items {
        wrong.extend(wrong_items(items, &body));
    }
    if let Some(part) = &expect.body {
        let text = names.fill_in(&part.to_string()).into_owned();
        let part = serde_json::from_str(&text).expect("names hold nothing that has to be escaped");
        if !has(&body, &part) {
            wrong.push(format!("the body lacks {part}: {}", shown(answer)));
        }
    }
    for (name, value) in &expect.headers {
        let (given, is_right) = (answer.header(name), |given: Option<&str>| match value {
            Value::Null => given.is_none(),
            value if value == "*" => given.is_some(),
            value => given == Some(&piece::text(value, names)),
        });
        if !is_right(given) {
            wrong.push(format!("{name} is {given:?} instead of {value}"));
        }
    }
    wrong
}

/// Rules that hold for every answer of the service.
fn breaches(answer: &RawAnswer) -> impl Iterator<Item = String> {
    let mut wrong = Vec::new();
    let mut require = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    let request_id = answer.header("x-request-id");
    require(request_id.is_some(), "no X-Request-Id");
    require(answer.header("x-process-time").is_some(), "no X-Process-Time");
    require(answer.header("x-content-type-options") == Some("nosniff"), "no nosniff");
    let body = answer.json();
    if answer.status >= 400 && body.get("results").is_none() && !answer.body.is_empty() {
        require(answer.header("content-type") == Some("application/problem+json"), "no problem+json");
        require(body["status"] == answer.status, "another status inside");
        require(body["request_id"].as_str() == request_id, "another request id inside");
        for name in ["type", "title", "detail", "code"] {
            require(body[name].as_str().is_some_and(|text| !text.is_empty()), &format!("no {name}"));
        }
    }
    require(answer.status != 401 || answer.header("www-authenticate").is_some(), "no WWW-Authenticate");
    require(answer.status != 405 || answer.header("allow").is_some(), "no Allow");
    require(!matches!(answer.status, 429 | 503) || answer.header("retry-after").is_some(), "no Retry-After");
    wrong.into_iter()
}

fn wrong_codes(expect: &Expectation, body: &Value) -> impl Iterator<Item = String> {
    let found = codes(body);
    let is_found = match (&expect.code, &expect.pointer) {
        (None, None) => true,
        (Some(code), None) => found.iter().any(|(known, _)| known == code),
        (None, Some(pointer)) => found.iter().any(|(_, at)| at == pointer),
        (Some(code), Some(pointer)) => found.iter().any(|pair| (&pair.0, &pair.1) == (code, pointer)),
    };
    let what = format!("not {:?} at {:?}", expect.code, expect.pointer);
    (!is_found).then_some(what).into_iter()
}

/// Every code of a problem or a batch's answer, and where it points.
fn codes(body: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = body["results"].as_array().into_iter().flatten();
    let mut found = Vec::new();
    for part in items.chain([body]) {
        found.push((text(&part["code"]), String::new()));
        let errors = part["errors"].as_array().into_iter().flatten();
        found.extend(errors.map(|error| (text(&error["code"]), text(&error["pointer"]))));
    }
    found
}

fn wrong_items(expected: &[String], body: &Value) -> Option<String> {
    let mut wanted = Vec::new();
    for item in expected {
        let (ending, times) = item.split_once('*').unwrap_or((item, "1"));
        let times: usize = times.parse().expect("a number follows the star");
        wanted.extend(std::iter::repeat_n(ending, times));
    }
    let items = body["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    let fits = |(item, wanted): (&Value, &&str)| match wanted.split_once(':') {
        None => item["status"] == **wanted,
        Some((status, code)) => {
            item["status"] == status && codes(item).iter().any(|(known, _)| known == code)
        }
    };
    let is_right = items.len() == wanted.len()
        && items.iter().zip(&wanted).all(fits)
        && items.iter().enumerate().all(|(index, item)| item["index"] == index);
    (!is_right).then(|| format!("the items are not {expected:?}: {}", cut(&body["results"].to_string())))
}

/// Whether a value has all members and items of a part; the rest is free.
fn has(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| has(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| has(whole, part))
        }
        _ => whole == part,
    }
}

fn shown(answer: &RawAnswer) -> String {
    format!("{} {}", answer.status, cut(&String::from_utf8_lossy(&answer.body)))
}

/// As much of a text as fits into a report.
pub(super) fn cut(text: &str) -> String {
    const SHOWN: usize = 700;
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
