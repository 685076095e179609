//! A resolver whose answers the test decides.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use pulsestream_notification::Resolver;

/// Names and what they resolve to, look-up by look-up; the last answer stays.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    answers: HashMap<String, Vec<Vec<IpAddr>>>,
    aliases: HashMap<String, String>,
    lookups: usize,
}

impl Names {
    /// A name with the same addresses always.
    pub(crate) fn of(name: &str, addresses: &[IpAddr]) -> Self {
        Self::default().changing(name, &[addresses])
    }

    /// A name with other addresses at each look-up.
    pub(crate) fn changing(self, name: &str, answers: &[&[IpAddr]]) -> Self {
        let answers = answers.iter().map(|addresses| addresses.to_vec()).collect();
        self.0.lock().unwrap().answers.insert(name.to_owned(), answers);
        self
    }

    /// A name that is another one's alias (CNAME).
    pub(crate) fn alias(self, name: &str, target: &str) -> Self {
        self.0.lock().unwrap().aliases.insert(name.to_owned(), target.to_owned());
        self
    }

    pub(crate) fn lookups(&self) -> usize {
        self.0.lock().unwrap().lookups
    }
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut state = self.0.lock().unwrap();
        state.lookups += 1;
        let mut name = name.to_owned();
        while let Some(target) = state.aliases.get(&name) {
            name.clone_from(target);
        }
        let answers = state.answers.get_mut(&name);
        let answers = answers.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"))?;
        Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    }
}
