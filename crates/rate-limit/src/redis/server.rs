//! The one connection to Redis, and its deadlines.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use deadpool_redis::{
    Connection, Manager, Pool, PoolError,
    redis::{
        AsyncConnectionConfig, Cmd, ErrorKind, InfoDict, Pipeline, RedisError, RedisResult, ServerErrorKind,
        Value, aio::MultiplexedConnection, cmd,
    },
};
use tokio::{runtime::Handle, time::timeout};

use super::script::WindowScript;

/// How long a caller waits for Redis, reconnecting and loading the script included.
///
/// Long enough that a busy machine is not taken for a Redis that is away: going local admits up to the limit once
/// per instance, and 50 ms were seen to run out on two cores under load with a healthy Redis. A Redis that hangs
/// costs this once, since nobody asks again until a probe got through.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a probe may take. Nobody waits for it but itself.
pub(super) const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// A Redis server, used over one multiplexed connection that all callers share.
///
/// The pool only makes connections. Checking one out per call would cost a second round trip each time, and one
/// connection per caller would leave nothing to pipeline.
pub(super) struct Server {
    pool: Pool,
    /// Connections are driven here, not where the call happened to come from, whose runtime may end first.
    runtime: Handle,
    connection: Mutex<Option<Numbered>>,
    /// The number of the next connection. Locked while connecting, so that callers who lost the same connection
    /// make one new one.
    next_number: tokio::sync::Mutex<u64>,
    script: WindowScript,
}

/// A connection, with a number that tells it from the one before.
#[derive(Clone)]
struct Numbered {
    number: u64,
    connection: MultiplexedConnection,
}

impl Server {
    pub(super) fn new(url: &str) -> RedisResult<Self> {
        // Deadlines are kept here, over everything a call does; the connection's own only has to be no shorter.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PROBE_TIMEOUT))
            .set_response_timeout(Some(PROBE_TIMEOUT));
        let manager = Manager::new_with_config(url, config)?;
        let pool = Pool::builder(manager).max_size(1).build();
        Ok(Self {
            pool: pool.expect("only a pool with timeouts needs to be told its runtime"),
            runtime: Handle::current(),
            connection: Mutex::new(None),
            next_number: tokio::sync::Mutex::new(0),
            script: WindowScript::new(),
        })
    }

    pub(super) fn script(&self) -> &WindowScript {
        &self.script
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Sends all commands in one round trip and answers each in order, within [`CALL_TIMEOUT`].
    pub(super) async fn call(&self, commands: &[Cmd]) -> RedisResult<Vec<RedisResult<Value>>> {
        within(CALL_TIMEOUT, self.send_to_a_live_connection(commands)).await
    }

    /// Connects anew and tries all that calls need. The connection is then the one that calls use.
    pub(super) async fn probe(&self) -> RedisResult<()> {
        self.disconnect();
        within(PROBE_TIMEOUT, async {
            let mut current = self.connect(None).await?;
            let replies = self.send(&mut current.connection, &[self.script.probe()]).await?;
            replies.into_iter().collect::<RedisResult<Vec<_>>>().map(drop)
        })
        .await
    }

    /// The eviction policy under which the server may drop windows while they count; `None` if it never does, or
    /// doesn't say.
    pub(super) async fn evicts_by(&self) -> Option<String> {
        let mut connection = self.current()?.connection;
        let asked = async { cmd("INFO").arg("memory").query_async::<InfoDict>(&mut connection).await };
        let memory = within(PROBE_TIMEOUT, asked).await.ok()?;
        let policy: String = memory.get("maxmemory_policy")?;
        let is_capped = memory.get::<u64>("maxmemory")? > 0;
        (is_capped && policy != "noeviction").then_some(policy)
    }

    pub(super) fn disconnect(&self) {
        *self.held() = None;
    }

    /// A server may close an idle connection at any time, so a lost one is replaced once. If it did serve the
    /// first attempt, a reservation is counted twice: the safe side.
    async fn send_to_a_live_connection(&self, commands: &[Cmd]) -> RedisResult<Vec<RedisResult<Value>>> {
        let mut current = match self.current() {
            Some(current) => current,
            None => self.connect(None).await?,
        };
        match self.send(&mut current.connection, commands).await {
            Err(error) if error.is_connection_dropped() => {
                let mut next = self.connect(Some(current.number)).await?;
                self.send(&mut next.connection, commands).await
            }
            sent => sent,
        }
    }

    /// Sends the commands; those that found the script missing, once more after loading it.
    async fn send(
        &self,
        connection: &mut MultiplexedConnection,
        commands: &[Cmd],
    ) -> RedisResult<Vec<RedisResult<Value>>> {
        let mut replies = send_once(connection, commands).await?;
        let unserved: Vec<usize> =
            (0..replies.len()).filter(|&index| lacks_script(&replies[index])).collect();
        if unserved.is_empty() {
            return Ok(replies);
        }
        let again: Vec<Cmd> = unserved.iter().map(|&index| commands[index].clone()).collect();
        self.script.load().exec_async(connection).await?;
        for (index, reply) in unserved.into_iter().zip(send_once(connection, &again).await?) {
            replies[index] = reply;
        }
        Ok(replies)
    }

    /// Makes a connection, unless somebody else has replaced the `lost` one meanwhile.
    async fn connect(&self, lost: Option<u64>) -> RedisResult<Numbered> {
        let mut next_number = self.next_number.lock().await;
        if let Some(current) = self.current().filter(|current| Some(current.number) != lost) {
            return Ok(current);
        }
        let pool = self.pool.clone();
        let made = self.runtime.spawn(async move { pool.get().await.map(Connection::take) }).await;
        let connection = made.map_err(io::Error::other)?.map_err(|error| match error {
            PoolError::Backend(error) => error,
            other => RedisError::from((ErrorKind::Io, "no connection", other.to_string())),
        })?;
        let next = Numbered { number: *next_number, connection };
        *next_number += 1;
        *self.held() = Some(next.clone());
        Ok(next)
    }

    fn current(&self) -> Option<Numbered> {
        self.held().clone()
    }

    fn held(&self) -> MutexGuard<'_, Option<Numbered>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn send_once(
    connection: &mut MultiplexedConnection,
    commands: &[Cmd],
) -> RedisResult<Vec<RedisResult<Value>>> {
    let mut pipeline = Pipeline::with_capacity(commands.len());
    for command in commands {
        pipeline.add_command(command.clone());
    }
    pipeline.ignore_errors().query_async(connection).await
}

fn lacks_script(reply: &RedisResult<Value>) -> bool {
    reply.as_ref().is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
}

async fn within<T>(limit: Duration, work: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let late = |_| RedisError::from(io::Error::new(io::ErrorKind::TimedOut, "redis did not answer in time"));
    timeout(limit, work).await.map_err(late)?
}
