//! A tenant's figures.

use pulsestream_domain::{Timestamp, ports::StoreError, tenant::TenantId};
use sea_orm::{ConnectionTrait as _, DbErr, QueryResult};
use uuid::Uuid;

use crate::{Store, row};

/// A tenant's figures at one moment, all counted, none estimated.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Stats {
    /// Every event that is not deleted.
    pub total_events: u64,
    /// Those taken in since midnight UTC.
    pub events_today: u64,
    /// Those taken in since the hour began.
    pub events_this_hour: u64,
    /// Those taken in since the minute began.
    pub events_this_minute: u64,
    /// When the latest was taken in.
    pub last_event_at: Option<Timestamp>,
    /// Those that wait to be processed again.
    pub pending_events: u64,
    /// Of the events taken in during the last 24 hours that have a status code: the share of those with 500
    /// or more. 0 to 1; 0 when there are none.
    pub error_rate: f64,
}

/// The ranges of time are ranges of row ids, which start with the time: the primary key answers them. A day
/// that began at midnight lies within the last 24 hours, so one pass over those counts everything recent.
const STATS: &str = "
SELECT
    (SELECT count(*) FROM events WHERE tenant_id = $1 AND NOT is_deleted) AS total,
    (SELECT count(*) FROM events
     WHERE tenant_id = $1 AND processing_status = 'pending' AND NOT is_deleted) AS pending,
    (SELECT received_at FROM events WHERE tenant_id = $1 AND NOT is_deleted ORDER BY id DESC LIMIT 1) AS last,
    count(CASE WHEN id >= $3 THEN 1 END) AS today,
    count(CASE WHEN id >= $4 THEN 1 END) AS this_hour,
    count(CASE WHEN id >= $5 THEN 1 END) AS this_minute,
    count(status_code) AS answered,
    count(CASE WHEN status_code >= 500 THEN 1 END) AS failed
FROM events WHERE tenant_id = $1 AND id >= $2 AND NOT is_deleted";

const DAY_SECS: i64 = 86_400;

impl Store {
    /// The tenant's figures at `now`.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn stats(&self, tenant_id: TenantId, now: Timestamp) -> Result<Stats, StoreError> {
        let lists = &self.connections.lists.of(tenant_id);
        let since =
            |length: i64| first_id_at(Timestamp::from_secs(now.as_secs() - now.as_secs().rem_euclid(length)));
        let values =
            [tenant_id.0, first_id_at(now.plus_secs(-DAY_SECS)), since(DAY_SECS), since(3_600), since(60)];
        let statement = self.sql(STATS, values.map(Into::into));
        self.query(async {
            match lists.query_one_raw(statement).await? {
                Some(row) => stats(&row),
                None => Ok(Stats::default()),
            }
        })
        .await
    }
}

fn stats(row: &QueryResult) -> Result<Stats, DbErr> {
    let count = |name: &str| row.try_get("", name).map(row::count);
    let (answered, failed) = (count("answered")?, count("failed")?);
    Ok(Stats {
        total_events: count("total")?,
        events_today: count("today")?,
        events_this_hour: count("this_hour")?,
        events_this_minute: count("this_minute")?,
        last_event_at: row.try_get::<Option<i64>>("", "last")?.map(Timestamp::from_micros),
        pending_events: count("pending")?,
        error_rate: if answered == 0 { 0.0 } else { failed as f64 / answered as f64 },
    })
}

/// The smallest `UUIDv7` of an instant: its 48 bits of milliseconds, then zeros.
pub(crate) fn first_id_at(instant: Timestamp) -> Uuid {
    let millis = u128::try_from(instant.as_millis()).unwrap_or_default();
    Uuid::from_u128(millis << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_id_of_an_instant_sorts_before_every_other_of_it() {
        let id = |text: &str| Uuid::parse_str(text).expect("a UUID");
        let instant = Timestamp::from_micros(0x017F_22E2_79B0 * 1_000);
        // The example of RFC 9562, appendix A.6.
        assert!(first_id_at(instant) < id("017F22E2-79B0-7CC3-98C4-DC0C0C07398F"));
        assert!(first_id_at(instant.plus_micros(1_000)) > id("017F22E2-79B0-7FFF-BFFF-FFFFFFFFFFFF"));
        assert_eq!(first_id_at(Timestamp::from_secs(-1)), Uuid::nil());
    }
}
