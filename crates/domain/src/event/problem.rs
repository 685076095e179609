//! Why an event was refused.

use std::fmt;

use serde::{Serialize, Serializer};

/// One thing wrong with one field.
///
/// It names the field and the rule, and never repeats the value: values can be secrets, and they can be
/// ten megabytes long.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FieldError {
    /// JSON Pointer (RFC 6901) into the event or body; empty for the whole of it.
    pub pointer: String,
    /// Which rule was broken; stable.
    pub code: Reason,
    /// The rule in words.
    pub detail: String,
}

impl FieldError {
    /// An error whose detail is the reason's own sentence.
    pub fn new(pointer: impl Into<String>, code: Reason) -> Self {
        Self { pointer: pointer.into(), code, detail: code.detail().to_owned() }
    }

    /// An error with a sentence of its own.
    pub fn with_detail(pointer: impl Into<String>, code: Reason, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $detail:literal;)*) => {
        /// A rule that input can break. The codes are part of the contract: they are added to, never changed.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Reason { $(#[doc = $detail] $(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason, for the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable code on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The rule in words.
            pub const fn detail(self) -> &'static str {
                match self { $(Self::$name => $detail,)* }
            }
        }
    };
}

reasons! {
    BadJson = "bad_json", "is not JSON";
    BadUtf8 = "bad_utf8", "is not UTF-8";
    DuplicateKey = "duplicate_key", "is given more than once in one object";
    NotAnObject = "not_an_object", "must be a JSON object";
    Required = "required", "is required";
    WrongType = "wrong_type", "has the wrong type";
    Empty = "empty", "must not be empty";
    TooLong = "too_long", "is too long";
    TooMany = "too_many", "has too many members";
    TooDeep = "too_deep", "is nested more than 64 levels deep";
    PayloadTooLarge = "payload_too_large", "is larger than 10 MiB";
    OutOfRange = "out_of_range", "is out of range";
    NumberOutOfRange = "number_out_of_range", "is a number beyond what a 64-bit float holds";
    UnknownValue = "unknown_value", "is not one of the allowed values";
    BadEventId = "bad_event_id", "must be 1 to 255 printable ASCII characters without spaces";
    BadTimestamp = "bad_timestamp", "must be an RFC 3339 date and time, without leap second or 24:00";
    TimestampOutOfRange = "timestamp_out_of_range", "must not be before 1970 or more than 5 minutes ahead";
    BadIpAddress = "bad_ip_address", "must be an IPv4 or IPv6 address";
    BadUrl = "bad_url", "must be an absolute URL";
    BadUnicode = "bad_unicode", "holds a lone surrogate, which is no character";
    NulNotAllowed = "nul_not_allowed", "holds the character NUL";
    BadPattern = "bad_pattern", "is not a valid pattern";
    BadCursor = "bad_cursor", "is not a cursor of this search";
    BadParameter = "bad_parameter", "is not valid";
    UnknownField = "unknown_field", "is not known here";
    BadDuration = "bad_duration", "must be whole seconds, or a number with s, m, h or d behind it";
    BadRecipient = "bad_recipient", "must be one e-mail address";
    BadWebhookUrl = "bad_webhook_url", "must be an http or https address with a host and without a password";
    BlockedAddress = "blocked_address", "is not an address that notices may go to";
    BlockedPort = "blocked_port", "has a port that notices may not go to";
    ControlCharacter = "control_character", "must not hold control characters";
    UnknownPlaceholder = "unknown_placeholder", "names a placeholder that does not exist";
    NotAllowed = "not_allowed", "is not allowed with this credential";
    BadEmail = "bad_email", "must be one email address of at most 254 ASCII characters";
    BadPassword = "bad_password", "must have at least 12 characters and at most 1024 bytes";
    BadNetwork = "bad_network", "must be an IP address or a range such as 192.0.2.0/24";
    Taken = "taken", "is taken already";
    NotStorable = "not_storable", "can't be stored";
    EventIdConflict = "event_id_conflict", "is the id of a stored event with other content";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
