//! Reading events once for the windows of many rules.
//!
//! Most rules of a tenant look at the same few minutes. Each by a statement of its own, a thousand rules visit
//! every event of those minutes a thousand times, and a row costs PostgreSQL more than a comparison costs
//! here. So where it pays, the events are read once and looked at in memory ([`Glance`]); what remains is
//! asked in SQL, question by question.

use pulsestream_domain::{
    alerting::{ObservationQuery, Observed, Span},
    ports::StoreError,
    search::Filter,
    tenant::TenantId,
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, Order,
    sea_query::{Query, SelectStatement},
};
use tokio::task::yield_now;

use super::{
    gather::{Evaluations, Gathering, Question},
    glance::{self, Fields, Glance},
};
use crate::{
    Store,
    entity::events::{Column, Entity},
    search,
};

/// How many events are held in memory at most, for one tenant: some tens of megabytes.
const MAX_EVENTS: usize = 100_000;
/// How many times as much it costs to read an event as to count it where it is.
const READING: i64 = 4;

impl Question for ObservationQuery {
    type Answer = Observed;

    fn gathering(evaluations: &Evaluations) -> &Gathering<Self> {
        &evaluations.windows
    }

    async fn answer(
        store: &Store,
        tenant_id: TenantId,
        questions: &[Self],
    ) -> Result<Vec<Self::Answer>, StoreError> {
        let glance = match worth_reading(questions) {
            Some(span) => Some(store.glance(tenant_id, span, Fields::of(questions)).await?),
            None => None,
        };
        let mut answers = Vec::with_capacity(questions.len());
        for question in questions {
            answers.push(match glance.as_ref().and_then(|glance| glance.observe(question)) {
                Some(observed) => observed,
                None => store.observe_window(tenant_id, question).await?,
            });
            // It computes, and others on this thread wait.
            yield_now().await;
        }
        Ok(answers)
    }
}

impl Store {
    /// Reads the events of this time, or the newest of them.
    async fn glance(&self, tenant_id: TenantId, span: Span, fields: Fields) -> Result<Glance, StoreError> {
        let select = select(self, tenant_id, span, &fields);
        self.query(async {
            let rows = self.connections.queries.query_all(&select).await?;
            Glance::of(&rows, fields, span, rows.len() > MAX_EVENTS)
        })
        .await
    }
}

fn select(store: &Store, tenant_id: TenantId, span: Span, fields: &Fields) -> SelectStatement {
    Query::select()
        .columns(fields.columns())
        .from(Entity)
        .cond_where(search::condition(store, tenant_id, &Filter::default()))
        .and_where(Column::OccurredAt.gte(span.from.as_micros()))
        .and_where(Column::OccurredAt.lt(span.to.as_micros()))
        .order_by(Column::OccurredAt, Order::Desc)
        .limit(MAX_EVENTS as u64 + 1)
        .take()
}

/// The time whose events are worth reading once for all questions about it. `None` when each is cheaper by
/// itself.
///
/// Nobody knows how many events there are, but they are about as many as the time is long. So the questions
/// about the shortest times are taken together for as long as that makes the whole cheaper: a single rule
/// that looks back for a day does not make all others read that day.
fn worth_reading(questions: &[ObservationQuery]) -> Option<Span> {
    let shared = questions.iter().filter(|question| glance::can_answer(question));
    let times: Vec<Span> = shared.map(time).collect();
    let to = times.iter().map(|time| time.to).max()?;
    let mut lengths: Vec<i64> = times.iter().map(|time| to.as_micros() - time.from.as_micros()).collect();
    lengths.sort_unstable();
    let mut alone: i64 = lengths.iter().sum();
    let (mut least, mut longest) = (alone, None);
    for length in lengths {
        alone -= length;
        if READING * length + alone < least {
            (least, longest) = (READING * length + alone, Some(length));
        }
    }
    longest.map(|length| Span { from: to.plus_micros(-length), to })
}

/// All the time that a question is about.
pub(super) fn time(question: &ObservationQuery) -> Span {
    Span {
        from: question.earlier.map_or(question.window.from, |earlier| earlier.from),
        to: question.window.to,
    }
}

#[cfg(test)]
mod tests {
    use pulsestream_domain::Timestamp;

    use super::*;

    fn question(minutes: i64) -> ObservationQuery {
        let window = Span { from: Timestamp::from_secs(-60 * minutes), to: Timestamp::EPOCH };
        ObservationQuery {
            filter: Filter::default(),
            group_by: Vec::new(),
            measure: None,
            window,
            earlier: None,
            max_groups: 1_000,
        }
    }

    /// How many minutes are read for rules that look at so many minutes each.
    fn read(minutes: &[i64]) -> Option<i64> {
        let questions: Vec<_> = minutes.iter().map(|minutes| question(*minutes)).collect();
        worth_reading(&questions).map(|span| (span.to.as_secs() - span.from.as_secs()) / 60)
    }

    #[test]
    fn what_few_ask_is_not_read() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[5]), None);
        assert_eq!(read(&[5; 4]), None);
        assert_eq!(read(&[5; 5]), Some(5));
    }

    #[test]
    fn what_one_alone_wants_is_not_read_for_all() {
        assert_eq!(read(&[[5; 20].as_slice(), &[1_440]].concat()), Some(5));
        assert_eq!(read(&[[5; 20].as_slice(), &[60; 5]].concat()), Some(60));
        assert_eq!(read(&[[5; 5].as_slice(), &[60; 3]].concat()), Some(5));
    }

    #[test]
    fn words_are_left_to_the_index() {
        let filter = Filter { words: Some(Vec::new()), ..Filter::default() };
        let questions = [(); 20].map(|()| ObservationQuery { filter: filter.clone(), ..question(5) });
        assert_eq!(worth_reading(&questions), None);
    }
}
