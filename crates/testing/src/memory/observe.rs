//! Looking at events the plain way: take all, keep those that match, count.

use std::collections::BTreeMap;

use pulsestream_domain::{
    alerting::{
        Aggregate, Example, ExampleQuery, Figures, GroupObservation, Labels, Measure, NumberField,
        ObservationQuery, Observed, Portion, SeriesQuery,
    },
    event::NewEvent,
};

pub(super) fn observe(events: &[NewEvent], query: &ObservationQuery) -> Observed {
    let mut groups: BTreeMap<Labels, (Vec<&NewEvent>, Vec<&NewEvent>)> = BTreeMap::new();
    if query.group_by.is_empty() {
        groups.entry(Labels::default()).or_default();
    }
    for event in events.iter().filter(|event| query.filter.matches(event)) {
        let labels = || Labels::of(&query.group_by, event);
        if query.window.contains(event.occurred_at) {
            groups.entry(labels()).or_default().0.push(event);
        } else if query.earlier.is_some_and(|span| span.contains(event.occurred_at)) {
            groups.entry(labels()).or_default().1.push(event);
        }
    }
    let mut groups: Vec<GroupObservation> = groups
        .into_iter()
        .map(|(labels, (window, earlier))| GroupObservation {
            labels,
            window: figures(&window, query.measure.as_ref()),
            earlier: figures(&earlier, query.measure.as_ref()),
        })
        .collect();
    let is_truncated = groups.len() > query.max_groups;
    groups.sort_by(|a, b| b.window.count.cmp(&a.window.count).then(a.labels.cmp(&b.labels)));
    groups.truncate(query.max_groups);
    groups.sort_by(|a, b| a.labels.cmp(&b.labels));
    // Nothing is measured of a time that was not asked about.
    if query.earlier.is_none() {
        groups.iter_mut().for_each(|group| group.earlier = Figures::default());
    }
    Observed { groups, is_truncated }
}

fn figures(events: &[&NewEvent], measure: Option<&Measure>) -> Figures {
    let measured = match measure {
        None => None,
        Some(Measure::Errors | Measure::Matching(_)) => {
            Some(events.iter().filter(|event| is_counted(event, measure)).count() as f64)
        }
        Some(Measure::Aggregate { field, aggregate }) => aggregated(numbers(events, *field), *aggregate),
    };
    let latest = events.iter().map(|event| event.occurred_at).max();
    Figures { count: events.len() as u64, measured, latest }
}

fn is_counted(event: &NewEvent, measure: Option<&Measure>) -> bool {
    match measure {
        Some(Measure::Errors) => event.status_code.is_some_and(|code| code >= 400),
        Some(Measure::Matching(filter)) => filter.matches(event),
        Some(Measure::Aggregate { field, .. }) => number(event, *field).is_some(),
        None => false,
    }
}

fn number(event: &NewEvent, field: NumberField) -> Option<f64> {
    match field {
        NumberField::StatusCode => event.status_code.map(f64::from),
        NumberField::DurationMs => event.duration_ms,
    }
}

/// In ascending order.
fn numbers(events: &[&NewEvent], field: NumberField) -> Vec<f64> {
    let mut numbers: Vec<f64> = events.iter().filter_map(|event| number(event, field)).collect();
    numbers.sort_by(f64::total_cmp);
    numbers
}

fn aggregated(numbers: Vec<f64>, aggregate: Aggregate) -> Option<f64> {
    let (least, most) = (*numbers.first()?, *numbers.last()?);
    Some(match (aggregate, aggregate.percent()) {
        (_, Some(percent)) => numbers[(numbers.len() * percent as usize).div_ceil(100) - 1],
        (Aggregate::Minimum, _) => least,
        (Aggregate::Maximum, _) => most,
        _ => numbers.iter().sum::<f64>() / numbers.len() as f64,
    })
}

pub(super) fn examples(events: &[NewEvent], query: &ExampleQuery) -> Vec<Example> {
    let is_meant = |event: &&NewEvent| {
        query.window.contains(event.occurred_at)
            && query.filter.matches(event)
            && Labels::of(&query.group_by, event) == query.labels
    };
    let mut found: Vec<&NewEvent> = events.iter().filter(is_meant).collect();
    found.sort_by_key(|event| std::cmp::Reverse((event.occurred_at, event.id)));
    let example = |event: &NewEvent| Example {
        event_id: event.event_id.clone(),
        event_type: event.event_type,
        service: event.service.clone(),
        occurred_at: event.occurred_at,
    };
    found.into_iter().take(query.limit as usize).map(example).collect()
}

pub(super) fn series(events: &[NewEvent], query: &SeriesQuery) -> Vec<Portion> {
    let step_micros = i64::from(query.step_secs) * 1_000_000;
    let mut found: BTreeMap<(u32, Labels), Vec<&NewEvent>> = BTreeMap::new();
    let mut sizes: BTreeMap<Labels, usize> = BTreeMap::new();
    for event in events.iter().filter(|event| query.filter.matches(event)) {
        let step = (event.occurred_at.as_micros() - query.from.as_micros()).div_euclid(step_micros);
        let Some(step) = u32::try_from(step).ok().filter(|step| *step < query.steps) else { continue };
        let labels = Labels::of(&query.group_by, event);
        *sizes.entry(labels.clone()).or_default() += 1;
        found.entry((step, labels)).or_default().push(event);
    }
    let mut kept: Vec<(Labels, usize)> = sizes.into_iter().collect();
    kept.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    kept.truncate(query.max_groups);
    found.retain(|(_, labels), _| kept.iter().any(|(kept, _)| kept == labels));
    found.into_iter().map(|((step, labels), events)| portion(step, labels, &events, query)).collect()
}

fn portion(step: u32, labels: Labels, events: &[&NewEvent], query: &SeriesQuery) -> Portion {
    let numbers = match &query.measure {
        Some(Measure::Aggregate { field, .. }) => numbers(events, *field),
        _ => Vec::new(),
    };
    Portion {
        labels,
        step,
        count: events.len() as u64,
        measured_count: events.iter().filter(|event| is_counted(event, query.measure.as_ref())).count()
            as u64,
        sum: numbers.iter().sum(),
        minimum: numbers.first().copied().unwrap_or(0.0),
        maximum: numbers.last().copied().unwrap_or(0.0),
        latest: events.iter().map(|event| event.occurred_at).max().unwrap_or_default(),
    }
}
