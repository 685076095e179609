//! The queue of jobs.

use pulsestream_testing::contract;

use crate::support::{Fresh, on_both};

on_both!(the_store_keeps_the_contract_of_a_job_queue);

async fn the_store_keeps_the_contract_of_a_job_queue(fresh: &Fresh) {
    contract::job_queue(&fresh.store).await;
}
