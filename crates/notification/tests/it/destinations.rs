//! URLs that are refused before anything is sent.

use pulsestream_notification::{Destination, OutboundPolicy, PrivateDestinations};

/// The code, or `ok`.
fn code(url: &str, policy: &OutboundPolicy) -> &'static str {
    Destination::parse(url, policy).map_or_else(|error| error.code(), |_| "ok")
}

fn strict(url: &str) -> &'static str {
    code(url, &OutboundPolicy::default())
}

fn with_http() -> OutboundPolicy {
    OutboundPolicy { allow_http: true, ..OutboundPolicy::default() }
}

#[test]
fn only_https_urls_with_a_host_are_destinations() {
    for url in [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "data:text/html,x",
        "javascript:alert(1)",
        "unix:/run/x.sock",
        "ws://example.com/",
        "https://",
        "https:///",
        "https://:443/",
        "",
        "example.com",
        "//example.com/",
        "/hook",
        "https",
        "mailto:a@example.com",
        "https://%00/",
        "https://a b/",
        "https://exa mple.com",
        "https://[example.com]/",
        "https://[::1",
        "https://[fe80::1%25eth0]/",
        "https://example.com%2f@x/ y",
    ] {
        assert_eq!(strict(url), "bad_webhook_url", "{url}");
    }
    assert_eq!(strict("https://example.com/hook?a=b"), "ok");
    assert_eq!(strict("HTTPS://EXAMPLE.com"), "ok");
    assert_eq!(strict("https://bücher.example/"), "ok");
    assert_eq!(code("http://example.com/", &with_http()), "ok");
    assert_eq!(code("ftp://example.com/", &with_http()), "bad_webhook_url");
}

#[test]
fn every_spelling_of_a_private_ipv4_address_is_blocked() {
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "0",
        "0x0",
        "①②⑦.⓪.⓪.①",
        "１２７.0.0.1",
        "127。0。0。1",
        "%31%32%37.0.0.1",
        "127.0.1",
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0xa9fea9fe",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
    ] {
        assert_eq!(strict(&format!("https://{host}/")), "blocked_address", "{host}");
        assert_eq!(code(&format!("http://{host}/"), &with_http()), "blocked_address", "{host}");
    }
    assert_eq!(strict("https://8.8.8.8/"), "ok");
}

#[test]
fn every_disguise_of_a_private_ipv6_address_is_blocked() {
    for host in [
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:a9fe:a9fe]",
        "[::127.0.0.1]",
        "[fe80::1]",
        "[febf::1]",
        "[fd00::1]",
        "[fd00:ec2::254]",
        "[fc00::1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0::1]",
        "[2001::7f00:1]",
        "[fec0::1]",
        "[ff02::1]",
        "[100::1]",
        "[2001:db8::1]",
    ] {
        assert_eq!(strict(&format!("https://{host}/")), "blocked_address", "{host}");
    }
    assert_eq!(strict("https://[2606:4700:4700::1111]/"), "ok");
}

#[test]
fn names_of_this_machine_are_blocked() {
    for host in ["localhost", "LOCALHOST", "localhost.", "localhost..", "a.localhost", "x.y.localhost."] {
        assert_eq!(strict(&format!("https://{host}/")), "blocked_address", "{host}");
    }
    let policy = OutboundPolicy {
        own_addresses: vec!["8.8.4.4".parse().unwrap(), "2606:4700::1".parse().unwrap()],
        own_names: vec!["Pulse.example.com".to_owned()],
        ..OutboundPolicy::default()
    };
    for host in [
        "8.8.4.4",
        "[::ffff:8.8.4.4]",
        "0x08080404",
        "[2606:4700::1]",
        "pulse.example.com",
        "PULSE.example.com.",
    ] {
        assert_eq!(code(&format!("https://{host}/"), &policy), "blocked_address", "{host}");
    }
    assert_eq!(code("https://8.8.8.8/", &policy), "ok");
}

