//! Words that clients choose from, for the OpenAPI document only. Members that have to be there have a pattern instead:
//! utoipa describes an inlined enumeration beside an object, and nothing is both.
#![expect(dead_code, reason = "these types describe JSON and are never made")]

use utoipa::ToSchema;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($word:literal $variant:ident),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(ToSchema)]
        pub(crate) enum $name {
            $(#[schema(rename = $word)] $variant,)*
        }
    )*};
}

words! {
    /// What an event is about.
    EventTypeWord {
        "api_call" ApiCall, "user_action" UserAction, "system_event" SystemEvent, "error_event" ErrorEvent,
        "custom_event" CustomEvent,
    }
    /// How bad an event is.
    SeverityWord { "info" Info, "warning" Warning, "error" Error, "critical" Critical }
    /// Which way a list runs.
    OrderWord { "desc" Descending, "asc" Ascending }
    /// How long a bar of a histogram is.
    IntervalWord { "1m" Minute, "5m" FiveMinutes, "1h" Hour, "1d" Day }
    /// What values are counted of.
    FacetWord {
        "event_type" EventType, "severity" Severity, "service" Service, "endpoint" Endpoint, "method" Method,
        "environment" Environment, "status_code" StatusCode, "user_id" UserId,
    }
    /// How a list is written.
    FormatWord { "ndjson" Ndjson, "csv" Csv }
    /// How a body is compressed.
    EncodingWord { "identity" Identity, "gzip" Gzip, "zstd" Zstd }
    /// What somebody may do.
    RoleWord { "viewer" Viewer, "admin" Admin, "owner" Owner }
    /// What a key may do.
    ScopeWord {
        "events:write" EventsWrite, "events:read" EventsRead, "rules:write" RulesWrite, "admin" Admin,
    }
    /// What other content under a known id is answered with.
    DuplicatePolicyWord { "strict" Strict, "lenient" Lenient, "reject" Reject }
    /// How bad an alert is.
    AlertSeverityWord { "low" Low, "medium" Medium, "high" High, "critical" Critical }
    /// What a rule's value is compared by.
    OperatorWord { ">" Above, ">=" AtLeast, "<" Below, "<=" AtMost, "==" Equal, "!=" NotEqual }
    /// The time a rule looks at.
    WindowWord {
        "1m" OneMinute, "5m" FiveMinutes, "15m" QuarterHour, "1h" OneHour, "6h" SixHours, "24h" OneDay,
        "7d" OneWeek,
    }
    /// What happens without anything to measure.
    NoDataWord { "ok" Ok, "alert" Alert, "keep_last" KeepLast }
    /// Where a delivery stands.
    DeliveryStateWord { "pending" Pending, "delivered" Delivered, "failed" Failed }
}
