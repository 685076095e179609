//! Where the server meets the network: TLS, headers, other origins, proxies, the address for operations, and
//! how many connections an address may have.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use pulsestream_tests::{
    App, Client, Combination, Overheard, Trial, command, event, event_with_id, on_all_four, once, sandbox,
};
use reqwest::Method;
use rustix::process::Signal;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);
const EVENTS: &str = "/api/v1/ingestion/events";
const ORIGIN: &str = "https://console.example.com";

pub(crate) fn trials() -> Vec<Trial> {
    let mut all = on_all_four![an_event_is_reached_whatever_its_id];
    all.extend(once![
        the_certificate_is_replaced_under_open_connections,
        an_answer_that_comes_before_its_body_was_read_arrives_over_tls,
        a_tls_server_is_asked_how_it_is_by_its_own_program,
        every_answer_has_its_headers_and_hsts_only_over_tls,
        no_other_origin_is_allowed_anything_by_default,
        a_named_origin_may_ask_and_read_and_no_other,
        the_client_is_whom_a_trusted_proxy_names_and_else_the_peer,
        operations_have_an_address_of_their_own,
        operations_can_be_asked_while_the_server_drains,
        an_address_has_only_so_many_connections,
        addresses_that_are_not_capped_have_any_number_of_connections,
        a_crowd_that_comes_while_the_server_does_nothing_is_connected_at_once,
    ]);
    all
}

/// A certificate for `localhost` in two files, and a client that trusts it alone.
struct Issued {
    certificate: String,
    key: String,
}

impl Issued {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    fn write(&self, directory: &Path) {
        fs::write(directory.join("cert.pem"), &self.certificate).expect("the directory is ours");
        fs::write(directory.join("key.pem"), &self.key).expect("the directory is ours");
    }

    async fn connect(&self, app: &App) -> std::io::Result<Overheard<TlsStream<TcpStream>>> {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("it is PEM");
        roots.add(certificate).expect("it is a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = config.expect("TLS works").with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from("localhost").expect("it is a name");
        let stream = TcpStream::connect(app.address()).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.map(Overheard::new)
    }
}

async fn tls_app(issued: &Issued) -> (App, PathBuf) {
    let directory = sandbox::directory();
    issued.write(&directory);
    let file = |name| directory.join(name).to_str().expect("it is text").to_owned();
    let settings = App::builder(Combination::SQLITE).set("tls.certificate", file("cert.pem"));
    (settings.set("tls.key", file("key.pem")).start().await, directory)
}

/// Sends a request on a connection that stays open, and answers with all of its answer.
async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    line: &str,
    headers: &str,
    body: &str,
) -> String {
    let length = body.len();
    let request =
        format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.expect("the connection is open");
    let mut answer = String::new();
    while !is_whole(&answer) {
        let mut part = [0; 4096];
        let read = timeout(PATIENCE, stream.read(&mut part)).await.expect("an answer comes");
        let read = read.expect("the connection is open");
        assert!(read > 0, "closed before the end of {answer}");
        answer.push_str(std::str::from_utf8(&part[..read]).expect("answers are text"));
    }
    answer
}

fn is_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    body.len() >= length.parse().expect("a number")
}

async fn the_certificate_is_replaced_under_open_connections() {
    let (old, new) = (Issued::new(), Issued::new());
    let (app, directory) = tls_app(&old).await;
    let tenant = app.tenant().await;
    let headers = format!("X-API-Key: {}\r\nContent-Type: application/json\r\n", tenant.key);
    let send = async |stream: &mut Overheard<TlsStream<TcpStream>>, id: &str| {
        ask(stream, &format!("POST {EVENTS}"), &headers, &event_with_id(id).to_string()).await
    };

    let mut open = old.connect(&app).await.expect("the server shows the first certificate");
    assert!(send(&mut open, "a").await.contains("accepted"));

    new.write(&directory);
    app.process().signal(Signal::HUP);
    app.logged("new connections get the certificate", 1).await;
    assert!(send(&mut open, "b").await.contains("accepted"), "the open connection goes on");
    assert!(old.connect(&app).await.is_err(), "the first certificate is still shown");
    let mut second = new.connect(&app).await.expect("the server shows the second certificate");
    assert!(send(&mut second, "c").await.contains("accepted"));

    for (time, certificate, key) in [(1, "no certificate", &new.key), (2, &new.certificate, &old.key)] {
        fs::write(directory.join("cert.pem"), certificate).expect("the directory is ours");
        fs::write(directory.join("key.pem"), key).expect("the directory is ours");
        app.process().signal(Signal::HUP);
        let line = app.logged("the old one stays", time).await;
        assert!(line["error"].as_str().is_some_and(|error| error.contains("tls.")), "{line}");
        let mut third = new.connect(&app).await.expect("the server shows the second certificate");
        assert!(send(&mut third, "c").await.contains("duplicate"));
    }
    assert!(send(&mut open, "a").await.contains("duplicate"));
    assert!(!app.process().log().contains("PRIVATE KEY"));
    assert!(app.process().stdout().contains("listening on https://"));
    assert_eq!(app.rows(&tenant).await.len(), 3);
}

