//! What the workers promise, on a queue without a database and a clock that jumps.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use metrics_exporter_prometheus::PrometheusBuilder;
use pulsestream_domain::{
    Timestamp,
    job::{DeadJobs, Demand, JobId, JobKind, LeaseCheck, LeasedJob, NewJob, Settlement},
    ports::{Clock, IdSource as _, JobQueue, StoreError},
    tenant::TenantId,
};
use pulsestream_jobs::{Backoff, Drained, Handler, KindSettings, Settings, Verdict, Workers};
use pulsestream_testing::{builders::tenant, clock::SequentialIds, memory::MemoryQueue};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};

const KIND: JobKind = JobKind::named("test");
const START: Timestamp = Timestamp::from_secs(1_795_343_430);
const SETTINGS: Settings = Settings {
    lease: Duration::from_secs(30),
    poll_interval: Duration::from_secs(1),
    count_interval: Duration::from_secs(15),
};

static IDS: SequentialIds = SequentialIds::seeded(1);

/// Shows the time of Tokio, which jumps to the next timer whenever nothing else is to be done.
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        START.plus_micros(self.0.elapsed().as_micros() as i64)
    }
}

type Work = Box<dyn Fn(&LeasedJob) -> Step + Send + Sync>;

/// What a handler of the tests does with a job.
enum Step {
    Say(Verdict),
    Panic,
    Hang,
    Sleep(Duration),
    WaitFor(Arc<Semaphore>),
}

struct Scripted {
    kind: JobKind,
    work: Work,
    running: Arc<Running>,
}

/// How many run at a time, at most, in all and by tenant.
#[derive(Default)]
struct Running {
    now: Mutex<BTreeMap<TenantId, u32>>,
    most: Mutex<BTreeMap<TenantId, u32>>,
    most_in_all: AtomicU32,
}

struct Counted(Arc<Running>, TenantId);

impl Running {
    fn count(self: &Arc<Self>, tenant_id: TenantId) -> Counted {
        let mut now = self.now.lock().unwrap();
        *now.entry(tenant_id).or_default() += 1;
        let of_tenant = now[&tenant_id];
        let mut most = self.most.lock().unwrap();
        let entry = most.entry(tenant_id).or_default();
        *entry = of_tenant.max(*entry);
        self.most_in_all.fetch_max(now.values().sum(), SeqCst);
        Counted(Arc::clone(self), tenant_id)
    }

    fn of(&self, tenant_id: TenantId) -> u32 {
        self.now.lock().unwrap().get(&tenant_id).copied().unwrap_or(0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *self.0.now.lock().unwrap().get_mut(&self.1).unwrap() -= 1;
    }
}

#[async_trait]
impl Handler for Scripted {
    fn kind(&self) -> JobKind {
        self.kind.clone()
    }

    async fn run(&self, job: &LeasedJob) -> Verdict {
        let _counted = self.running.count(job.lease.tenant_id);
        match (self.work)(job) {
            Step::Say(verdict) => verdict,
            Step::Panic => panic!("as told"),
            Step::Hang => pending().await,
            Step::Sleep(time) => {
                sleep(time).await;
                Verdict::Done
            }
            Step::WaitFor(permits) => {
                permits.acquire().await.unwrap().forget();
                Verdict::Done
            }
        }
    }
}

struct Crew {
    queue: Arc<MemoryQueue>,
    clock: Arc<TokioClock>,
    running: Arc<Running>,
    workers: Workers,
}

fn kind_settings() -> KindSettings {
    KindSettings {
        concurrency: 4,
        max_attempts: 3,
        backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) },
        time_limit: Duration::from_secs(300),
    }
}

impl Crew {
    fn new(settings: KindSettings, work: impl Fn(&LeasedJob) -> Step + Send + Sync + 'static) -> Self {
        let queue = Arc::new(MemoryQueue::default());
        let clock = Arc::new(TokioClock(Instant::now()));
        let running = Arc::new(Running::default());
        let handler = Scripted { kind: KIND, work: Box::new(work), running: Arc::clone(&running) };
        let workers = Workers::start(
            Arc::clone(&queue) as _,
            [(Arc::new(handler) as _, settings)],
            Arc::clone(&clock) as _,
            Arc::new(|| u64::MAX),
            SETTINGS,
        );
        Self { queue, clock, running, workers }
    }

    fn job(&self) -> NewJob {
        NewJob::new(tenant(1).id, JobId(IDS.uuid_v7(START)), KIND, self.clock.now())
    }

    async fn put(&self, jobs: &[NewJob]) {
        self.queue.enqueue(jobs).await.unwrap();
    }

