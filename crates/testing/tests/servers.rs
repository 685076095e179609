//! The servers really start, break as told, and leave nothing behind.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use deadpool_redis::redis::{AsyncCommands, Client, Commands, cmd};
use pulsestream_testing::{
    key_space::KeySpace,
    postgres::PostgresServer,
    redis::RedisServer,
    shared::{self, POSTGRES_URL, REDIS_URL},
};
use sea_orm::sqlx::{self, Connection, PgConnection};

async fn ask(url: &str, statement: &'static str) -> Result<String> {
    let mut connection = PgConnection::connect(url).await?;
    Ok(sqlx::query_scalar(statement).fetch_one(&mut connection).await?)
}

async fn run(url: &str, statements: &'static str) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(statements).execute(&mut connection).await?;
    Ok(())
}

#[tokio::test]
async fn a_private_postgres_is_durable_unicode_and_on_no_port() {
    let server = PostgresServer::start().unwrap();
    let url = server.url("postgres");

    assert_eq!(ask(&url, "SHOW data_directory").await.unwrap(), server.data_directory().to_str().unwrap());
    for (statement, expected) in [
        ("SHOW listen_addresses", ""),
        ("SHOW fsync", "on"),
        ("SHOW full_page_writes", "on"),
        ("SHOW synchronous_commit", "on"),
        ("SHOW server_encoding", "UTF8"),
        ("SHOW max_connections", "200"),
        ("SELECT datcollate FROM pg_database WHERE datname = 'postgres'", "C.UTF-8"),
    ] {
        assert_eq!(ask(&url, statement).await.unwrap(), expected, "{statement}");
    }
}

#[tokio::test]
async fn a_server_can_be_started_with_unsafe_settings_to_see_them_refused() {
    let server = PostgresServer::start_with(&[("fsync", "off"), ("max_connections", "20")]).unwrap();

    assert_eq!(ask(&server.url("postgres"), "SHOW fsync").await.unwrap(), "off");
    assert_eq!(ask(&server.url("postgres"), "SHOW max_connections").await.unwrap(), "20");
}

#[test]
fn a_server_that_does_not_come_up_says_why() {
    let error = PostgresServer::start_with(&[("shared_buffers", "none")]).err().unwrap();

    assert!(format!("{error:#}").contains("invalid value for parameter \"shared_buffers\""), "{error:#}");
}

#[tokio::test]
async fn databases_are_made_copied_and_removed_while_in_use() {
    let server = PostgresServer::start().unwrap();
    let first = server.create_database("first").unwrap();
    run(&first, "CREATE TABLE seen (word text); INSERT INTO seen VALUES ('here')").await.unwrap();

    let copy = server.create_database_from("copy", "first").unwrap();
    assert_eq!(ask(&copy, "SELECT word FROM seen").await.unwrap(), "here");
    assert!(server.create_database("copy").is_err());
    assert!(server.create_database("no good").is_err());

    let mut in_use = PgConnection::connect(&copy).await.unwrap();
    server.drop_database("copy").unwrap();
    assert!(in_use.ping().await.is_err());
    assert!(ask(&copy, "SHOW fsync").await.is_err());
    server.drop_database("copy").unwrap();
}

#[tokio::test]
async fn what_was_committed_survives_a_crash_of_postgres() {
    let mut server = PostgresServer::start().unwrap();
    let (url, first_pid) = (server.create_database("app").unwrap(), server.pid());
    run(&url, "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('still here')").await.unwrap();

    server.stop_immediate().unwrap();
    assert_eq!(server.pid(), None);
    assert!(ask(&url, "SHOW fsync").await.is_err());
    server.stop_immediate().unwrap();

    server.restart().unwrap();
    assert_eq!(ask(&url, "SELECT word FROM kept").await.unwrap(), "still here");
    assert_ne!(server.pid(), first_pid);

    let second_pid = server.pid();
    server.restart().unwrap();
    assert_ne!(server.pid(), second_pid);
    assert_eq!(ask(&url, "SELECT word FROM kept").await.unwrap(), "still here");
}

