//! Every operation of the OpenAPI document, asked for with every kind of credential, about what is one's own,
//! another tenant's, and nobody's. What has to come of it stands in a table that knows nothing of the server's own.
//!
//! | module | holds |
//! |---|---|
//! | `document` | the operations, read from the document that the server serves |
//! | `rights` | the table: who may, and what is written into the audit log |
//! | `stage` | two tenants with one object of each kind, and one tenant's credentials, good and spent |
//! | `cells` | operation × credential × object: who is let through, and that nothing shows of another tenant |
//! | `audit` | each change of rights, rules and receivers has its lines of the audit log, and nothing else has |

mod audit;
mod cells;
mod document;
mod rights;
mod stage;

use std::{collections::BTreeSet, time::Duration};

use pulsestream_tests::{App, Combination, Trial, on_all_four};

use document::Operation;
use rights::May;

/// Some three thousand requests each, on a machine that builds something else beside.
const CAP: Duration = Duration::from_secs(900);

pub(crate) fn trials() -> Vec<Trial> {
    let mut all = on_all_four![the_table_has_every_operation_of_the_document_and_no_other];
    all.extend(on_all_four![
        within CAP;
        no_credential_does_more_or_less_than_the_table_says,
        every_administrative_change_has_its_lines_in_the_audit_log,
    ]);
    all
}

async fn the_table_has_every_operation_of_the_document_and_no_other(combination: Combination) {
    let app = App::shared(combination).await;
    let operations = Operation::all(&app).await;
    let documented: BTreeSet<&str> = operations.iter().map(|operation| operation.id.as_str()).collect();
    let table = rights::table();
    let listed: BTreeSet<&str> = table.iter().map(|line| line.operation).collect();
    assert_eq!(listed.len(), table.len(), "an operation is in the table twice");
    assert_eq!(listed, documented);
    for line in &table {
        let operation = Operation::of(&operations, line.operation);
        let is_open = matches!(line.may, May::Anybody(_));
        assert_eq!(operation.is_open, is_open, "{}: the document says another thing", line.operation);
        let names_one = line.kind.is_some() && line.query.is_empty() && line.body.is_none();
        assert!(!names_one || operation.path.contains('{'), "{}: nowhere for its id", line.operation);
    }
}

async fn no_credential_does_more_or_less_than_the_table_says(combination: Combination) {
    cells::run(combination).await;
}

async fn every_administrative_change_has_its_lines_in_the_audit_log(combination: Combination) {
    audit::run(combination).await;
}
