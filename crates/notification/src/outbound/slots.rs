//! How many requests to one host are under way at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counts requests by host. Hosts without any take no memory.
#[derive(Debug)]
pub(crate) struct Slots {
    per_host: usize,
    hosts: Mutex<HashMap<String, Weak<Semaphore>>>,
}

impl Slots {
    pub(crate) fn new(per_host: usize) -> Self {
        Self { per_host, hosts: Mutex::default() }
    }

    /// Waits for a slot, which lasts until it is dropped. First come, first served.
    pub(crate) async fn take(&self, host: &str) -> OwnedSemaphorePermit {
        self.semaphore(host).acquire_owned().await.expect("the semaphore is never closed")
    }

    fn semaphore(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(semaphore) = hosts.get(host).and_then(Weak::upgrade) {
            return semaphore;
        }
        // Whoever holds or awaits a slot keeps its semaphore alive; nobody needs the others.
        hosts.retain(|_, semaphore| semaphore.strong_count() > 0);
        let semaphore = Arc::new(Semaphore::new(self.per_host));
        hosts.insert(host.to_owned(), Arc::downgrade(&semaphore));
        semaphore
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_host_keeps_its_own_waiting_and_nobody_else() {
        let slots = Arc::new(Slots::new(2));
        let first = slots.take("a").await;
        let _second = slots.take("a").await;
        let _other = slots.take("b").await;
        let waiting = tokio::spawn({
            let slots = slots.clone();
            async move { slots.take("a").await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());

        drop(first);

        let _third = waiting.await.unwrap();
    }

    #[tokio::test]
    async fn hosts_without_requests_are_forgotten() {
        let slots = Slots::new(4);
        for host in 0..100 {
            drop(slots.take(&host.to_string()).await);
        }
        assert_eq!(slots.hosts.lock().unwrap().len(), 1);
    }
}
