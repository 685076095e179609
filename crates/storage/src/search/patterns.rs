//! Texts with stars, as each database compares them with case.

use pulsestream_domain::search::Pattern;
use sea_orm::{
    ColumnTrait as _, Iden as _,
    sea_query::{Expr, LikeExpr, SimpleExpr},
};

use crate::{Database, entity::events::Column};

/// Whether a column looks like the pattern.
///
/// `LIKE` ignores the case of ASCII letters on SQLite, so there it is `GLOB`.
pub(super) fn is_like(database: Database, column: Column, pattern: &Pattern) -> SimpleExpr {
    if let Some(text) = pattern.as_exact() {
        return column.eq(text);
    }
    match database {
        Database::Postgres => column.like(LikeExpr::new(like(pattern)).escape('\\')),
        Database::Sqlite => Expr::cust_with_values(format!("{} GLOB ?", column.unquoted()), [glob(pattern)]),
    }
}

/// `*` becomes `%`; what means something to `LIKE` is escaped.
fn like(pattern: &Pattern) -> String {
    let literal = |part: &str| part.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    pattern.parts().map(literal).collect::<Vec<_>>().join("%")
}

/// `*` stays; what means something to `GLOB` stands alone in a class, which is its way to escape.
fn glob(pattern: &Pattern) -> String {
    let literal = |part: &str| part.replace('[', "[[]").replace('?', "[?]");
    pattern.parts().map(literal).collect::<Vec<_>>().join("*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stars_are_special() {
        let pattern = Pattern::new("a%_\\[x]?*b");
        assert_eq!(like(&pattern), "a\\%\\_\\\\[x]?%b");
        assert_eq!(glob(&pattern), "a%_\\[[]x][?]*b");
    }
}
