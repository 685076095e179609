//! Servers that differ from the usual ones.

use std::sync::Arc;

use crate::{
    App, Combination,
    ground::{Ground, Own},
    process::Process,
};

/// A server to be, with settings of its own.
pub struct AppBuilder {
    combination: Combination,
    own: Own,
    settings: Vec<(String, String)>,
    sabotage: Option<String>,
}

impl AppBuilder {
    pub(crate) fn new(combination: Combination) -> Self {
        Self { combination, own: Own::default(), settings: Vec::new(), sabotage: None }
    }

    /// Sets one setting, by its path as in the settings file: `http.body_timeout`.
    #[must_use]
    pub fn set(mut self, path: &str, value: impl ToString) -> Self {
        self.settings.push((path.to_owned(), value.to_string()));
        self
    }

    /// Stores in this database instead of a fresh one of the shared server.
    #[must_use]
    pub fn postgres(mut self, url: String) -> Self {
        self.own.postgres_url = Some(url);
        self
    }

    /// Stores in this SQLite file instead of one in the server's directory.
    #[must_use]
    pub fn sqlite(mut self, file: &std::path::Path) -> Self {
        self.own.sqlite_url = Some(format!("sqlite://{}", file.display()));
        self
    }

    /// Does this wrong, in the words of the sabotage crate.
    #[must_use]
    pub fn sabotage(mut self, plan: &str) -> Self {
        self.sabotage = Some(plan.to_owned());
        self
    }

    /// Counts in this Redis instead of the shared one.
    #[must_use]
    pub fn redis(mut self, url: String) -> Self {
        self.own.redis_url = Some(url);
        self
    }

    /// What the server will stand on, with nothing running yet.
    pub fn ground(self) -> (Arc<Ground>, Vec<(String, String)>) {
        (Arc::new(Ground::new(self.combination, self.own)), self.settings)
    }

    /// Starts it.
    pub async fn start(self) -> App {
        let (combination, sabotage) = (self.combination, self.sabotage.clone());
        let (ground, settings) = self.ground();
        let command = crate::command::serve(&ground, &settings, sabotage.as_deref());
        let process = Process::start(command, ground.directory()).await;
        App::new(combination, ground, settings, process)
    }
}
