//! Words and tags, as each database's text index is asked for them.

use pulsestream_domain::{event::Terms, search::Word, tenant::TenantId};
use sea_orm::sea_query::{Expr, SimpleExpr};

use crate::Database;

/// Whether an event has all these words and tags; `None` when there are none to have.
///
/// The question is one bound text in the index's own language. Terms are letters and digits only; they are
/// quoted all the same.
pub(super) fn have_all(
    database: Database,
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
    Some(match database {
        Database::Postgres => Expr::cust_with_values("terms @@ $1::tsquery", [tsquery(&terms)]),
        Database::Sqlite => Expr::cust_with_values(
            "row_number IN (SELECT rowid FROM event_terms WHERE event_terms MATCH ?)",
            [fts5(&terms)],
        ),
    })
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
