//! The operations of the document that the server serves.

use pulsestream_tests::App;
use reqwest::Method;

/// One method of one path.
pub(super) struct Operation {
    /// Its `operationId`.
    pub(super) id: String,
    pub(super) method: Method,
    /// With names in braces.
    pub(super) path: String,
    /// Whether the document asks for no credential.
    pub(super) is_open: bool,
}

impl Operation {
    /// All that there are.
    pub(super) async fn all(app: &App) -> Vec<Self> {
        let document = app.anonymous().get("/openapi.json").await.expect(200).json();
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("methods") {
                operations.push(Self {
                    id: operation["operationId"].as_str().expect("each has a name").to_owned(),
                    method: method.to_uppercase().parse().expect("a method"),
                    path: path.clone(),
                    is_open: operation["security"].as_array().is_none_or(Vec::is_empty),
                });
            }
        }
        assert!(operations.len() > 50, "the document has {} operations", operations.len());
        operations
    }

    /// The one with this name.
    #[track_caller]
    pub(super) fn of<'a>(operations: &'a [Self], id: &str) -> &'a Self {
        let found = operations.iter().find(|operation| operation.id == id);
        found.unwrap_or_else(|| panic!("the document has no {id}"))
    }

    /// Where to ask about this object.
    pub(super) fn about(&self, id: &str, query: &str) -> String {
        let path = match (self.path.find('{'), self.path.find('}')) {
            (Some(from), Some(to)) => format!("{}{id}{}", &self.path[..from], &self.path[to + 1..]),
            _ => self.path.clone(),
        };
        if query.is_empty() { path } else { format!("{path}?{}", query.replace("{id}", id)) }
    }

    /// Whether it only reads, as far as HTTP can tell.
    pub(super) fn is_read(&self) -> bool {
        self.method == Method::GET
    }
}
