//! The HTTP client of `import`, `search`, `bench` and `healthcheck`.

use std::{fmt, time::Duration};

use anyhow::{Context, Result, ensure};
use pulsestream_domain::api_key::ApiKey;
use reqwest::{ClientBuilder, RequestBuilder, header::USER_AGENT};
use url::Url;

/// A server, and the key to show it.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    key: Option<ApiKey>,
}

impl Client {
    /// A client of the server at a URL such as `https://events.example.com`.
    ///
    /// # Errors
    /// When the URL is not of HTTP.
    pub(crate) fn new(base: &Url, key: Option<ApiKey>, timeout: Duration) -> Result<Self> {
        Self::build(base, key, reqwest::Client::builder().timeout(timeout))
    }

    /// A client without a key that takes any certificate: for a server on this very host.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn trusting_anybody(base: &Url, timeout: Duration) -> Result<Self> {
        Self::build(
            base,
            None,
            reqwest::Client::builder().timeout(timeout).tls_danger_accept_invalid_certs(true),
        )
    }

    fn build(base: &Url, key: Option<ApiKey>, builder: ClientBuilder) -> Result<Self> {
        ensure!(matches!(base.scheme(), "http" | "https"), "the URL has to start with http:// or https://");
        ensure!(base.password().is_none(), "the URL must not hold a password: use --key");
        let builder = builder.connect_timeout(Duration::from_secs(5));
        // Without TLS no certificates are looked for, so plain HTTP works on systems that have none.
        let builder = if base.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
        let http = builder.build().context("preparing the HTTP client")?;
        Ok(Self { http, base: base.clone(), key })
    }

    /// A GET of a path below the base URL.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.with_headers(self.http.get(self.address(path)))
    }

    /// A POST to a path below the base URL.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.with_headers(self.http.post(self.address(path)))
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    fn with_headers(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.header(USER_AGENT, concat!("pulsestream/", env!("CARGO_PKG_VERSION")));
        match &self.key {
            Some(key) => request.header("x-api-key", key.reveal()),
            None => request,
        }
    }
}

/// Without the key.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}
