//! What is said to Redis: one script, one key per tenant.

use deadpool_redis::redis::{Cmd, ErrorKind, RedisError, RedisResult, Script, Value, cmd, from_redis_value};
use pulsestream_domain::tenant::TenantId;

use crate::{Demand, Refund, Window};

pub(super) const SOURCE: &str = include_str!("window.lua");

/// The commands that run the script. Each touches one key, so that they can go to any shard of a cluster.
pub(super) struct WindowScript {
    script: Script,
}

/// Where the probe writes. Not a tenant's key: those hold a UUID.
const PROBE_KEY: &str = "pulsestream:limit:{probe}";

impl WindowScript {
    pub(super) fn new() -> Self {
        Self { script: Script::new(SOURCE) }
    }

    /// Makes the script known to the server.
    pub(super) fn load(&self) -> Cmd {
        let mut command = cmd("SCRIPT");
        command.arg("LOAD").arg(SOURCE);
        command
    }

    /// Takes room for `count` events; the rest of the demand is as it came.
    pub(super) fn reserve(&self, demand: &Demand, count: u32) -> Cmd {
        let mut command = self.call(&key(demand.tenant_id));
        command.arg("reserve").arg(demand.limits.per_minute).arg(demand.limits.burst).arg(count);
        command
    }

    pub(super) fn give_back(&self, refund: &Refund) -> Cmd {
        let mut command = self.call(&key(refund.tenant_id));
        command.arg("give_back").arg(refund.count).arg(refund.at.as_micros());
        command
    }

    /// Adds what was admitted without Redis.
    pub(super) fn charge(&self, tenant_id: TenantId, window: &Window) -> Cmd {
        let mut command = self.call(&key(tenant_id));
        command.arg("charge").arg(window.to_bytes());
        command
    }

    /// Does all that a reservation does, for nobody: a server that is full or read-only fails it.
    pub(super) fn probe(&self) -> Cmd {
        let mut command = self.call(PROBE_KEY);
        command.arg("reserve").arg(u32::MAX).arg(u32::MAX).arg(1);
        command
    }

    fn call(&self, key: &str) -> Cmd {
        let mut command = cmd("EVALSHA");
        command.arg(self.script.get_hash()).arg(1).arg(key);
        command
    }
}

/// What `reserve` answers: how much was granted, and the tenant's window after it.
pub(super) fn read_grant(reply: Value) -> RedisResult<(u32, Window)> {
    let (granted, bytes): (u32, Vec<u8>) = from_redis_value(reply)?;
    let malformed = || RedisError::from((ErrorKind::UnexpectedReturnType, "not a rate limit window"));
    Ok((granted, Window::from_bytes(&bytes).ok_or_else(malformed)?))
}

