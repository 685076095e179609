//! What a filter means. A store's SQL is held to this by a property test.

use super::{Filter, Pattern, Word};
use crate::{
    event::{NewEvent, Terms},
    tenant::TenantId,
};

impl Filter {
    /// Whether the event fulfils every condition. Whose event it is has been asked already.
    pub fn matches(&self, event: &NewEvent) -> bool {
        let equal =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|w| found == Some(w));
        let alike = |wanted: &Option<Pattern>, found: &str| wanted.as_ref().is_none_or(|w| w.matches(found));
        self.event_type.is_none_or(|wanted| wanted == event.event_type)
            && self.severity.is_none_or(|wanted| wanted == event.severity)
            && alike(&self.service, &event.service)
            && alike(&self.endpoint, &event.endpoint)
            && equal(&self.method, Some(&event.method))
            && equal(&self.environment, event.environment.as_deref())
            && equal(&self.user_id, event.user_id.as_deref())
            && equal(&self.correlation_id, event.correlation_id.as_deref())
            && self
                .status_code
                .as_ref()
                .is_none_or(|range| event.status_code.is_some_and(|s| range.contains(&s)))
            && self.start_time.is_none_or(|start| event.occurred_at >= start)
            && self.end_time.is_none_or(|end| event.occurred_at <= end)
            && self.tags.iter().all(|tag| has(&event.terms, &Terms::tag(event.tenant_id, tag), false))
            && self.words.as_ref().is_none_or(|words| {
                !words.is_empty()
                    && words.iter().all(|word| has(&event.terms, &word.term(event.tenant_id), word.is_prefix))
            })
    }
}

impl Word {
    /// The term to look for in an index, exactly or as the beginning of one.
    pub fn term(&self, tenant_id: TenantId) -> String {
        Terms::word(tenant_id, &self.text)
    }
}

fn has(terms: &Terms, wanted: &str, is_prefix: bool) -> bool {
    terms.iter().any(|term| if is_prefix { term.starts_with(wanted) } else { term == wanted })
}