#[test]
fn urls_that_programs_read_differently_are_refused() {
    for (url, expected) in [
        ("https://good@127.0.0.1/", "bad_webhook_url"),
        ("https://good.example:x@127.0.0.1/", "bad_webhook_url"),
        ("https://127.0.0.1#@good.example", "blocked_address"),
        ("https://127.0.0.1?@good.example", "blocked_address"),
        ("https://good.example\\@127.0.0.1/", "bad_webhook_url"),
        ("https:\\\\127.0.0.1/", "bad_webhook_url"),
        ("https://127.0\t.0.1/", "bad_webhook_url"),
        ("https://exam\nple.com/", "bad_webhook_url"),
        ("https://example.com/\r\nHost: x", "bad_webhook_url"),
        (" https://example.com/", "bad_webhook_url"),
        ("https://example.com/\0", "bad_webhook_url"),
        ("https://example.com/\u{2028}", "bad_webhook_url"),
        ("https:127.0.0.1", "blocked_address"),
        ("https:/127.0.0.1", "blocked_address"),
        ("https:////127.0.0.1", "blocked_address"),
    ] {
        assert_eq!(strict(url), expected, "{url:?}");
    }
}

#[test]
fn only_ports_of_the_web_are_allowed() {
    for port in
        [0_u32, 1, 22, 25, 80, 465, 587, 2375, 3306, 5432, 6379, 8000, 8080, 9200, 11211, 65535, 65536, 99999]
    {
        assert_eq!(strict(&format!("https://example.com:{port}/")), "blocked_port", "{port}");
    }
    assert_eq!(strict("https://example.com:443/"), "ok");
    assert_eq!(strict("https://example.com:8443/"), "ok");
    assert_eq!(code("http://example.com:80/", &with_http()), "ok");
    assert_eq!(code("http://example.com:8080/", &with_http()), "blocked_port");
}

#[test]
fn a_long_url_and_one_with_a_password_are_refused() {
    let url =
        |chars: usize| format!("https://example.com/{}", "a".repeat(chars - "https://example.com/".len()));
    assert_eq!(strict(&url(2_048)), "ok");
    assert_eq!(strict(&url(2_049)), "webhook_url_too_long");
    for url in
        ["https://user@example.com/", "https://user:password@example.com/", "https://:password@example.com/"]
    {
        assert_eq!(strict(url), "bad_webhook_url", "{url}");
    }
}

#[test]
fn an_operator_may_open_the_private_networks() {
    let private = PrivateDestinations { ports: vec![3_000..=3_999], ..PrivateDestinations::default() };
    let policy = OutboundPolicy { allow_http: true, private: Some(private), ..OutboundPolicy::default() };
    for url in [
        "http://127.0.0.1/",
        "http://localhost:3000/",
        "https://10.1.2.3:3999/",
        "https://192.168.1.1:8443/",
        "https://[::1]/",
        "https://[fd00::1]/",
        "http://redis/",
        "https://[::ffff:10.0.0.1]/",
        "https://8.8.8.8/",
    ] {
        assert_eq!(code(url, &policy), "ok", "{url}");
    }
    for url in [
        "http://169.254.169.254/",
        "http://0.0.0.0/",
        "https://[fe80::1]/",
        "https://224.0.0.1/",
        "https://[64:ff9b::1]/",
    ] {
        assert_eq!(code(url, &policy), "blocked_address", "{url}");
    }
    assert_eq!(code("http://127.0.0.1:4000/", &policy), "blocked_port");
}

#[test]
fn an_operator_may_open_one_network_and_no_other() {
    let networks = vec!["10.9.0.0/16".parse().unwrap()];
    let private = Some(PrivateDestinations { networks, ports: vec![] });
    let policy = OutboundPolicy { private, ..OutboundPolicy::default() };
    assert_eq!(code("https://10.9.1.2/", &policy), "ok");
    assert_eq!(code("https://10.8.1.2/", &policy), "blocked_address");
    assert_eq!(code("https://127.0.0.1/", &policy), "blocked_address");
}

#[test]
fn a_token_in_a_url_is_not_shown() {
    let policy = OutboundPolicy::default();
    let destination =
        Destination::parse("https://hooks.example.com/T0/B0/hunter2?key=hunter2", &policy).unwrap();
    assert_eq!(format!("{destination:?}"), "Destination(https://hooks.example.com/[redacted])");
    assert_eq!(destination.origin(), "https://hooks.example.com");
    assert!(destination.reveal().contains("hunter2"));
}
