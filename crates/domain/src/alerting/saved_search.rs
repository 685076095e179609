//! A search that is kept, to be asked again and again.

use serde_json::{Map, Value, value::to_raw_value};

use crate::{
    event::{FieldError, Reason},
    search::{Filter, Parameters, parse_filter},
};

/// The conditions of a search, without order, page or time: when it is asked decides about the time.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SavedSearch {
    source: Map<String, Value>,
    filter: Filter,
}

impl SavedSearch {
    /// Reads the search in a member at `pointer`, as it stands in the body of a search.
    pub(super) fn parse(pointer: &str, value: Value) -> Result<Self, Vec<FieldError>> {
        let Value::Object(mut source) = value else {
            return Err(vec![FieldError::new(pointer, Reason::NotAnObject)]);
        };
        source.retain(|_, value| !value.is_null());
        let raw = to_raw_value(&source).expect("a JSON object serializes");
        let parsed = Parameters::from_json(&raw).and_then(parse_filter).and_then(|filter| {
            let times = [("/start_time", filter.start_time), ("/end_time", filter.end_time)];
            let refused = times.into_iter().filter(|(_, time)| time.is_some());
            let detail = "is decided by the rule's time_window";
            let refused: Vec<FieldError> = refused
                .map(|(pointer, _)| FieldError::with_detail(pointer, Reason::UnknownField, detail))
                .collect();
            if refused.is_empty() { Ok(filter) } else { Err(refused) }
        });
        let under = |mut error: FieldError| {
            error.pointer.insert_str(0, pointer);
            error
        };
        let filter =
            parsed.map_err(|errors: Vec<FieldError>| errors.into_iter().map(under).collect::<Vec<_>>())?;
        Ok(Self { source, filter })
    }

    /// What it finds.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// As it was given.
    pub fn to_json(&self) -> Value {
        Value::Object(self.source.clone())
    }
}
