//! Words and tags, as each database is asked for them.
//!
//! PostgreSQL has the terms of an event in a column, and one condition on it serves with an index and without. SQLite has
//! them in the text index or, of events that were stored while words were not indexed, in a table beside it. A search
//! looks into both, whatever is indexed now; what differs is which of them it begins with.

use pulsestream_domain::{
    event::Terms,
    search::{TextIndex, Word},
    tenant::TenantId,
};
use sea_orm::sea_query::{Expr, SimpleExpr};

use crate::{Database, Store};

/// Whether an event has all these words and tags; `None` when there are none to have.
///
/// An index is asked by one bound text in its own language. Terms are letters and digits only; they are quoted all
/// the same.
pub(super) fn have_all(
    store: &Store,
    tenant_id: TenantId,
    words: &[Word],
    tags: &[String],
) -> Option<SimpleExpr> {
    let words = words.iter().map(|word| (word.term(tenant_id), word.is_prefix));
    let tags = tags.iter().map(|tag| (Terms::tag(tenant_id, tag), false));
    let terms: Vec<(String, bool)> = words.chain(tags).collect();
    if terms.is_empty() {
        return None;
    }
    Some(match (store.database(), store.text_index()) {
        (Database::Postgres, _) => Expr::cust_with_values("terms @@ $1::tsquery", [tsquery(&terms)]),
        (Database::Sqlite, TextIndex::Words) => listed(&terms),
        (Database::Sqlite, TextIndex::None) => scanned(&terms),
    })
}

/// Among those that the index lists. Nothing stands beside it, unless another process puts it there.
fn listed(terms: &[(String, bool)]) -> SimpleExpr {
    let (stand_there, wanted) = unindexed(terms);
    let sql = format!(
        "row_number IN (SELECT rowid FROM event_terms WHERE event_terms MATCH ?
         UNION ALL SELECT row_number FROM unindexed_terms WHERE {stand_there})"
    );
    Expr::cust_with_values(sql, [fts5(terms)].into_iter().chain(wanted))
}

/// Looked at one by one. Those that are older than the setting are in the index.
fn scanned(terms: &[(String, bool)]) -> SimpleExpr {
    let (stand_there, wanted) = unindexed(terms);
    let sql = format!(
        "(EXISTS (SELECT 1 FROM unindexed_terms WHERE row_number = events.row_number AND {stand_there})
          OR row_number IN (SELECT rowid FROM event_terms WHERE event_terms MATCH ?))"
    );
    Expr::cust_with_values(sql, wanted.chain([fts5(terms)]))
}

/// Whether the terms of a row of the table beside the index have all these, and what is bound to that.
fn unindexed(terms: &[(String, bool)]) -> (String, impl Iterator<Item = String>) {
    // Every term stands between two spaces then.
    let stand_there = vec!["instr(' ' || terms || ' ', ?) > 0"; terms.len()].join(" AND ");
    let wanted =
        terms.iter().map(|(term, is_prefix)| format!(" {term}{}", if *is_prefix { "" } else { " " }));
    (stand_there, wanted)
}

fn tsquery(terms: &[(String, bool)]) -> String {
    let quoted = terms.iter().map(|(term, is_prefix)| {
        let term = term.replace('\\', "\\\\").replace('\'', "''");
        if *is_prefix { format!("'{term}':*") } else { format!("'{term}'") }
    });
    quoted.collect::<Vec<_>>().join(" & ")
}

fn fts5(terms: &[(String, bool)]) -> String {
    let quoted = terms.iter().map(|(term, is_prefix)| {
        let term = term.replace('"', "\"\"");
        if *is_prefix { format!("\"{term}\"*") } else { format!("\"{term}\"") }
    });
    quoted.collect::<Vec<_>>().join(" AND ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_quoted_and_joined() {
        let terms = [("a".to_owned(), false), ("b'\"\\".to_owned(), true)];
        assert_eq!(tsquery(&terms), r#"'a' & 'b''"\\':*"#);
        assert_eq!(fts5(&terms), r#""a" AND "b'""\"*"#);
    }
}
