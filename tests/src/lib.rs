//! What the black-box tests are made of: the real binary on real servers, and clients of it.
//!
//! | module | holds |
//! |---|---|
//! | [`trials`] | async functions become trials with a time cap, on one or all combinations of backends |
//! | [`combination`] | the backends |
//! | [`app`], [`builder`], [`process`] | a server: started, stopped, killed, its log checked |
//! | [`ground`] | what servers stand on: their database, their keys, their directory; and what is in it |
//! | [`shared`] | one server per combination for all trials that don't break it |
//! | [`tenant`], [`person`], [`command`] | tenants, keys and people, made with the command line beside the server |
//! | [`token`] | access tokens made by hand, good and bad |
//! | [`client`], [`answer`], [`event`](mod@event) | HTTP as clients speak it |
//! | [`backup`] | backups, made and restored with the command line |
//! | [`canary`], [`overheard`] | what each tenant's data holds, looked for in every answer that others get |
//! | [`load`], [`ledger`] | clients that send all the time, and their book of what they were told |
//! | [`torture`] | everything broken on purpose, and what was lost counted |
//!
//! Trials share servers and never share tenants. Nothing here skips: what is missing fails.

pub mod answer;
pub mod app;
pub mod backup;
pub mod binary;
pub mod builder;
pub mod canary;
pub mod client;
pub mod combination;
pub mod command;
pub mod event;
pub mod ground;
pub mod ledger;
pub mod load;
pub mod overheard;
pub mod person;
pub mod process;
pub mod sandbox;
pub mod shared;
pub mod tenant;
pub mod token;
pub mod torture;
pub mod trials;

pub use answer::Answer;
pub use app::App;
pub use builder::AppBuilder;
pub use client::{Client, ids};
pub use combination::{Combination, Database, Limiter};
pub use event::{event, event_with, event_with_id, events, unique};
pub use ground::StoredRow;
pub use libtest_mimic::Trial;
pub use overheard::Overheard;
pub use person::Person;
pub use tenant::{Tenant, TenantOptions};
