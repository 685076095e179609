//! What many evaluations ask at once, answered together.
//!
//! The rules of a tick are evaluated each by itself, under a lease of its own, and all ask the same things at
//! about the same moment: a thousand rules would be ten thousand statements. So what the evaluations of one
//! tenant ask waits here for as long as more keeps coming, and for its turn; then it is one question. An
//! answer is of a moment after it was asked, as it would be alone.
//!
//! Of each tenant one question is worked on at a time, and of all tenants together [`AT_ONCE`]: however many
//! rules are due, searches and look-ups find connections that are free.

use std::{
    collections::HashMap,
    error::Error as _,
    fmt::Debug,
    future::Future,
    mem, slice,
    sync::{Mutex, MutexGuard, PoisonError},
};

use pulsestream_domain::{
    alerting::ObservationQuery,
    ports::{BoxError, StoreError},
    tenant::TenantId,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit, oneshot},
    task::yield_now,
};

use super::load::StateQuestion;
use crate::Store;

/// How many calls of evaluations work at a time.
const AT_ONCE: usize = 4;

/// What evaluations wait for.
#[derive(Debug)]
pub(crate) struct Evaluations {
    pub(super) states: Gathering<StateQuestion>,
    pub(super) windows: Gathering<ObservationQuery>,
    turns: Semaphore,
}

/// A question of an evaluation that many can ask as one.
pub(super) trait Question: Sized + Send + Sync + 'static {
    /// What comes of it.
    type Answer: Debug + Send;

    /// Where those of all tenants wait.
    fn gathering(evaluations: &Evaluations) -> &Gathering<Self>;

    /// Answers all of them, in the order given.
    fn answer(
        store: &Store,
        tenant_id: TenantId,
        questions: &[Self],
    ) -> impl Future<Output = Result<Vec<Self::Answer>, StoreError>> + Send;
}

/// Questions that wait, by tenant. A tenant is in it exactly while somebody works on what it asks.
#[derive(Debug)]
pub(super) struct Gathering<Q: Question>(Mutex<HashMap<TenantId, Vec<Asked<Q>>>>);

#[derive(Debug)]
struct Asked<Q: Question> {
    question: Q,
    answer: oneshot::Sender<Result<Q::Answer, StoreError>>,
}

impl Default for Evaluations {
    fn default() -> Self {
        Self {
            states: Gathering(Mutex::default()),
            windows: Gathering(Mutex::default()),
            turns: Semaphore::new(AT_ONCE),
        }
    }
}

impl Evaluations {
    /// Waits for a turn, and has it until it is dropped.
    pub(super) async fn turn(&self) -> SemaphorePermit<'_> {
        self.turns.acquire().await.expect("nobody closes it")
    }
}

impl Store {
    /// Asks together with whoever else asks the same for this tenant.
    pub(super) async fn ask_together<Q: Question>(
        &self,
        tenant_id: TenantId,
        question: Q,
    ) -> Result<Q::Answer, StoreError> {
        let (answer, answered) = oneshot::channel();
        if Q::gathering(&self.evaluations).add(tenant_id, Asked { question, answer }) {
            // Not by who asks first: it may be stopped, and the others would wait for ever.
            tokio::spawn(work::<Q>(self.clone(), tenant_id));
        }
        answered.await.unwrap_or_else(|gone| Err(StoreError::Unexpected(gone.into())))
    }
}

/// Answers what is asked for a tenant until nobody asks any more.
async fn work<Q: Question>(store: Store, tenant_id: TenantId) {
    let gathering = Q::gathering(&store.evaluations);
    let unfinished = Unfinished { gathering, tenant_id };
    loop {
        let _turn = store.evaluations.turn().await;
        gathering.wait_while_it_grows(tenant_id).await;
        let Some(asked) = gathering.take(tenant_id) else {
            mem::forget(unfinished);
            return;
        };
        answer(&store, tenant_id, asked).await;
    }
}

async fn answer<Q: Question>(store: &Store, tenant_id: TenantId, mut asked: Vec<Asked<Q>>) {
    asked.retain(|one| !one.answer.is_closed());
    let (questions, answers): (Vec<Q>, Vec<_>) =
        asked.into_iter().map(|one| (one.question, one.answer)).unzip();
    if questions.is_empty() {
        return;
    }
    // Who has gone meanwhile needs no answer.
    match Q::answer(store, tenant_id, &questions).await {
        Ok(found) => answers.into_iter().zip(found).for_each(|(answer, found)| _ = answer.send(Ok(found))),
        // What can't be answered must not take others with it: each is asked by itself.
        Err(StoreError::TimedOut(_) | StoreError::Unexpected(_)) if questions.len() > 1 => {
            for (question, answer) in questions.iter().zip(answers).filter(|(_, answer)| !answer.is_closed())
            {
                let found = Q::answer(store, tenant_id, slice::from_ref(question)).await;
                _ = answer.send(found.map(|mut found| found.remove(0)));
            }
        }
        Err(error) => answers.into_iter().for_each(|answer| _ = answer.send(Err(again(&error)))),
    }
}

/// An error for one more who asked.
fn again(error: &StoreError) -> StoreError {
    let cause = BoxError::from(error.source().map_or_else(|| error.to_string(), ToString::to_string));
    match error {
        StoreError::Busy(_) => StoreError::Busy(cause),
        StoreError::TimedOut(_) => StoreError::TimedOut(cause),
        StoreError::Unexpected(_) => StoreError::Unexpected(cause),
        // Reading has no others.
        _ => StoreError::Unavailable(cause),
    }
}

impl<Q: Question> Gathering<Q> {
    /// Answers whether somebody has to begin to work on it.
    fn add(&self, tenant_id: TenantId, asked: Asked<Q>) -> bool {
        let mut waiting = self.waiting();
        let is_first = !waiting.contains_key(&tenant_id);
        waiting.entry(tenant_id).or_default().push(asked);
        is_first
    }

    /// Takes what is asked; when nothing is, the tenant has to be begun with anew.
    fn take(&self, tenant_id: TenantId) -> Option<Vec<Asked<Q>>> {
        let mut waiting = self.waiting();
        let asked = mem::take(waiting.get_mut(&tenant_id)?);
        if asked.is_empty() {
            waiting.remove(&tenant_id);
            return None;
        }
        Some(asked)
    }

    /// Lets others run until none of them has asked meanwhile.
    async fn wait_while_it_grows(&self, tenant_id: TenantId) {
        let count = || self.waiting().get(&tenant_id).map_or(0, Vec::len);
        let mut before = usize::MAX;
        while mem::replace(&mut before, count()) != before {
            yield_now().await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<TenantId, Vec<Asked<Q>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Work on what a tenant asks. Should it end before its end, with a panic or its runtime, who waits for it learns
/// so, and the next who asks begins anew.
struct Unfinished<'a, Q: Question> {
    gathering: &'a Gathering<Q>,
    tenant_id: TenantId,
}

impl<Q: Question> Drop for Unfinished<'_, Q> {
    fn drop(&mut self) {
        self.gathering.waiting().remove(&self.tenant_id);
    }
}
