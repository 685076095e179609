//! From names and values to a query, or to everything that is wrong with them.

use serde_json::value::RawValue;

use super::{CursorKey, Filter, MAX_LIMIT, Order, Pattern, Query, Word};
use crate::{
    Timestamp,
    event::{FieldError, Reason, words},
    tenant::TenantId,
};

const DEFAULT_LIMIT: u32 = 100;
/// Beyond it a search is an accident; within it every statement stays under the databases' bind limits.
const MAX_TAGS: usize = 50;
const MAX_WORDS: usize = 50;
const MAX_VALUE_BYTES: usize = 1_024;

/// Names and values of a search, as given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// From decoded pairs of an address.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// From a JSON object with the same names: texts, whole numbers, and lists of texts. `null` is absent.
    ///
    /// # Errors
    /// The members that are none of these, or `not_an_object`.
    pub fn from_json(body: &RawValue) -> Result<Self, Vec<FieldError>> {
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(body.get()).map_err(|_| vec![FieldError::new("", Reason::NotAnObject)])?;
        let mut pairs = Vec::new();
        let mut errors = Vec::new();
        for (name, value) in object {
            let items = match value {
                serde_json::Value::Null => continue,
                serde_json::Value::Array(items) => items,
                single => vec![single],
            };
            for item in items {
                match item {
                    serde_json::Value::String(text) => pairs.push((name.clone(), text)),
                    serde_json::Value::Number(number) => pairs.push((name.clone(), number.to_string())),
                    _ => errors.push(FieldError::new(format!("/{name}"), Reason::WrongType)),
                }
            }
        }
        if errors.is_empty() { Ok(Self(pairs)) } else { Err(errors) }
    }

    /// Takes out the value of a parameter that is not part of the query language.
    ///
    /// # Errors
    /// When it is given twice.
    pub fn take(&mut self, name: &str) -> Result<Option<String>, FieldError> {
        let mut taken = self.0.extract_if(.., |(known, _)| known == name).map(|(_, value)| value);
        match (taken.next(), taken.next()) {
            (value, None) => Ok(value),
            _ => Err(FieldError::with_detail(
                format!("/{name}"),
                Reason::BadParameter,
                "is given more than once",
            )),
        }
    }

    /// The names of the parameters that nobody took.
    pub fn into_names(self) -> impl Iterator<Item = String> {
        self.0.into_iter().map(|(name, _)| name)
    }

    /// Makes sure that everything was taken.
    ///
    /// # Errors
    /// A parameter that is not known, for each that is left.
    pub fn close(self) -> Result<(), Vec<FieldError>> {
        let unknown =
            |(name, _): &(String, String)| FieldError::new(format!("/{name}"), Reason::UnknownField);
        let errors: Vec<FieldError> = self.0.iter().map(unknown).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// Parses a whole query for a tenant.
///
/// `tenant_id` among the names is left out: some clients send it, and the tenant comes from the credential.
///
/// # Errors
/// Every parameter that is unknown, given twice, or has a bad value.
pub fn parse(
    parameters: Parameters,
    tenant_id: TenantId,
    cursors: &CursorKey,
) -> Result<Query, Vec<FieldError>> {
    let mut reader = Reader { parameters, errors: Vec::new() };
    drop(reader.one("tenant_id"));
    let filter = reader.filter();
    let order = reader.parsed("order", |text| match text {
        "desc" => Ok(Order::Descending),
        "asc" => Ok(Order::Ascending),
        _ => Err("must be desc or asc".to_owned()),
    });
    let limit = reader.parsed("limit", |text| match text.parse() {
        Ok(limit @ 1..=MAX_LIMIT) => Ok(limit),
        _ => Err(format!("must be a whole number from 1 to {MAX_LIMIT}")),
    });
    let offset = reader.parsed("offset", |text| match text.parse::<u32>() {
        Ok(offset) => Ok(u64::from(offset)),
        Err(_) => Err("must be a whole number from 0 to 4294967295".to_owned()),
    });
    let cursor = reader.one("cursor");
    for (name, _) in std::mem::take(&mut reader.parameters.0) {
        reader.errors.push(FieldError::new(format!("/{name}"), Reason::UnknownField));
    }
    let order = order.unwrap_or_default();
    let fingerprint = fingerprint(&filter, order);
    if cursor.is_some() && offset.is_some_and(|offset| offset > 0) {
        reader.refuse("offset", "can't be combined with a cursor");
    }
    let after = match cursor.map(|text| cursors.open(tenant_id, &fingerprint, &text)).transpose() {
        Ok(after) => after,
        Err(error) => {
            reader.errors.push(error);
            None
        }
    };
    if !reader.errors.is_empty() {
        return Err(reader.errors);
    }
    let (limit, offset) = (limit.unwrap_or(DEFAULT_LIMIT), offset.unwrap_or(0));
    Ok(Query { filter, order, limit, offset, after, fingerprint })
}

/// Parses the conditions of a search alone: what a saved search keeps.
///
/// # Errors
/// Every parameter that is no condition, given twice, or has a bad value.
pub fn parse_filter(parameters: Parameters) -> Result<Filter, Vec<FieldError>> {
    let mut reader = Reader { parameters, errors: Vec::new() };
    let filter = reader.filter();
    for (name, _) in reader.parameters.0 {
        reader.errors.push(FieldError::new(format!("/{name}"), Reason::UnknownField));
    }
    if reader.errors.is_empty() { Ok(filter) } else { Err(reader.errors) }
}

struct Reader {
    parameters: Parameters,
    errors: Vec<FieldError>,
}

impl Reader {
    fn refuse(&mut self, name: &str, detail: impl Into<String>) {
        self.errors.push(FieldError::with_detail(format!("/{name}"), Reason::BadParameter, detail));
    }

    fn all(&mut self, name: &str) -> Vec<String> {
        let values: Vec<String> =
            self.parameters.0.extract_if(.., |(known, _)| known == name).map(|(_, value)| value).collect();
        for value in &values {
            if value.is_empty() {
                self.errors.push(FieldError::new(format!("/{name}"), Reason::Empty));
            } else if value.len() > MAX_VALUE_BYTES {
                let detail = format!("must have at most {MAX_VALUE_BYTES} bytes");
                self.errors.push(FieldError::with_detail(format!("/{name}"), Reason::TooLong, detail));
            } else if value.contains('\0') {
                self.errors.push(FieldError::new(format!("/{name}"), Reason::NulNotAllowed));
            }
        }
        values
    }

    fn one(&mut self, name: &str) -> Option<String> {
        let mut values = self.all(name);
        if values.len() > 1 {
            self.refuse(name, "is given more than once");
        }
        values.pop().filter(|value| !value.is_empty())
    }

    fn parsed<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match parse(&self.one(name)?) {
            Ok(value) => Some(value),
            Err(detail) => {
                self.refuse(name, detail);
                None
            }
        }
    }

    fn name<T: std::str::FromStr>(&mut self, name: &str) -> Option<T> {
        let parsed = self.one(name)?.parse();
        if parsed.is_err() {
            self.errors.push(FieldError::new(format!("/{name}"), Reason::UnknownValue));
        }
        parsed.ok()
    }

    fn time(&mut self, name: &str) -> Option<Timestamp> {
        let text = self.one(name)?;
        // A plus that was not encoded arrives as a space; behind the seconds it can't be anything else.
        let parsed = match text.split_at_checked(19) {
            Some((seconds, rest)) => Timestamp::parse(&format!("{seconds}{}", rest.replace(' ', "+"))),
            None => Timestamp::parse(&text),
        };
        if parsed.is_err() {
            self.errors.push(FieldError::new(format!("/{name}"), Reason::BadTimestamp));
        }
        parsed.ok()
    }

    fn filter(&mut self) -> Filter {
        let filter = Filter {
            event_type: self.name("event_type"),
            severity: self.name("severity"),
            service: self.one("service").map(Pattern::new),
            endpoint: self.one("endpoint").map(Pattern::new),
            method: self.one("method"),
            environment: self.one("environment"),
            status_code: self.parsed("status_code", status_code),
            user_id: self.one("user_id"),
            correlation_id: self.one("correlation_id"),
            tags: self.all("tags"),
            words: self.one("q").map(|text| search_words(&text)),
            start_time: self.time("start_time"),
            end_time: self.time("end_time"),
        };
        if filter.tags.len() > MAX_TAGS || filter.tags.iter().any(|tag| !tag.contains(':')) {
            self.refuse("tags", format!("must be at most {MAX_TAGS} pairs of key:value"));
        }
        if filter.words.as_ref().is_some_and(|words| words.len() > MAX_WORDS) {
            self.refuse("q", format!("must have at most {MAX_WORDS} words"));
        }
        if filter.start_time.is_some() && filter.end_time.is_some() && filter.start_time > filter.end_time {
            self.refuse("start_time", "must not be after end_time");
        }
        filter
    }
}

