//! The closed vocabularies of an event.

/// The text is none of the names.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not one of the allowed values")]
pub struct ParseNameError;

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name on the wire and in columns.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::event::ParseNameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($text => Ok(Self::$variant),)* _ => Err($crate::event::ParseNameError) }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use names;

names! {
    /// What kind of event it is.
    EventType {
        /// A request to an API and its answer.
        ApiCall = "api_call",
        /// Something a person did.
        UserAction = "user_action",
        /// Something a system did by itself.
        SystemEvent = "system_event",
        /// Something that went wrong.
        ErrorEvent = "error_event",
        /// Anything else.
        CustomEvent = "custom_event",
    }
}

names! {
    /// How bad it is; `info` unless the client says otherwise.
    Severity {
        /// Nothing to do.
        Info = "info",
        /// Worth a look.
        Warning = "warning",
        /// Something failed.
        Error = "error",
        /// Something failed that others depend on.
        Critical = "critical",
    }
}

names! {
    /// Where the processing of a stored event stands.
    ProcessingStatus {
        /// Waits to be enriched again.
        Pending = "pending",
        /// Enriched; the normal state, reached before the client is answered.
        Completed = "completed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_written() {
        for name in EventType::ALL {
            assert_eq!(name.as_str().parse(), Ok(*name));
        }
        for name in Severity::ALL {
            assert_eq!(name.as_str().parse(), Ok(*name));
        }
        assert_eq!("API_CALL".parse::<EventType>(), Err(ParseNameError));
    }
}