#[test]
fn a_dropped_server_leaves_no_process_and_no_directory() {
    let postgres = PostgresServer::start().unwrap();
    let redis = RedisServer::start().unwrap();
    let directories = [directory(&postgres.url("postgres")), directory(&redis.url())];
    assert!(processes_in(&directories[0]).len() > 2);
    assert_eq!(processes_in(&directories[1]).len(), 1);

    drop((postgres, redis));

    for directory in directories {
        assert_eq!(processes_in(&directory), Vec::<PathBuf>::new());
        assert!(!directory.exists());
    }
}

#[tokio::test]
async fn a_pool_takes_the_url_of_a_private_redis() {
    let server = RedisServer::start().unwrap();
    let pool = deadpool_redis::Config::from_url(server.url()).create_pool(None).unwrap();
    let mut connection = pool.get().await.unwrap();

    connection.set::<_, _, ()>("word", "here").await.unwrap();

    assert_eq!(connection.get::<_, String>("word").await.unwrap(), "here");
    for (setting, expected) in [("port", "0"), ("save", ""), ("appendonly", "no")] {
        let answer: Vec<String> =
            cmd("CONFIG").arg("GET").arg(setting).query_async(&mut connection).await.unwrap();
        assert_eq!(answer[1], expected, "{setting}");
    }
}

#[test]
fn a_killed_redis_comes_back_empty_at_the_same_url() {
    let mut server = RedisServer::start().unwrap();
    let client = Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    connection.set::<_, _, ()>("word", "here").unwrap();

    server.kill().unwrap();
    assert_eq!(server.pid(), None);
    assert!(connection.get::<_, String>("word").is_err());
    assert!(client.get_connection().is_err());
    assert!(server.pause().is_err());

    server.restart().unwrap();
    assert_eq!(client.get_connection().unwrap().get::<_, Option<String>>("word").unwrap(), None);
}

#[test]
fn a_paused_redis_answers_once_it_is_resumed() {
    let server = RedisServer::start().unwrap();
    let mut connection = Client::open(server.url()).unwrap().get_connection().unwrap();
    connection.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    server.pause().unwrap();

    let while_paused = connection.set::<_, _, ()>("word", "here");
    assert!(while_paused.unwrap_err().is_timeout());

    server.resume().unwrap();
    let mut connection = Client::open(server.url()).unwrap().get_connection().unwrap();
    eventually(|| connection.get::<_, Option<String>>("word").unwrap().as_deref() == Some("here"));
}

#[test]
fn a_paused_redis_can_be_dropped() {
    let server = RedisServer::start().unwrap();
    let directory = directory(&server.url());
    server.pause().unwrap();

    drop(server);

    assert!(!directory.exists());
}

#[test]
fn a_key_space_removes_its_keys_and_no_others() {
    let server = RedisServer::start().unwrap();
    let mut connection = Client::open(server.url()).unwrap().get_connection().unwrap();
    let (one, other) =
        (KeySpace::fresh_at(&server.url()).unwrap(), KeySpace::fresh_at(&server.url()).unwrap());
    for index in 0..100 {
        connection.set::<_, _, ()>(format!("{}{index}", one.prefix()), index).unwrap();
    }
    connection.set::<_, _, ()>(format!("{}x", other.prefix()), 1).unwrap();
    connection.set::<_, _, ()>("foreign", 1).unwrap();
    assert_eq!(one.keys().unwrap().len(), 100);

    drop(one);

    assert_eq!(other.keys().unwrap(), [format!("{}x", other.prefix()).into_bytes()]);
    assert_eq!(cmd("DBSIZE").query::<u64>(&mut connection).unwrap(), 2);
}

#[tokio::test]
async fn tests_of_a_process_share_a_postgres_and_not_a_database() {
    let one = shared::databases().unwrap().fresh().unwrap();
    run(&one.url(), "CREATE TABLE mine (word text)").await.unwrap();
    let other = shared::databases().unwrap().fresh().unwrap();
    assert!(ask(&other.url(), "SELECT word FROM mine").await.is_err());

    let copy = shared::databases().unwrap().fresh_from(one.name()).unwrap();
    run(&copy.url(), "INSERT INTO mine VALUES ('copied')").await.unwrap();

    let url = one.url();
    drop(one);
    assert!(ask(&url, "SHOW fsync").await.is_err());
    assert_eq!(ask(&copy.url(), "SELECT word FROM mine").await.unwrap(), "copied");
}