async fn an_answer_that_comes_before_its_body_was_read_arrives_over_tls() {
    let issued = Issued::new();
    let (app, _) = tls_app(&issued).await;
    let tenant = app.tenant().await;
    for (key, body_mib, status) in [("nobody's", 9, 401), (tenant.key.as_str(), 12, 413)] {
        let stream = issued.connect(&app).await.expect("the server shows its certificate");
        let protocol = stream.inner().get_ref().1.alpn_protocol();
        assert_eq!(
            protocol,
            Some(b"http/1.1".as_slice()),
            "HTTP/2 would reset the stream and lose the answer"
        );
        let (mut reader, mut writer) = tokio::io::split(stream);
        let length = body_mib << 20;
        let head = format!(
            "POST {EVENTS} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        writer.write_all(head.as_bytes()).await.expect("the connection is open");
        let mut start = [0; 12];
        timeout(PATIENCE, reader.read_exact(&mut start)).await.expect("in time").expect("an answer comes");
        assert_eq!(String::from_utf8_lossy(&start), format!("HTTP/1.1 {status}"));
    }
}

async fn a_tls_server_is_asked_how_it_is_by_its_own_program() {
    let (app, _) = tls_app(&Issued::new()).await;
    let mut healthcheck = command::program(app.ground(), app.settings());
    healthcheck.args(["healthcheck", "--json"]);
    command::set(&mut healthcheck, "server.bind", &app.address().to_string());

    assert_eq!(command::json(healthcheck).await["status"], "ready");

    // Whoever names a server wants that very one.
    let mut named = command::program(app.ground(), app.settings());
    named.args(["healthcheck", "--url", &format!("https://{}", app.address())]);
    assert!(!command::output(named).await.status.success());
}

const HEADERS: [&str; 4] = [
    "x-content-type-options: nosniff",
    "cache-control: no-store",
    "content-security-policy: default-src 'none'; frame-ancestors 'none'",
    "referrer-policy: no-referrer",
];

async fn every_answer_has_its_headers_and_hsts_only_over_tls() {
    let issued = Issued::new();
    let (over_tls, _) = tls_app(&issued).await;
    let plain = App::shared(Combination::SQLITE).await;
    let stats = "GET /api/v1/ingestion/stats";
    for line in ["GET /", "GET /nowhere", stats, "TRACE /livez", "POST /api/v1/ingestion/events/batch"] {
        let mut stream = issued.connect(&over_tls).await.expect("the server shows its certificate");
        let secure = ask(&mut stream, line, "", "").await;
        let mut stream = plain.connect().await;
        let clear = ask(&mut stream, line, "", "").await;
        for (answer, has_hsts) in [(secure, true), (clear, false)] {
            for header in HEADERS {
                assert!(answer.contains(&format!("{header}\r\n")), "{line}: no {header} in {answer}");
            }
            let hsts = answer.contains("strict-transport-security: max-age=31536000\r\n");
            assert_eq!(hsts, has_hsts, "{line}: {answer}");
            assert!(!answer.to_lowercase().contains("\r\nserver:"), "{line}: {answer}");
            assert_eq!(line.starts_with("TRACE"), answer.starts_with("HTTP/1.1 405 "), "{line}: {answer}");
        }
    }
}

/// A request from a page of this origin; a preflight is one with the method that it asks for.
async fn from_page(client: &Client, origin: &str, asks_for: Option<&str>) -> pulsestream_tests::Answer {
    let method = if asks_for.is_some() { Method::OPTIONS } else { Method::GET };
    let mut request = client.request(method, "/api/v1/ingestion/stats").header("Origin", origin);
    if let Some(method) = asks_for {
        request = request.header("Access-Control-Request-Method", method);
        request = request.header("Access-Control-Request-Headers", "x-api-key");
    }
    client.execute(request).await
}

async fn no_other_origin_is_allowed_anything_by_default() {
    let app = App::shared(Combination::SQLITE).await;
    let tenant = app.tenant().await;
    for (asks_for, status) in [(Some("GET"), 405), (None, 200)] {
        let answer = from_page(&tenant, ORIGIN, asks_for).await.expect(status);
        let told = answer.headers.keys().any(|name| name.as_str().starts_with("access-control-"));
        assert!(!told && !answer.headers.contains_key("vary"), "{:?}", answer.headers);
    }
}

async fn a_named_origin_may_ask_and_read_and_no_other() {
    let settings = App::builder(Combination::SQLITE);
    let app = settings.set("cors.allowed_origins", format!("https://a.example,{ORIGIN}")).start().await;
    let tenant = app.tenant().await;

    // A browser shows no credential when it asks whether it may.
    let preflight = from_page(&app.anonymous(), ORIGIN, Some("GET")).await.expect(204);
    assert_eq!(preflight.header("access-control-allow-origin"), ORIGIN);
    assert!(preflight.header("access-control-allow-methods").contains("GET"));
    assert!(preflight.header("access-control-allow-headers").contains("x-api-key"));
    assert_eq!(preflight.header("vary"), "Origin");

    let answer = from_page(&tenant, ORIGIN, None).await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
    assert!(answer.header("access-control-expose-headers").contains("x-request-id"));
    assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    let refused = from_page(&app.anonymous(), ORIGIN, None).await.expect(401);
    assert_eq!(refused.header("access-control-allow-origin"), ORIGIN, "a page may read problems as well");

    for other in ["https://console.example.com.evil.example", "http://console.example.com", "null"] {
        from_page(&app.anonymous(), other, Some("GET")).await.expect(405);
        let answer = from_page(&tenant, other, None).await.expect(200);
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{other}");
        assert_eq!(answer.header("vary"), "Origin", "{other}");
    }
}

/// The client's address that the log has for a request with this `X-Forwarded-For`.
async fn logged_client(app: &App, forwarded: &str) -> Value {
    let client = app.anonymous();
    let request = client.request(Method::GET, "/livez").header("X-Forwarded-For", forwarded);
    let id = client.execute(request).await.expect(200).header("x-request-id").to_owned();
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(line) = app.log_lines().iter().find(|line| line["request_id"] == id.as_str()) {
            return line["client.address"].clone();
        }
        assert!(Instant::now() < deadline, "the request is not logged");
        sleep(POLL).await;
    }
}

