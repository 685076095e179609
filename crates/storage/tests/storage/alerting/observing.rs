//! Looking at events agrees with what the domain says of them.

use pulsestream_domain::{
    alerting::{GroupField, Labels, Measure, ObservationQuery, Span},
    event::NewEvent,
    ports::AlertStore as _,
    search::{Filter, Parameters, parse_filter},
};

use crate::support::{Fresh, NOW, OTHER, TENANT, at, event, on_both, with_and_without_index, with_text};

on_both!(equal_sizes_are_told_apart_by_labels);
with_and_without_index!(odd_keys_and_words_are_counted_as_the_domain_counts_them);

fn events() -> Vec<NewEvent> {
    let tags = r#"{"title":"t","context":{"tags":{"1":"one","[0]":"zero","a.b":"Ünï"}}}"#;
    let mut tagged = event(TENANT, "tagged");
    tagged.document = pulsestream_domain::event::Document::from_stored(tags.to_owned());
    vec![
        with_text(tagged, "quick brown", &[("env", "x")]),
        with_text(event(TENANT, "words"), "quick", &[]),
        event(TENANT, "plain"),
        with_text(event(OTHER, "other"), "quick", &[]),
    ]
}

fn query(group_by: &[&str], measure: Option<Measure>) -> ObservationQuery {
    ObservationQuery {
        filter: Filter::default(),
        group_by: group_by.iter().map(|name| name.parse::<GroupField>().unwrap()).collect(),
        measure,
        window: Span { from: NOW, to: NOW.plus_secs(1) },
        earlier: None,
        max_groups: 10,
    }
}

fn filter(name: &str, value: &str) -> Filter {
    parse_filter(Parameters::new([(name.to_owned(), value.to_owned())])).unwrap()
}

async fn odd_keys_and_words_are_counted_as_the_domain_counts_them(fresh: &Fresh) {
    fresh.put(&events()).await;
    let fields = ["tags.1", "tags.[0]", "tags.a.b"];
    let mut expected: Vec<Labels> =
        events()[..3].iter().map(|event| Labels::of(&query(&fields, None).group_by, event)).collect();
    expected.sort();
    expected.dedup();

    let by_tags = fresh.store.observe(TENANT, &query(&fields, None)).await.unwrap();
    let labels: Vec<Labels> = by_tags.groups.iter().map(|group| group.labels.clone()).collect();
    assert_eq!(labels, expected);

    let matching = Some(Measure::Matching(Box::new(filter("q", "quick"))));
    let mut by_words = query(&[], matching);
    let found = fresh.store.observe(TENANT, &by_words).await.unwrap();
    assert_eq!((found.groups[0].window.count, found.groups[0].window.measured), (3, Some(2.0)));
    by_words.filter = filter("tags", "env:x");
    let found = fresh.store.observe(TENANT, &by_words).await.unwrap();
    assert_eq!((found.groups[0].window.count, found.groups[0].window.measured), (1, Some(1.0)));
}

async fn equal_sizes_are_told_apart_by_labels(fresh: &Fresh) {
    let named = |service: &str| NewEvent { service: service.to_owned(), ..at(NOW, event(TENANT, service)) };
    fresh.put(&["b", "B", "a", "_"].map(named)).await;
    let asked = ObservationQuery { max_groups: 2, ..query(&["service"], None) };

    let found = fresh.store.observe(TENANT, &asked).await.unwrap();

    let names: Vec<String> = found.groups.iter().map(|group| group.labels.to_string()).collect();
    assert_eq!(names, ["service=B", "service=_"], "by their bytes");
    assert!(found.is_truncated);
}
