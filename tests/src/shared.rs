//! One server per combination for all trials that don't break it.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::{App, Combination};

static APPS: [Mutex<Option<Arc<App>>>; 4] = [const { Mutex::const_new(None) }; 4];

/// The server of this combination, started when first asked for.
pub(crate) async fn app(combination: Combination) -> Arc<App> {
    let at = Combination::ALL.iter().position(|other| *other == combination).expect("all are there");
    let mut place = APPS[at].lock().await;
    if place.is_none() {
        *place = Some(Arc::new(App::start(combination).await));
    }
    Arc::clone(place.as_ref().expect("it was started just now"))
}

/// Stops them all, and panics when one has logged what it must not, or does not end well.
pub(crate) async fn stop() {
    for place in &APPS {
        // A trial that ran out of time may still hold it; its failure was reported.
        drop(place.lock().await.take());
    }
}
