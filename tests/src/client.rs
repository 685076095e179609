//! HTTP as clients speak it.

use std::{sync::LazyLock, time::Duration};

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};

use crate::{Answer, canary};

/// Longer than any time limit of the server, so that the server's limit is what a trial sees.
const PATIENCE: Duration = Duration::from_secs(40);

const EVENTS: &str = "/api/v1/ingestion/events";

static HTTP: LazyLock<reqwest::Client> = LazyLock::new(|| {
    // reqwest wants one, also for plain HTTP. Another part of the process may have installed it.
    _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
    builder.build().expect("the provider is installed")
});

/// A client of one server with at most one credential. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    key: Option<String>,
    token: Option<String>,
}

impl Client {
    pub(crate) fn new(base: String) -> Self {
        Self { base, key: None, token: None }
    }

    /// The same client with this API key, which it sends as `X-API-Key`.
    pub fn with_key(&self, key: &str) -> Self {
        Self { base: self.base.clone(), key: Some(key.to_owned()), token: None }
    }

    /// The same client with this access token, which it sends as `Authorization: Bearer`.
    pub fn with_token(&self, token: &str) -> Self {
        Self { base: self.base.clone(), key: None, token: Some(token.to_owned()) }
    }

    /// The same client of another address.
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// A request with the credential on it. `path` starts with `/` and may have a query.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = HTTP.request(method, format!("{}{path}", self.base));
        match (&self.key, &self.token) {
            (Some(key), _) => request.header("X-API-Key", key),
            (None, Some(token)) => request.bearer_auth(token),
            (None, None) => request,
        }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn try_execute(&self, request: RequestBuilder) -> reqwest::Result<Answer> {
        let request = request.build()?;
        let asked = header_lines(request.headers());
        // Cheap: a body that is no stream is shared, not copied.
        let sent = request.try_clone();
        let response = HTTP.execute(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = Answer { status, headers, body: response.bytes().await? };
        let sent = sent.as_ref().and_then(|sent| sent.body()?.as_bytes()).unwrap_or_default();
        canary::heard(&asked, sent, &[&header_lines(&answer.headers), &answer.body]);
        Ok(answer)
    }

    /// The event with the canary of the client's tenant in its metadata, if it has none of its own.
    pub fn marked(&self, event: &Value) -> Value {
        let mut event = event.clone();
        let credential = self.key.as_deref().or(self.token.as_deref());
        if let (Some(members), Some(canary)) = (event.as_object_mut(), credential.and_then(canary::of)) {
            members.entry("metadata").or_insert_with(|| json!({"canary": canary}));
        }
        event
    }

    /// As [`try_execute`](Self::try_execute), where there has to be an answer.
    pub async fn execute(&self, request: RequestBuilder) -> Answer {
        self.try_execute(request).await.unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// `GET` of a path.
    pub async fn get(&self, path: &str) -> Answer {
        self.execute(self.request(Method::GET, path)).await
    }

    /// `DELETE` of a path.
    pub async fn delete(&self, path: &str) -> Answer {
        self.execute(self.request(Method::DELETE, path)).await
    }

    /// `POST` of a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.execute(self.request(Method::POST, path).json(body)).await
    }

    /// Sends one event, [marked](Self::marked).
    pub async fn send(&self, event: &Value) -> Answer {
        self.post(EVENTS, &self.marked(event)).await
    }

    /// Sends one event, and takes that there may be no answer.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn try_send(&self, event: &Value) -> reqwest::Result<Answer> {
        self.try_execute(self.request(Method::POST, EVENTS).json(&self.marked(event))).await
    }

    /// Sends a batch of events, [marked](Self::marked).
    pub async fn send_batch(&self, events: &[Value]) -> Answer {
        let events: Vec<Value> = events.iter().map(|event| self.marked(event)).collect();
        self.post(&format!("{EVENTS}/batch"), &json!({"events": events})).await
    }

    /// `POST` of any body.
    pub async fn send_bytes(&self, path: &str, content_type: &str, body: impl Into<Bytes>) -> Answer {
        let request = self.request(Method::POST, path).header("Content-Type", content_type);
        self.execute(request.body(body.into())).await
    }

    /// The event with this id.
    pub async fn event(&self, event_id: &str) -> Answer {
        self.get(&event_path(event_id)).await
    }

    /// The events that match these parameters.
    pub async fn search(&self, parameters: &[(&str, &str)]) -> Answer {
        let request = self.request(Method::GET, &query(&format!("{EVENTS}/search"), parameters));
        self.execute(request).await
    }

    /// The ids that a search finds on its one page, in its order.
    pub async fn found(&self, parameters: &[(&str, &str)]) -> Vec<String> {
        let answer = self.search(parameters).await.expect(200).json();
        ids(&answer["events"])
    }
}

fn header_lines(headers: &HeaderMap) -> Vec<u8> {
    let lines = headers
        .iter()
        .map(|(name, value)| [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat());
    lines.collect::<Vec<_>>().concat()
}

/// The path of an event, whatever its id.
pub fn event_path(event_id: &str) -> String {
    let mut path = format!("{EVENTS}/");
    for byte in event_id.bytes() {
        path.push_str(&format!("%{byte:02X}"));
    }
    path
}

/// A path with these parameters.
pub fn query(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("http://server").expect("a constant").join(path).expect("a path");
    url.query_pairs_mut().extend_pairs(parameters);
    let query = url.query().filter(|query| !query.is_empty()).map(|query| format!("?{query}"));
    format!("{path}{}", query.unwrap_or_default())
}

/// The ids of events of a search.
#[track_caller]
pub fn ids(events: &Value) -> Vec<String> {
    let events = events.as_array().expect("events are an array");
    events.iter().map(|event| event["id"].as_str().expect("an id is a text").to_owned()).collect()
}