async fn the_client_is_whom_a_trusted_proxy_names_and_else_the_peer() {
    let trusting = App::builder(Combination::SQLITE).set("server.trusted_proxies", "127.0.0.1, 10.0.0.0/8");
    let trusting = trusting.start().await;
    assert_eq!(logged_client(&trusting, "203.0.113.7").await, "203.0.113.7");
    assert_eq!(logged_client(&trusting, "127.0.0.9, 203.0.113.7, 10.1.1.1").await, "203.0.113.7");
    assert_eq!(logged_client(&trusting, "nonsense").await, "127.0.0.1");

    let other = App::builder(Combination::SQLITE).set("server.trusted_proxies", "10.0.0.0/8").start().await;
    assert_eq!(logged_client(&other, "203.0.113.7").await, "127.0.0.1");
}

/// A server with an address for operations, and a client of it.
async fn with_operations(settings: pulsestream_tests::AppBuilder) -> (App, Client) {
    let app = settings.set("server.operations_bind", "127.0.0.1:0").start().await;
    let line = app.logged("operations on", 1).await;
    let url = line["server.operations_url"].as_str().expect("it is a text").to_owned();
    let client = app.anonymous().at(&url);
    (app, client)
}

async fn operations_have_an_address_of_their_own() {
    let (app, operations) = with_operations(App::builder(Combination::SQLITE)).await;
    let public = app.anonymous();

    assert!(operations.get("/metrics").await.expect(200).text().contains("http_requests_in_flight"));
    let details = operations.get("/readyz").await.expect(200).json();
    assert_eq!(details, json!({"status": "ready", "reasons": [], "queue_size": 0}));
    operations.get("/livez").await.expect(200);
    for path in ["/", "/docs/", EVENTS, "/api/v1/ingestion/stats"] {
        operations.get(path).await.expect(404);
    }

    assert_eq!(public.get("/metrics").await.expect(404).code(), "not_found");
    assert_eq!(public.get("/readyz").await.expect(200).json(), json!({"status": "ready"}));
    public.get("/livez").await.expect(200);
    app.tenant().await.send(&event(json!({}))).await.expect(200);
}

async fn operations_can_be_asked_while_the_server_drains() {
    let settings = App::builder(Combination::SQLITE).set("server.drain_delay", "2s");
    let (app, operations) = with_operations(settings).await;
    app.process().signal(Signal::TERM);
    app.logged("not ready from now on", 1).await;

    let answer = operations.get("/readyz").await.expect(503).json();
    assert_eq!(answer["reasons"], json!(["draining"]));
    assert_eq!(app.anonymous().get("/readyz").await.expect(503).json(), json!({"status": "not_ready"}));
    assert!(app.process().wait().is_some_and(|status| status.success()), "it ends by itself");
}

