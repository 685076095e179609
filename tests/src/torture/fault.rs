//! What can break, and how it is mended.

use std::{fmt, time::Duration};

use rustix::process::Signal;
use sea_orm::sqlx::Executor as _;

use super::{cluster::Cluster, disk::Disk, proxy::Mode};

/// One thing that breaks.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Fault {
    /// A server is killed (SIGKILL), and started again when it is mended.
    KillServer(usize),
    /// A server stops in the middle of whatever it does (SIGSTOP).
    PauseServer(usize),
    /// PostgreSQL crashes.
    CrashPostgres,
    /// Every process of PostgreSQL stops where it is (SIGSTOP).
    PausePostgres,
    /// One process of PostgreSQL is killed (SIGKILL), upon which it restarts itself.
    KillBackend(usize),
    /// PostgreSQL ends all connections but its own.
    TerminateBackends,
    /// Redis is killed, and started again without its memory.
    KillRedis,
    /// Redis stops where it is (SIGSTOP).
    PauseRedis,
    /// The disk under SQLite is full.
    FillDisk,
    /// A link is spoilt.
    Spoil(Link, Mode),
}

/// A link of a server, by the server's number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Link {
    /// From clients to the server.
    Front(usize),
    /// From the server to PostgreSQL.
    Database(usize),
    /// From the server to Redis.
    Limiter(usize),
}

impl Fault {
    /// Breaks it.
    pub async fn inject(self, cluster: &mut Cluster) {
        match self {
            Self::KillServer(node) => cluster.nodes[node].kill(),
            Self::PauseServer(node) => cluster.nodes[node].app.process().signal(Signal::STOP),
            Self::CrashPostgres => {
                let postgres = cluster.postgres.as_mut().expect("the schedule is of this cluster");
                postgres.stop_immediate().expect("it can be signalled");
            }
            Self::PausePostgres => cluster.signal_postgres(Signal::STOP),
            Self::KillBackend(choice) => _ = cluster.kill_backend(choice),
            Self::TerminateBackends => terminate_backends(cluster).await,
            Self::KillRedis => {
                let redis = cluster.redis.as_mut().expect("the schedule is of this cluster");
                redis.kill().expect("it can be signalled");
            }
            Self::PauseRedis => {
                let redis = cluster.redis.as_ref().expect("the schedule is of this cluster");
                redis.pause().expect("it can be signalled");
            }
            Self::FillDisk => disk(cluster).fill(),
            Self::Spoil(link, mode) => link.of(cluster).set(mode),
        }
    }

    /// Mends it. What servers stand on is to be mended before the servers.
    pub async fn mend(self, cluster: &mut Cluster) {
        match self {
            Self::KillServer(node) => cluster.nodes[node].start_again().await,
            Self::PauseServer(node) => cluster.nodes[node].app.process().signal(Signal::CONT),
            Self::CrashPostgres => {
                let postgres = cluster.postgres.as_mut().expect("the schedule is of this cluster");
                postgres.restart().unwrap_or_else(|error| panic!("{error:#}"));
            }
            Self::PausePostgres => cluster.signal_postgres(Signal::CONT),
            Self::KillBackend(_) | Self::TerminateBackends => {}
            Self::KillRedis => {
                let redis = cluster.redis.as_mut().expect("the schedule is of this cluster");
                redis.restart().unwrap_or_else(|error| panic!("{error:#}"));
            }
            Self::PauseRedis => {
                let redis = cluster.redis.as_ref().expect("the schedule is of this cluster");
                redis.resume().expect("it can be signalled");
            }
            Self::FillDisk => disk(cluster).free(),
            Self::Spoil(link, _) => link.of(cluster).set(Mode::Pass),
        }
    }

    /// Whether servers stand on what it breaks.
    pub fn is_below_servers(self) -> bool {
        !matches!(self, Self::KillServer(_) | Self::PauseServer(_) | Self::Spoil(Link::Front(_), _))
    }

    /// What may break only once at a time.
    pub fn target(self) -> String {
        match self {
            Self::KillServer(node) | Self::PauseServer(node) => format!("server {node}"),
            Self::CrashPostgres | Self::PausePostgres | Self::KillBackend(_) | Self::TerminateBackends => {
                "postgres".to_owned()
            }
            Self::KillRedis | Self::PauseRedis => "redis".to_owned(),
            Self::FillDisk => "disk".to_owned(),
            Self::Spoil(link, _) => format!("{link:?}"),
        }
    }

    /// Its kind, for counting.
    pub fn kind(self) -> String {
        let spoilt = |link: Link| match link {
            Link::Front(_) => "front",
            Link::Database(_) => "database",
            Link::Limiter(_) => "limiter",
        };
        match self {
            Self::KillServer(_) => "kill server".to_owned(),
            Self::PauseServer(_) => "pause server".to_owned(),
            Self::CrashPostgres => "crash postgres".to_owned(),
            Self::PausePostgres => "pause postgres".to_owned(),
            Self::KillBackend(_) => "kill backend".to_owned(),
            Self::TerminateBackends => "terminate backends".to_owned(),
            Self::KillRedis => "kill redis".to_owned(),
            Self::PauseRedis => "pause redis".to_owned(),
            Self::FillDisk => "fill disk".to_owned(),
            Self::Spoil(link, mode) => format!("{} link: {mode}", spoilt(link)),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Delay(_) => "delay",
            Self::Hold => "hold",
            Self::HoldAnswers => "hold answers",
            Self::Reset => "reset",
            Self::CutAfter(_) => "cut",
            Self::Trickle(_) => "trickle",
            Self::LoseCommits { is_silent: false, .. } => "lose commits",
            Self::LoseCommits { is_silent: true, .. } => "lose commits silently",
        })
    }
}

impl Link {
    fn of(self, cluster: &Cluster) -> &super::proxy::Proxy {
        let link = match self {
            Self::Front(node) => Some(&cluster.nodes[node].front),
            Self::Database(node) => cluster.nodes[node].database.as_ref(),
            Self::Limiter(node) => cluster.nodes[node].limiter.as_ref(),
        };
        link.expect("the schedule is of this cluster")
    }
}

fn disk(cluster: &Cluster) -> &Disk {
    cluster.disk.as_ref().expect("the schedule is of this cluster")
}

async fn terminate_backends(cluster: &Cluster) {
    let mut connection = cluster.nodes[0].app.ground().postgres().await;
    let statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND pid <> pg_backend_pid()";
    connection.execute(statement).await.expect("a superuser may do that");
}

/// The shortest that a fault lasts, in milliseconds, and the longest.
pub const LASTING_MILLIS: std::ops::Range<u64> = 200..3_000;
/// How long a server may be late with everything before it has to answer again.
pub const RECOVERY: Duration = Duration::from_secs(15);