/// A code, or a class of them such as `4xx`.
fn status_code(text: &str) -> Result<std::ops::RangeInclusive<u16>, String> {
    let refused = || "must be a number from 100 to 599, or 1xx to 5xx".to_owned();
    if let Some(class) = text.strip_suffix("xx") {
        return match class.parse::<u16>() {
            Ok(class @ 1..=5) => Ok(class * 100..=class * 100 + 99),
            _ => Err(refused()),
        };
    }
    match text.parse() {
        Ok(code @ 100..=599) => Ok(code..=code),
        _ => Err(refused()),
    }
}

/// The words of a text; one with a star right behind it stands for all words that begin with it.
fn search_words(text: &str) -> Vec<Word> {
    let mut found = Vec::new();
    for (index, part) in text.split('*').enumerate() {
        let is_last = index == text.matches('*').count();
        let mut of_part: Vec<Word> =
            words(part).into_iter().map(|text| Word { text, is_prefix: false }).collect();
        if !is_last
            && let Some(run) =
                part.rsplit(|c: char| !c.is_alphanumeric()).next().filter(|run| !run.is_empty())
        {
            let begun: Vec<String> = words(run).into_iter().collect();
            of_part.retain(|word| !begun.contains(&word.text));
            of_part.extend(begun.into_iter().map(|text| Word { text, is_prefix: true }));
        }
        found.extend(of_part);
    }
    found.sort();
    found.dedup();
    found
}