    /// Waits until no job lives, and answers how long that took.
    async fn idle(&self) -> Duration {
        let started = Instant::now();
        timeout(Duration::from_secs(3_600), async {
            while self.queue.live() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .expect("the work ends");
        started.elapsed()
    }

    async fn until(&self, is_so: impl Fn() -> bool) {
        let waiting = async {
            while !is_so() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(3_600), waiting).await.expect("it comes to that");
    }

    async fn dead(&self) -> Vec<(u32, String)> {
        let which = DeadJobs { kind: None, after: None, limit: 100 };
        let dead = self.queue.dead(tenant(1).id, &which).await.unwrap();
        dead.into_iter().map(|job| (job.attempts, job.reason.to_string())).collect()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_job_is_done_at_once_when_this_process_enqueues_it() {
    let crew = Crew::new(kind_settings(), |_| Step::Say(Verdict::Done));
    sleep(Duration::from_millis(500)).await;
    crew.put(&[crew.job()]).await;
    assert!(crew.idle().await < Duration::from_millis(5));
    assert_eq!(crew.dead().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_job_is_done_at_its_time() {
    let crew = Crew::new(kind_settings(), |_| Step::Say(Verdict::Done));
    crew.put(&[NewJob { due_at: crew.clock.now().plus_secs(100), ..crew.job() }]).await;
    let waited = crew.idle().await;
    assert!((seconds(100)..=seconds(101) + Duration::from_millis(5)).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failing_job_is_tried_after_growing_waits_and_then_given_up() {
    let crew = Crew::new(kind_settings(), |job| Step::Say(Verdict::retry(format!("no {}", job.attempt))));
    crew.put(&[crew.job()]).await;
    let took = crew.idle().await;
    assert_eq!(crew.dead().await, [(3, "no 3".to_owned())]);
    assert!((seconds(3)..seconds(6)).contains(&took), "1 and 2 seconds, and the look for each: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_an_attempt_over_its_time_are_failures_and_leave_the_workers_well() {
    let settings = KindSettings { time_limit: seconds(90), ..kind_settings() };
    let crew = Crew::new(settings, |job| match (job.payload.as_str(), job.attempt) {
        ("panic", _) => Step::Panic,
        ("hang", _) => Step::Hang,
        _ => Step::Say(Verdict::Done),
    });
    let named = |payload: &str| NewJob { payload: payload.to_owned(), ..crew.job() };
    crew.put(&[named("panic"), named("hang"), named("fine")]).await;
    crew.idle().await;
    let slow = (3, "the attempt took longer than it may".to_owned());
    assert_eq!(crew.dead().await, [slow, (3, "the handler panicked".to_owned())]);
    assert!(crew.workers.is_alive());
    crew.put(&[named("fine")]).await;
    crew.idle().await;
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_done_is_given_up_at_once() {
    let crew = Crew::new(kind_settings(), |_| Step::Say(Verdict::bury("gone")));
    crew.put(&[crew.job()]).await;
    crew.idle().await;
    assert_eq!(crew.dead().await, [(1, "gone".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_workers_always_die_with_it_is_given_up_without_another_attempt() {
    let queue = Arc::new(MemoryQueue::default());
    let job = NewJob::new(tenant(1).id, JobId(IDS.uuid_v7(START)), KIND, START);
    queue.enqueue(&[job]).await.unwrap();
    for _ in 0..2 {
        let demand = Demand { kind: KIND, room: 1, sated: vec![] };
        let lost = queue.claim(&[demand], START, START).await.unwrap();
        assert_eq!(lost.len(), 1);
    }
    let handler =
        Scripted { kind: KIND, work: Box::new(|_| panic!("it had its attempts")), running: Arc::default() };
    let workers = Workers::start(
        Arc::clone(&queue) as _,
        [(Arc::new(handler) as _, KindSettings { max_attempts: 2, ..kind_settings() })],
        Arc::new(TokioClock(Instant::now())),
        Arc::new(|| 0),
        SETTINGS,
    );
    while queue.live() > 0 {
        sleep(Duration::from_millis(100)).await;
    }
    let which = DeadJobs { kind: None, after: None, limit: 9 };
    let dead = queue.dead(tenant(1).id, &which).await.unwrap();
    assert!(dead[0].reason.as_str().contains("worker was lost"), "{dead:?}");
    workers.drain(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn a_repeating_job_catches_up_moment_by_moment() {
    let moments = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&moments);
    let crew = Crew::new(kind_settings(), move |job| {
        seen.lock().unwrap().push(job.due_at);
        let due_at = job.due_at.plus_secs(60);
        Step::Say(if due_at > START.plus_secs(120) { Verdict::Done } else { Verdict::Again { due_at } })
    });
    let late = START.plus_secs(-120);
    crew.put(&[NewJob { due_at: late, ..crew.job() }]).await;
    crew.idle().await;
    let expected: Vec<Timestamp> = (0..=4).map(|minute| late.plus_secs(60 * minute)).collect();
    assert_eq!(*moments.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_a_time_than_may() {
    let crew = Crew::new(kind_settings(), |_| Step::Sleep(seconds(1)));
    let jobs: Vec<NewJob> = (0..40).map(|_| crew.job()).collect();
    crew.put(&jobs).await;
    let took = crew.idle().await;
    assert_eq!(crew.running.most_in_all.load(SeqCst), 4, "alone, a tenant gets all workers");
    assert!(took < seconds(11), "and none of them idles: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_with_many_jobs_leaves_half_of_the_workers_to_others() {
    let crew = Crew::new(kind_settings(), |_| Step::Sleep(seconds(1)));
    let of = |number| NewJob { tenant_id: tenant(number).id, ..crew.job() };
    let loud: Vec<NewJob> = (0..1_000).map(|_| of(1)).collect();
    let quiet: Vec<NewJob> = (0..20).map(|_| of(2)).collect();
    crew.put(&[loud, quiet].concat()).await;
    sleep(seconds(11)).await;
    let demand = Demand { kind: KIND, room: 2_000, sated: vec![] };
    let left = crew.queue.claim(&[demand], crew.clock.now(), crew.clock.now()).await.unwrap();
    assert!(left.iter().all(|job| job.lease.tenant_id == tenant(1).id), "20 jobs by 2 workers in 11 s");
    assert_eq!(crew.running.most.lock().unwrap()[&tenant(2).id], 2);
    assert_eq!(crew.running.of(tenant(1).id), 4, "then all of them are its own again");
}

#[tokio::test(start_paused = true)]
async fn a_long_job_keeps_its_lease() {
    let crew = Crew::new(kind_settings(), |_| Step::Sleep(seconds(200)));
    crew.put(&[crew.job()]).await;
    sleep(seconds(100)).await;
    let now = crew.clock.now();
    let demand = Demand { kind: KIND, room: 9, sated: vec![] };
    assert_eq!(crew.queue.claim(&[demand], now.plus_secs(1), now).await.unwrap(), []);
    crew.idle().await;
    assert_eq!(crew.running.most_in_all.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_whose_lease_is_lost_is_stopped_and_its_verdict_is_not_told() {
    let crew = Crew::new(kind_settings(), |_| Step::Hang);
    crew.put(&[NewJob { unique_key: Some("rule".to_owned()), ..crew.job() }]).await;
    crew.until(|| crew.running.of(tenant(1).id) == 1).await;
    assert!(crew.queue.cancel(tenant(1).id, &KIND, "rule").await.unwrap());
    crew.until(|| crew.running.of(tenant(1).id) == 0).await;
    assert_eq!(crew.queue.live(), 0);
    assert_eq!(crew.dead().await, []);
}

#[tokio::test(start_paused = true)]
async fn without_the_queue_handlers_stop_when_their_leases_are_over() {
    let crew = Crew::new(kind_settings(), |_| Step::Hang);
    crew.put(&[crew.job()]).await;
    crew.until(|| crew.running.of(tenant(1).id) == 1).await;
    for _ in 0..200 {
        crew.queue.fail_next(StoreError::Unavailable("told to".into()));
    }
    sleep(seconds(31)).await;
    assert_eq!(crew.running.of(tenant(1).id), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_settled_itself_is_left_alone() {
    let queue = Arc::new(MemoryQueue::default());
    struct Itself(Arc<MemoryQueue>, Arc<TokioClock>);
    #[async_trait]
    impl Handler for Itself {
        fn kind(&self) -> JobKind {
            KIND
        }
        async fn run(&self, job: &LeasedJob) -> Verdict {
            let settled = self.0.settle(&[(job.lease, Settlement::Complete)], self.1.now()).await.unwrap();
            assert_eq!(settled, [LeaseCheck::Held]);
            Verdict::SettledAlready
        }
    }
    let clock = Arc::new(TokioClock(Instant::now()));
    let handler = Itself(Arc::clone(&queue), Arc::clone(&clock));
    let handlers = [(Arc::new(handler) as _, KindSettings { concurrency: 1, ..kind_settings() })];
    let workers =
        Workers::start(Arc::clone(&queue) as _, handlers, Arc::clone(&clock) as _, Arc::new(|| 0), SETTINGS);
    let job = || NewJob::new(tenant(1).id, JobId(IDS.uuid_v7(START)), KIND, START);
    queue.enqueue(&[job(), job(), job()]).await.unwrap();
    sleep(seconds(1)).await;
    assert_eq!(queue.live(), 0, "its worker is free for the next");
    assert_eq!(workers.drain(seconds(1)).await, Drained::default());
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_fails_for_a_while_costs_nothing_but_time() {
    let crew = Crew::new(kind_settings(), |_| Step::Sleep(seconds(2)));
    let jobs: Vec<NewJob> = (0..8).map(|_| crew.job()).collect();
    crew.put(&jobs).await;
    crew.until(|| crew.running.of(tenant(1).id) == 4).await;
    for _ in 0..10 {
        crew.queue.fail_next(StoreError::Busy("told to".into()));
    }
    crew.idle().await;
    assert_eq!(crew.dead().await, []);
    assert_eq!(crew.running.most_in_all.load(SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn draining_lets_jobs_end_and_takes_no_new_ones() {
    let permits = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&permits);
    let crew = Crew::new(kind_settings(), move |_| Step::WaitFor(Arc::clone(&gate)));
    let jobs: Vec<NewJob> = (0..6).map(|_| crew.job()).collect();
    crew.put(&jobs).await;
    crew.until(|| crew.running.of(tenant(1).id) == 4).await;
    let draining = tokio::spawn(crew.workers.drain(seconds(100)));
    sleep(seconds(50)).await;
    permits.add_permits(6);
    let drained = draining.await.unwrap();
    assert_eq!(drained, Drained { finished: 4, released: 0, abandoned: 0 });
    assert_eq!(crew.queue.live(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_in_time_is_given_back_at_once() {
    let crew = Crew::new(kind_settings(), |job| match job.payload.as_str() {
        "quick" => Step::Sleep(seconds(3)),
        _ => Step::Hang,
    });
    crew.put(&[crew.job(), crew.job(), NewJob { payload: "quick".to_owned(), ..crew.job() }]).await;
    crew.until(|| crew.running.of(tenant(1).id) == 3).await;
    let started = Instant::now();
    let drained = crew.workers.drain(seconds(5)).await;
    assert_eq!(drained, Drained { finished: 1, released: 2, abandoned: 0 });
    assert!(started.elapsed() < seconds(6));
    let demand = Demand { kind: KIND, room: 9, sated: vec![] };
    let now = crew.clock.now();
    let again = crew.queue.claim(&[demand], now.plus_secs(30), now).await.unwrap();
    assert_eq!(again.iter().map(|job| job.attempt).collect::<Vec<_>>(), [1, 1], "as if nobody had had them");
}

#[tokio::test(start_paused = true)]
async fn metrics_tell_what_happened_and_what_waits() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let metrics = recorder.handle();
    let crew = Crew::new(kind_settings(), |job| match job.payload.as_str() {
        "bad" => Step::Say(Verdict::retry("no")),
        "hang" => Step::Hang,
        _ => Step::Say(Verdict::Done),
    });
    let named = |payload: &str| NewJob { payload: payload.to_owned(), ..crew.job() };
    let hanging = NewJob { unique_key: Some("hang".to_owned()), ..named("hang") };
    let later = NewJob { due_at: START.plus_secs(9_999), ..crew.job() };
    crew.put(&[named("fine"), named("fine"), named("bad"), hanging, later]).await;
    sleep(seconds(16)).await;
    let rendered = metrics.render();
    for line in [
        r#"jobs_claimed_total{kind="test"} 6"#,
        r#"jobs_attempts_total{kind="test",outcome="completed"} 2"#,
        r#"jobs_attempts_total{kind="test",outcome="retried"} 2"#,
        r#"jobs_attempts_total{kind="test",outcome="dead"} 1"#,
        r#"jobs_run_seconds_count{kind="test"} 5"#,
        r#"jobs_due{kind="test"} 0"#,
        r#"jobs_scheduled{kind="test"} 1"#,
        r#"jobs_leased{kind="test"} 1"#,
        r#"jobs_dead{kind="test"} 1"#,
        r#"jobs_oldest_due_age_seconds{kind="test"} 0"#,
    ] {
        assert!(rendered.contains(line), "{line} in\n{rendered}");
    }
    crew.queue.cancel(tenant(1).id, &KIND, "hang").await.unwrap();
    sleep(seconds(15)).await;
    let rendered = metrics.render();
    assert!(rendered.contains(r#"jobs_attempts_total{kind="test",outcome="lease_lost"} 1"#), "{rendered}");
}
