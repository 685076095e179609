//! The corpus of bad input: `tests/corpus/*.json`, sent to the server byte for byte. Its README has the format.
//!
//! | module | holds |
//! |---|---|
//! | `table` | the files, read strictly: a misspelt member fails |
//! | `piece` | bytes that are described instead of spelt out |
//! | `names` | what stands for the tenants, keys and instants of a run |
//! | `exchange` | a connection that sends any bytes and hears the answers out |
//! | `judge` | an answer held against what the case expects, and against what holds for every answer |
//! | `stored` | what is in the database afterwards, and that it comes back digit for digit |
//! | `record` | the same case answers the same on all four combinations |
//! | `cost` | the memory and processor time that a case took |
//! | `locked` | which requests never come near the database |

mod cost;
mod exchange;
mod judge;
mod locked;
pub(crate) mod names;
mod piece;
mod record;
mod run;
mod stored;
mod table;

use std::time::Duration;

use pulsestream_tests::{Combination, Trial, trials};

/// Tables with requests that are slow on purpose take up to a minute each, more in debug builds.
const CAP: Duration = Duration::from_secs(300);

pub(crate) fn trials() -> Vec<Trial> {
    let mut all = Vec::new();
    for name in table::names() {
        let trial = format!("every_case_of_table_{name}_gets_its_answer");
        all.extend(trials::on_each_combination("corpus", &trial, CAP, move |combination| {
            run::table(name.clone(), combination)
        }));
    }
    let on_postgres = [Combination::POSTGRES, Combination::POSTGRES_REDIS];
    let name = "a_key_that_can_be_none_is_refused_without_asking_the_database";
    all.extend(trials::on(&on_postgres, "corpus", name, CAP, locked::mistyped_keys_need_no_database));
    let name = "a_search_that_waits_for_a_lock_is_given_up";
    all.extend(trials::on(&on_postgres, "corpus", name, CAP, locked::a_blocked_search_is_given_up));
    let name = "a_search_without_end_is_cancelled";
    all.extend(trials::on_each_combination("corpus", name, CAP, locked::a_search_without_end_is_cancelled));
    all
}