#[test]
fn tests_of_a_process_share_a_redis_and_not_a_prefix() {
    let (one, other) = (shared::key_space().unwrap(), shared::key_space().unwrap());

    assert_eq!(one.url(), other.url());
    assert_ne!(one.prefix(), other.prefix());
}

#[test]
fn shared_servers_go_when_their_process_is_killed() {
    let (mut owner, _output, directories) = start_owner();

    owner.kill().unwrap();
    owner.wait().unwrap();

    for directory in directories {
        eventually(|| !directory.exists() && processes_in(&directory).is_empty());
    }
}

#[test]
fn shared_servers_go_when_their_process_ends() {
    let (mut owner, _output, directories) = start_owner();

    drop(owner.stdin.take());
    assert!(owner.wait().unwrap().success());

    for directory in directories {
        eventually(|| !directory.exists() && processes_in(&directory).is_empty());
    }
}

#[tokio::test]
async fn servers_named_in_the_environment_are_used_and_left_running() {
    let postgres = PostgresServer::start().unwrap();
    let redis = RedisServer::start().unwrap();
    let mut command = owner_command();
    command.env(POSTGRES_URL, postgres.url("postgres")).env(REDIS_URL, redis.url());

    let (mut owner, _output, directories) = start(command);
    drop(owner.stdin.take());
    assert!(owner.wait().unwrap().success());

    assert_eq!(directories, [directory(&postgres.url("postgres")), directory(&redis.url())]);
    assert_eq!(ask(&postgres.url("postgres"), "SHOW fsync").await.unwrap(), "on");
    Client::open(redis.url()).unwrap().get_connection().unwrap();
}

#[test]
fn a_backend_that_is_missing_is_a_failure_that_says_what_to_do() {
    let (path, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for program in ["sh", "rm"] {
        symlink(Path::new("/bin").join(program), path.path().join(program)).unwrap();
    }
    let mut command = owner_command();
    command.env("PATH", path.path()).env("TMPDIR", temporary.path()).env("DOCKER_HOST", "unix:///nowhere");
    command.env(POSTGRES_URL, "postgres://named/and-not-asked").stderr(Stdio::piped());

    let output = command.output().unwrap();

    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    for part in ["no server for the tests", "name one in PULSESTREAM_TEST_REDIS_URL", "starting redis-server"]
    {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

/// A process with shared servers, which are never dropped, and the directories of the two.
fn start_owner() -> (Child, BufReader<ChildStdout>, [PathBuf; 2]) {
    let (owner, output, directories) = start(owner_command());
    for directory in &directories {
        assert!(!processes_in(directory).is_empty());
    }
    (owner, output, directories)
}

fn owner_command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_test-servers"));
    command.env_remove(POSTGRES_URL).env_remove(REDIS_URL).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn start(mut command: Command) -> (Child, BufReader<ChildStdout>, [PathBuf; 2]) {
    let mut owner = command.spawn().unwrap();
    let mut output = BufReader::new(owner.stdout.take().unwrap());
    let directories = [POSTGRES_URL, REDIS_URL].map(|name| {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        directory(line.trim_end().strip_prefix(&format!("{name}=")).unwrap())
    });
    (owner, output, directories)
}

/// The directory of a private server, from its URL.
fn directory(url: &str) -> PathBuf {
    let after = |start: &str| url.split_once(start).map(|(_, path)| PathBuf::from(path));
    let redis = || after("redis+unix://").map(|socket| socket.parent().unwrap().to_owned());
    after("?host=").or_else(redis).unwrap()
}

/// The processes that work in a directory or below, as paths in `/proc`.
fn processes_in(directory: &Path) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let works_here = |process: &PathBuf| {
        fs::read_link(process.join("cwd")).is_ok_and(|place| place.starts_with(directory))
    };
    processes.filter(works_here).collect()
}

fn eventually(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come true in 30 s");
        thread::sleep(Duration::from_millis(10));
    }
}
