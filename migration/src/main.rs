//! `pulsestream-migration up|down|pending <database url>`: the schema by hand.
//!
//! The server brings the schema up to date by itself when it starts; this is for those who want the step
//! done by somebody else, with other rights.

use std::process::ExitCode;

use sea_orm_migration::sea_orm::{ConnectOptions, Database, DbErr};

const USAGE: &str = "usage: pulsestream-migration <command> <database url>

commands:
  up         bring the schema up to date
  down       take back the last step, with all it holds
  pending    tell how many steps are to be done";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [command, url] = arguments.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(command, url).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers whether there is such a command.
async fn run(command: &str, url: &str) -> Result<bool, DbErr> {
    if !["up", "down", "pending"].contains(&command) {
        return Ok(false);
    }
    let db = Database::connect(ConnectOptions::new(url).max_connections(1).to_owned()).await?;
    match command {
        "up" => pulsestream_migration::up(&db).await?,
        "down" => pulsestream_migration::down(&db, 1).await?,
        _ => println!("{}", pulsestream_migration::state(&db).await?.pending),
    }
    Ok(true)
}