async fn an_address_has_only_so_many_connections() {
    let settings = App::builder(Combination::SQLITE).set("server.uncapped_networks", "");
    let app = settings.set("server.max_connections_per_address", 2).start().await;
    let livez = async |stream: &mut Overheard<TcpStream>| ask(stream, "GET /livez", "", "").await;
    let mut first = app.connect().await;
    assert!(livez(&mut first).await.starts_with("HTTP/1.1 200 "));
    let mut second = app.connect().await;
    assert!(livez(&mut second).await.starts_with("HTTP/1.1 200 "));

    let mut third = app.connect().await;
    let refused = livez(&mut third).await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("too_many_connections"), "{refused}");
    assert!(refused.contains("retry-after: ") && refused.contains("connection: close"), "{refused}");
    assert_eq!(third.read(&mut [0; 1]).await.expect("it is closed in order"), 0);
    assert!(livez(&mut first).await.starts_with("HTTP/1.1 200 "), "those that were there are served");
    let warned = app.logged("gets no more", 1).await;
    assert_eq!(warned["client.address"], "127.0.0.1");

    // Silent ones are held for a while, but only so many.
    let mut silent = Vec::new();
    let cut = loop {
        let mut stream = app.connect().await;
        if let Ok(read) = timeout(Duration::from_millis(300), stream.read(&mut [0; 1])).await {
            break read;
        }
        silent.push(stream);
        assert!(silent.len() < 10, "never cut");
    };
    assert!(matches!(cut, Ok(0) | Err(_)), "{cut:?}");
    assert!((1..=2).contains(&silent.len()), "{} were held", silent.len());

    drop((first, second, silent));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut stream = app.connect().await;
        let request = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut status = [0; 12];
        let asked = stream.write_all(request).await.is_ok();
        if asked && stream.read_exact(&mut status).await.is_ok() && &status == b"HTTP/1.1 200" {
            break;
        }
        assert!(Instant::now() < deadline, "refused for ever");
    }
}

async fn addresses_that_are_not_capped_have_any_number_of_connections() {
    for setting in ["server.uncapped_networks", "server.trusted_proxies"] {
        let settings = App::builder(Combination::SQLITE).set("server.max_connections_per_address", 1);
        let app = settings.set("server.uncapped_networks", "").set(setting, "127.0.0.0/8").start().await;
        let mut open = Vec::new();
        for _ in 0..5 {
            let mut stream = app.connect().await;
            let answer = ask(&mut stream, "GET /livez", "", "").await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{setting}: {answer}");
            open.push(stream);
        }
    }
}

async fn an_event_is_reached_whatever_its_id(combination: Combination) {
    let app = App::shared(combination).await;
    let (tenant, other) = (app.unlimited_tenant().await, app.tenant().await);
    let names = ["search", "batch", "types", "severities", "histogram", "facets", "export", "stream"];
    let strange =
        [".", "..", "../search", "a/../b", "a/retry", "search/retry", "a&b=c#d?e", "100%25+", "%2e%2e"];
    for id in names.into_iter().chain(strange) {
        tenant.send(&event_with_id(id)).await.expect(200);
        let path = pulsestream_tests::client::query(EVENTS, &[("event_id", id)]);

        assert_eq!(tenant.get(&path).await.expect(200).json()["id"], id);
        other.get(&path).await.expect(404);
        other.delete(&path).await.expect(404);
        tenant.delete(&path).await.expect(200);
        assert_eq!(tenant.get(&path).await.expect(404).code(), "not_found", "{id}");
    }
    app.anonymous().get(&format!("{EVENTS}?event_id=a")).await.expect(401);
    for query in ["", "?event_id=a&limit=1", "?event_id=a&event_id=b"] {
        tenant.get(&format!("{EVENTS}{query}")).await.expect(422);
        tenant.delete(&format!("{EVENTS}{query}")).await.expect(422);
    }
    for id in ["", "a%20b", "%00"] {
        tenant.get(&format!("{EVENTS}?event_id={id}")).await.expect(404);
    }
}

async fn a_crowd_that_comes_while_the_server_does_nothing_is_connected_at_once() {
    let app = App::start(Combination::SQLITE).await;
    app.process().signal(Signal::STOP);
    let crowd = (0..500).map(|_| app.connect());
    // The first try of one that finds no room is a second before its next.
    let crowd = timeout(Duration::from_millis(900), join_all(crowd)).await;
    app.process().signal(Signal::CONT);
    let mut last = crowd.expect("there is room for all of them").pop().expect("there were some");
    assert!(ask(&mut last, "GET /livez", "", "").await.starts_with("HTTP/1.1 200 "));
}