fn key(tenant_id: TenantId) -> String {
    format!("pulsestream:limit:{{{tenant_id}}}")
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use deadpool_redis::redis::{Client, Connection};
    use proptest::{prelude::*, test_runner::TestRunner};
    use pulsestream_domain::{Timestamp, tenant::Limits};
    use uuid::Uuid;

    use crate::redis::private_redis::PrivateRedis;

    #[derive(Clone, Debug)]
    enum Step {
        Reserve(Limits, u32),
        /// Of this many events, granted this many microseconds ago.
        GiveBack(u32, i64),
        /// Of a window that was reserved from this many microseconds ago on, twice.
        Charge(u32, i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let count = prop_oneof![4 => 0..30_u32, 1 => any::<u32>()];
        let limits =
            (count.clone(), count.clone()).prop_map(|(per_minute, burst)| Limits { per_minute, burst });
        let micros_ago = prop_oneof![0..2_000_000_i64, -70_000_000..70_000_000_i64];
        prop_oneof![
            6 => (limits, count.clone()).prop_map(|(limits, count)| Step::Reserve(limits, count)),
            2 => (count.clone(), micros_ago.clone()).prop_map(|(count, ago)| Step::GiveBack(count, ago)),
            1 => (count, micros_ago).prop_map(|(count, ago)| Step::Charge(count, ago)),
        ]
    }

    /// Mostly small steps forward, now and then a jump, either way.
    fn elapsed() -> impl Strategy<Value = i64> {
        prop_oneof![6 => 0..200_000_i64, 3 => 0..5_000_000_i64, 1 => -150_000_000..150_000_000_i64]
    }

    /// The script as it is, but with the time as last argument.
    fn with_given_time() -> Script {
        let clock = "local time = redis.call('TIME')\n  return time[1] * 1000000 + time[2]";
        assert!(SOURCE.contains(clock));
        Script::new(&SOURCE.replace(clock, "return tonumber(ARGV[#ARGV])"))
    }

    fn run(script: &Script, redis: &mut Connection, now: i64, step: &Step) -> Value {
        let mut call = script.prepare_invoke();
        call.key("window");
        match step {
            Step::Reserve(limits, count) => {
                call.arg("reserve").arg(limits.per_minute).arg(limits.burst).arg(*count);
            }
            Step::GiveBack(count, ago) => {
                call.arg("give_back").arg(*count).arg(now - ago);
            }
            Step::Charge(count, ago) => {
                call.arg("charge").arg(other_window(*count, now - ago).to_bytes());
            }
        }
        call.arg(now).invoke(redis).unwrap()
    }

    fn other_window(count: u32, from: i64) -> Window {
        let mut window = Window::new(Timestamp::from_micros(from));
        window.charge(count, Timestamp::from_micros(from));
        window.charge(count / 2, Timestamp::from_micros(from + 700_000));
        window
    }

    #[test]
    fn the_script_decides_as_the_window_does() {
        let server = PrivateRedis::start();
        let redis = RefCell::new(Client::open(server.url()).unwrap().get_connection().unwrap());
        let script = with_given_time();
        let sequences = prop::collection::vec((elapsed(), step()), 1..60);

        let outcome = TestRunner::default().run(&sequences, |steps| {
            let redis = &mut redis.borrow_mut();
            cmd("FLUSHALL").exec(redis)?;
            let mut now = 1_800_000_000_000_000;
            let mut model = None;
            for (elapsed, step) in steps {
                now += elapsed;
                let reply = run(&script, redis, now, &step);
                if let Some(granted) = apply(&step, &mut model, now) {
                    prop_assert_eq!(read_grant(reply)?, granted);
                }
                let kept: Option<Vec<u8>> = cmd("GET").arg("window").query(redis)?;
                prop_assert_eq!(kept.map(|bytes| Window::from_bytes(&bytes).unwrap()), model.clone());
            }
            Ok(())
        });

        outcome.unwrap();
    }

    /// What the script should do to the key, which may not exist, and answer if it is to reserve.
    fn apply(step: &Step, key: &mut Option<Window>, now: i64) -> Option<(u32, Window)> {
        let at = Timestamp::from_micros(now);
        match step {
            Step::Reserve(limits, count) => {
                let mut window = key.clone().unwrap_or_else(|| Window::new(at));
                let grant = window.reserve(*limits, *count, at);
                if grant.granted > 0 {
                    *key = Some(window.clone());
                }
                return Some((grant.granted, window));
            }
            Step::GiveBack(count, ago) => {
                if let Some(window) = key {
                    window.give_back(*count, at.plus_micros(-ago));
                }
            }
            Step::Charge(count, ago) => {
                let window = key.get_or_insert_with(|| Window::new(at));
                window.charge(0, at);
                window.merge(&other_window(*count, now - ago));
            }
        }
        None
    }

    #[test]
    fn a_key_stays_on_one_shard_and_is_not_shared_with_the_probe() {
        let tenant_id = TenantId(Uuid::nil());

        assert_eq!(key(tenant_id), "pulsestream:limit:{00000000-0000-0000-0000-000000000000}");
        assert_ne!(key(tenant_id), PROBE_KEY);
    }
}
