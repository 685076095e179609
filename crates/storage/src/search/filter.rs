//! A filter as SQL. What it has to mean is [`Filter::matches`].

use pulsestream_domain::{
    Timestamp,
    event::{EventType, Severity},
    search::{Filter, Pattern, TextIndex},
    tenant::TenantId,
};
use sea_orm::{
    ColumnTrait as _,
    sea_query::{Condition, Expr, SimpleExpr},
};

use super::{patterns, terms};
use crate::{Database, Store, entity::events::Column};

/// Which index a search for words or tags begins with. The events that are found are the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// Whichever the database thinks best.
    Any,
    /// That of terms, together with that of times where the search has a beginning.
    ByTerms,
}

/// What holds of every event that the filter finds for the tenant.
///
/// `NOT is_deleted` stands as it does in the indexes, or they would not be used.
pub(crate) fn condition(store: &Store, tenant_id: TenantId, filter: &Filter) -> Condition {
    condition_on(Way::Any, store, tenant_id, filter)
}

/// As [`condition`], on a way of the caller's choice.
pub(super) fn condition_on(way: Way, store: &Store, tenant_id: TenantId, filter: &Filter) -> Condition {
    let equal = |column: Column, wanted: &Option<String>| wanted.as_deref().map(|text| column.eq(text));
    let alike = |column, pattern| patterns::is_like(store.database(), column, pattern);
    let codes =
        filter.status_code.as_ref().map(|range| (range.start().cast_signed(), range.end().cast_signed()));
    Condition::all()
        .add(owned_by(way, store, tenant_id, filter))
        .add(Expr::cust("NOT is_deleted"))
        .add_option(filter.event_type.map(|wanted: EventType| Column::EventType.eq(wanted.as_str())))
        .add_option(filter.severity.map(|wanted: Severity| Column::Severity.eq(wanted.as_str())))
        .add_option(filter.service.as_ref().map(|pattern| alike(Column::Service, pattern)))
        .add_option(filter.endpoint.as_ref().map(|pattern| alike(Column::Endpoint, pattern)))
        .add_option(equal(Column::Method, &filter.method))
        .add_option(equal(Column::Environment, &filter.environment))
        .add_option(codes.map(|(first, last)| Column::StatusCode.between(first, last)))
        .add_option(equal(Column::UserId, &filter.user_id))
        .add_option(equal(Column::CorrelationId, &filter.correlation_id))
        .add_option(hashed(store, "endpoint", filter.endpoint.as_ref().and_then(Pattern::as_exact)))
        .add_option(hashed(store, "correlation_id", filter.correlation_id.as_deref()))
        .add_option(filter.start_time.map(|start: Timestamp| Column::OccurredAt.gte(start.as_micros())))
        .add_option(filter.end_time.map(|end: Timestamp| Column::OccurredAt.lte(end.as_micros())))
        .add_option(words_and_tags(store, tenant_id, filter))
}

/// What PostgreSQL's index of times says of a text that is too long to stand there: only events with the same hash are
/// looked at.
fn hashed(store: &Store, column: &str, wanted: Option<&str>) -> Option<SimpleExpr> {
    let wanted = wanted.filter(|_| store.database() == Database::Postgres)?;
    Some(Expr::cust_with_values(format!("hashtext({column}) = hashtext($1)"), [wanted]))
}

/// Whose the events are.
///
/// SQLite would walk through all of a tenant's events in their order, to look for each in the list that the
/// text index gave. The plus keeps it from the index that offers the order, so that it starts with the list. Where
/// there is no list, that walk is the search.
///
/// PostgreSQL does not know that a term belongs to one tenant. It would look up all of the tenant's events, to
/// intersect them with those that have the term, in the hope of few being left; `IS NOT DISTINCT FROM` is
/// equality that no index answers.
fn owned_by(way: Way, store: &Store, tenant_id: TenantId, filter: &Filter) -> SimpleExpr {
    #[cfg(feature = "sabotage")]
    if pulsestream_sabotage::is_broken("tenant_forgotten") {
        return Expr::cust("1 = 1");
    }
    match store.database() {
        Database::Sqlite if filter.has_terms() && store.text_index() == TextIndex::Words => {
            Expr::cust_with_values("+tenant_id = ?", [tenant_id.0])
        }
        Database::Postgres if way == Way::ByTerms && filter.start_time.is_none() => {
            Expr::cust_with_values("tenant_id IS NOT DISTINCT FROM $1", [tenant_id.0])
        }
        _ => Column::TenantId.eq(tenant_id.0),
    }
}

fn words_and_tags(store: &Store, tenant_id: TenantId, filter: &Filter) -> Option<SimpleExpr> {
    match &filter.words {
        // A text without a word was searched for: there is no event that has none of its words.
        Some(words) if words.is_empty() => Some(Expr::cust("1 = 0")),
        words => terms::have_all(store, tenant_id, words.as_deref().unwrap_or_default(), &filter.tags),
    }
}

#[cfg(test)]
mod tests {
    use pulsestream_domain::Timestamp;
    use sea_orm::{ConnectionTrait as _, Order, Statement, sea_query::Query};
    use uuid::Uuid;

    use super::*;
    use crate::{Settings, entity::events::Entity};

    /// How SQLite goes about the search for a page of events with a tag.
    async fn plan(text_index: TextIndex) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("store.db").display());
        let store = Store::connect(&Settings { text_index, ..Settings::new(url) }).await.unwrap();
        store.migrate().await.unwrap();
        let filter =
            Filter { tags: vec!["a:b".to_owned()], start_time: Some(Timestamp::EPOCH), ..Filter::default() };
        let select = Query::select()
            .column(Column::Id)
            .from(Entity)
            .cond_where(condition(&store, TenantId(Uuid::nil()), &filter))
            .order_by(Column::OccurredAt, Order::Desc)
            .order_by(Column::Id, Order::Desc)
            .limit(10)
            .take();
        let Statement { sql, values, db_backend } = store.backend().build(&select);
        let explain = Statement { sql: format!("EXPLAIN QUERY PLAN {sql}"), values, db_backend };
        let rows = store.connections.queries.query_all_raw(explain).await.unwrap();
        rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect()
    }

    #[tokio::test]
    async fn sqlite_begins_with_the_list_where_there_is_one_and_walks_through_time_where_there_is_none() {
        let listed = plan(TextIndex::Words).await;
        assert!(listed[0].starts_with("SEARCH events USING INTEGER PRIMARY KEY"), "{listed:#?}");

        let scanned = plan(TextIndex::None).await;
        let walk = "SEARCH events USING INDEX events_occurred_at (tenant_id=? AND occurred_at>?)";
        assert_eq!(scanned[0], walk, "{scanned:#?}");
        assert!(!scanned.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY")), "{scanned:#?}");
    }
}
