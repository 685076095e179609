//! Runs the PostgreSQL and Redis that tests would use until its standard input ends: to look at what tests
//! see, or to share one pair between several test processes. Prints one `NAME=url` per line.

use std::io;

use pulsestream_testing::shared;

fn main() -> anyhow::Result<()> {
    println!("{}={}", shared::POSTGRES_URL, shared::databases()?.url("postgres"));
    println!("{}={}", shared::REDIS_URL, shared::key_space()?.url());
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
