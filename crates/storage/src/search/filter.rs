//! A filter as SQL. What it has to mean is [`Filter::matches`].

use pulsestream_domain::{
    Timestamp,
    event::{EventType, Severity},
    search::Filter,
    tenant::TenantId,
};
use sea_orm::{
    ColumnTrait as _,
    sea_query::{Condition, Expr, SimpleExpr},
};

use super::{patterns, terms};
use crate::{Database, entity::events::Column};

/// What holds of every event that the filter finds for the tenant.
///
/// `NOT is_deleted` stands as it does in the indexes, or they would not be used.
pub(crate) fn condition(database: Database, tenant_id: TenantId, filter: &Filter) -> Condition {
    let equal = |column: Column, wanted: &Option<String>| wanted.as_deref().map(|text| column.eq(text));
    let alike = |column, pattern| patterns::is_like(database, column, pattern);
    let codes =
        filter.status_code.as_ref().map(|range| (range.start().cast_signed(), range.end().cast_signed()));
    Condition::all()
        .add(owned_by(database, tenant_id, filter))
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
        .add_option(filter.start_time.map(|start: Timestamp| Column::OccurredAt.gte(start.as_micros())))
        .add_option(filter.end_time.map(|end: Timestamp| Column::OccurredAt.lte(end.as_micros())))
        .add_option(words_and_tags(database, tenant_id, filter))
}

/// SQLite would walk through all of a tenant's events in their order, to look for each in the list that the
/// text index gave. The plus keeps it from the index that offers the order, so that it starts with the list.
fn owned_by(database: Database, tenant_id: TenantId, filter: &Filter) -> SimpleExpr {
    #[cfg(feature = "sabotage")]
    if pulsestream_sabotage::is_broken("tenant_forgotten") {
        return Expr::cust("1 = 1");
    }
    let by_text = filter.words.is_some() || !filter.tags.is_empty();
    if database == Database::Sqlite && by_text {
        Expr::cust_with_values("+tenant_id = ?", [tenant_id.0])
    } else {
        Column::TenantId.eq(tenant_id.0)
    }
}

fn words_and_tags(database: Database, tenant_id: TenantId, filter: &Filter) -> Option<SimpleExpr> {
    match &filter.words {
        // A text without a word was searched for: there is no event that has none of its words.
        Some(words) if words.is_empty() => Some(Expr::cust("1 = 0")),
        words => terms::have_all(database, tenant_id, words.as_deref().unwrap_or_default(), &filter.tags),
    }
}
