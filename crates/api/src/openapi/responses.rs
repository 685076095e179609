//! The errors that routes have in common, for the OpenAPI document.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses,
    openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder},
};

use crate::problem::PROBLEM_JSON;

const UNAUTHENTICATED: (&str, &str) = ("401", "no valid credential");
const INSUFFICIENT_SCOPE: (&str, &str) = ("403", "the credential does not have the scope or the role");
const TOO_MANY_TRIES: (&str, &str) = ("429", "too many tries; come back after `Retry-After`");
const UNAVAILABLE: (&str, &str) =
    ("503", "the store is away, busy or full, or there is too much to do; come back after `Retry-After`");
const INVALID: (&str, &str) = ("422", "a field or parameter breaks a rule");
const QUERY_TIMEOUT: (&str, &str) =
    ("504", "the search took longer than it may; a shorter time range or more filters help");
const NOT_FOUND: (&str, &str) = ("404", "the tenant has no such event");

const NO_OBJECT: (&str, &str) = ("404", "the tenant has no such object");
const NAME_TAKEN: (&str, &str) = ("409", "another object of the tenant has this name");
const WRONG_STATUS: (&str, &str) = ("409", "not possible for an object that stands where this one does");

const BODY: [(&str, &str); 4] = [
    ("400", "the body can't be read as what it says it is, or two credentials differ"),
    ("408", "the body did not arrive in time"),
    ("413", "the body, compressed or decompressed, or the batch is too large"),
    ("415", "a content type or encoding that is not taken"),
];

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $lists:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let lists: [&[(&str, &str)]; _] = $lists;
                lists.concat().into_iter().map(|(status, what)| (status.to_owned(), problem(what))).collect()
            }
        }
    )*};
}

problems! {
    /// Of storing one event.
    IngestProblems = [
        &BODY,
        &[UNAUTHENTICATED, INSUFFICIENT_SCOPE, UNAVAILABLE, INVALID],
        &[("409", "an event with this id and other content is stored"), ("429", "the limit is used up")],
    ];
    /// Of storing a batch, where nothing could be made out of it.
    BatchProblems = [&BODY, &[UNAUTHENTICATED, INSUFFICIENT_SCOPE]];
    /// Of reading events.
    ReadProblems = [&[UNAUTHENTICATED, INSUFFICIENT_SCOPE, INVALID, UNAVAILABLE, QUERY_TIMEOUT]];
    /// Of a search with a body.
    SearchBodyProblems = [&BODY, &[UNAUTHENTICATED, INSUFFICIENT_SCOPE, INVALID, UNAVAILABLE, QUERY_TIMEOUT]];
    /// Of proving who one is.
    LoginProblems = [&BODY, &[("401", "the login is not good"), INVALID, TOO_MANY_TRIES, UNAVAILABLE]];
    /// Of making a tenant.
    RegistrationProblems = [
        &BODY,
        &[
            ("403", "tenants are not made over HTTP, or by invitation only"),
            ("409", "another tenant has this slug"),
            INVALID,
            TOO_MANY_TRIES,
            UNAVAILABLE,
        ],
    ];
    /// Of changing people and keys.
    AccountChangeProblems = [
        &BODY,
        &[
            UNAUTHENTICATED,
            INSUFFICIENT_SCOPE,
            ("404", "the tenant has none with this id"),
            ("409", "the address is taken, or the tenant would be left without an owner"),
            INVALID,
            UNAVAILABLE,
        ],
    ];
    /// Of one stored event.
    EventProblems = [&[UNAUTHENTICATED, INSUFFICIENT_SCOPE, NOT_FOUND, UNAVAILABLE]];
    /// Of one stored event that a parameter names.
    EventQueryProblems = [&[UNAUTHENTICATED, INSUFFICIENT_SCOPE, NOT_FOUND, INVALID, UNAVAILABLE]];
    /// Of making an object.
    WriteProblems = [&BODY, &[UNAUTHENTICATED, INSUFFICIENT_SCOPE, INVALID, UNAVAILABLE]];
    /// Of making an object that has a name of its own.
    NamedWriteProblems = [&BODY, &[UNAUTHENTICATED, INSUFFICIENT_SCOPE, NAME_TAKEN, INVALID, UNAVAILABLE]];
    /// Of one object.
    ObjectProblems = [&[UNAUTHENTICATED, INSUFFICIENT_SCOPE, NO_OBJECT, UNAVAILABLE]];
    /// Of changing one object.
    ChangeProblems = [&BODY, &[UNAUTHENTICATED, INSUFFICIENT_SCOPE, NO_OBJECT, INVALID, UNAVAILABLE]];
    /// Of changing one object that has a name of its own.
    NamedChangeProblems =
        [&BODY, &[UNAUTHENTICATED, INSUFFICIENT_SCOPE, NO_OBJECT, NAME_TAKEN, INVALID, UNAVAILABLE]];
    /// Of what can be done to some objects only.
    ActionProblems =
        [&BODY, &[UNAUTHENTICATED, INSUFFICIENT_SCOPE, NO_OBJECT, WRONG_STATUS, INVALID, UNAVAILABLE]];
}

fn problem(description: &str) -> RefOr<Response> {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let media_type = PROBLEM_JSON.to_str().unwrap_or_default().to_owned();
    RefOr::T(ResponseBuilder::new().description(description).content(media_type, content).build())
}