fn fingerprint(filter: &Filter, order: Order) -> [u8; 16] {
    // The debug form names every field and quotes every text, so two filters never share one.
    let text = format!("{filter:?} {order:?}");
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
    fingerprint
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Position;
    use uuid::Uuid;

    const KEY: CursorKey = CursorKey([0; 32]);
    const TENANT: TenantId = TenantId(Uuid::from_u128(1));

    fn parsed(pairs: &[(&str, &str)]) -> Result<Query, Vec<FieldError>> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        parse(Parameters::new(pairs), TENANT, &KEY)
    }

    fn refused(pairs: &[(&str, &str)]) -> Vec<String> {
        parsed(pairs)
            .map_or_else(|errors| errors.into_iter().map(|error| error.pointer).collect(), |_| vec![])
    }

    #[test]
    fn every_parameter_is_understood() {
        let query = parsed(&[
            ("event_type", "api_call"),
            ("severity", "error"),
            ("service", "pay*"),
            ("endpoint", "/x"),
            ("method", "GET"),
            ("environment", "production"),
            ("status_code", "5xx"),
            ("user_id", "u"),
            ("correlation_id", "c"),
            ("tags", "a:b"),
            ("tags", "c:d:e"),
            ("q", "Hello wor*"),
            ("start_time", "2026-01-01T00:00:00"),
            ("end_time", "2026-01-02T00:00:00 01:00"),
            ("order", "asc"),
            ("limit", "7"),
            ("offset", "3"),
            ("tenant_id", "ignored"),
        ])
        .expect("all are valid");
        assert_eq!((query.limit, query.offset, query.order), (7, 3, Order::Ascending));
        assert_eq!(query.filter.status_code, Some(500..=599));
        assert_eq!(query.filter.tags, ["a:b", "c:d:e"]);
        let word = |text: &str, is_prefix| Word { text: text.to_owned(), is_prefix };
        assert_eq!(query.filter.words, Some(vec![word("hello", false), word("wor", true)]));
        assert_eq!(query.filter.end_time.map(|t| t.to_string()).as_deref(), Some("2026-01-01T23:00:00Z"));
    }

    #[test]
    fn a_bad_value_is_named() {
        for (name, value) in [
            ("event_type", "x"),
            ("severity", "high"),
            ("status_code", "6xx"),
            ("status_code", "99"),
            ("status_code", "2x"),
            ("tags", "novalue"),
            ("start_time", "yesterday"),
            ("order", "up"),
            ("limit", "0"),
            ("limit", "-1"),
            ("limit", "1001"),
            ("limit", "abc"),
            ("offset", "-1"),
            ("cursor", "abc"),
            ("service", ""),
            ("user_id", "\0"),
            ("sort", "id"),
        ] {
            assert_eq!(refused(&[(name, value)]), [format!("/{name}")], "{name}={value}");
        }
        assert_eq!(refused(&[("limit", "1"), ("limit", "2")]), ["/limit"]);
        let swapped = [("start_time", "2026-01-02T00:00:00Z"), ("end_time", "2026-01-01T00:00:00Z")];
        assert_eq!(refused(&swapped), ["/start_time"]);
    }

    #[test]
    fn a_cursor_belongs_to_its_query_but_not_to_its_page_size() {
        let query = parsed(&[("severity", "error"), ("limit", "5")]).expect("valid");
        let position = Position { occurred_at: Timestamp::from_secs(9), id: Uuid::from_u128(9) };
        let cursor = KEY.seal(TENANT, &query.fingerprint, position);
        let again =
            parsed(&[("limit", "9"), ("severity", "error"), ("cursor", &cursor)]).expect("same query");
        assert_eq!(again.after, Some(position));
        assert_eq!(refused(&[("severity", "info"), ("cursor", &cursor)]), ["/cursor"]);
        assert_eq!(refused(&[("severity", "error"), ("order", "asc"), ("cursor", &cursor)]), ["/cursor"]);
        assert_eq!(refused(&[("severity", "error"), ("offset", "1"), ("cursor", &cursor)]), ["/offset"]);
    }

    #[test]
    fn a_text_without_words_is_a_search_for_nothing() {
        for text in ["%", "_", "\\", "*", "& | ! \""] {
            assert_eq!(parsed(&[("q", text)]).map(|query| query.filter.words), Ok(Some(vec![])), "{text}");
        }
    }

    #[test]
    fn a_body_means_the_same_as_an_address() {
        let body: &RawValue =
            serde_json::from_str(r#"{"limit": 5, "tags": ["a:b", "c:d"], "q": null}"#).expect("JSON");
        let from_body = Parameters::from_json(body).map(|parameters| parse(parameters, TENANT, &KEY));
        assert_eq!(from_body, Ok(parsed(&[("limit", "5"), ("tags", "a:b"), ("tags", "c:d")])));
        let wrong: &RawValue = serde_json::from_str(r#"{"limit": {}}"#).expect("JSON");
        assert_eq!(Parameters::from_json(wrong).map_err(|e| e[0].pointer.clone()), Err("/limit".to_owned()));
    }
}
