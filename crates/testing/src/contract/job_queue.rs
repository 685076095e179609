//! The contract of [`JobQueue`].

use std::{collections::BTreeSet, time::Duration};

use pulsestream_domain::{
    Timestamp,
    job::{
        DeadJobs, Demand, Enqueued, JobId, JobKind, Lease, LeaseCheck, LeasedJob, NewJob, Priority, Replayed,
        Settlement,
    },
    ports::{IdSource as _, JobQueue},
    tenant::TenantId,
};
use tokio::{join, time::timeout};

use crate::{builders::tenant, clock::SequentialIds};

/// The contract of [`JobQueue`]. The queue may hold other jobs, but none of the tenants 911 and 912 and none
/// of a kind whose name starts with `contract_`.
///
/// # Panics
/// When the queue breaks the contract.
pub async fn job_queue(queue: &dyn JobQueue) {
    let ids = SequentialIds::seeded(911);
    let bench = |name| Bench { queue, ids: &ids, kind: format!("contract_{name}").parse().expect("a name") };
    hands_out_what_was_taken_in_once(&bench("once")).await;
    hands_out_nothing_before_its_time(&bench("time")).await;
    a_lost_lease_is_good_for_nothing(&bench("fence")).await;
    a_lease_ends_even_when_nobody_else_wants_the_job(&bench("end")).await;
    an_extended_lease_holds(&bench("extend")).await;
    a_failed_attempt_is_tried_again_later(&bench("retry")).await;
    a_repeating_job_starts_anew_for_each_moment(&bench("again")).await;
    a_released_job_waits_as_if_nobody_had_had_it(&bench("release")).await;
    a_key_is_in_use_while_its_job_lives(&bench("unique"), &bench("unique_other")).await;
    what_is_urgent_and_what_waits_longest_goes_first(&bench("order")).await;
    what_somebody_was_lost_with_goes_before_all_else(&bench("lost")).await;
    tenants_that_have_their_share_come_last(&bench("share")).await;
    a_dead_job_is_kept_until_it_is_replayed_or_purged(&bench("dead")).await;
    a_replay_gives_way_to_a_live_job(&bench("superseded")).await;
    a_job_that_was_moved_or_cancelled_is_nobodys(&bench("moved")).await;
    many_are_settled_in_one_call(&bench("bulk")).await;
    claims_at_the_same_time_share_nothing(&bench("race")).await;
    counts_what_there_is(&bench("count")).await;
    tells_that_something_was_enqueued(&bench("told")).await;
    nothing_is_answered_with_nothing(&bench("nothing")).await;
}

const START: Timestamp = Timestamp::from_secs(1_790_000_000);
/// When every lease of the contract ends.
const LEASE_END: Timestamp = START.plus_secs(30);

struct Bench<'a> {
    queue: &'a dyn JobQueue,
    ids: &'a SequentialIds,
    kind: JobKind,
}

fn one() -> TenantId {
    tenant(911).id
}

fn two() -> TenantId {
    tenant(912).id
}

impl Bench<'_> {
    fn job(&self) -> NewJob {
        NewJob::new(one(), JobId(self.ids.uuid_v7(START)), self.kind.clone(), START)
    }

    fn keyed(&self, key: &str) -> NewJob {
        NewJob { unique_key: Some(key.to_owned()), ..self.job() }
    }

    async fn enqueue(&self, jobs: &[NewJob]) -> Vec<Enqueued> {
        self.queue.enqueue(jobs).await.expect("the queue works")
    }

    async fn put(&self, jobs: &[NewJob]) {
        assert_eq!(self.enqueue(jobs).await, vec![Enqueued::New; jobs.len()]);
    }

    async fn demand(&self, room: u32, sated: &[TenantId], now: Timestamp) -> Vec<LeasedJob> {
        let demand = Demand { kind: self.kind.clone(), room, sated: sated.to_vec() };
        self.queue.claim(&[demand], LEASE_END.max(now.plus_secs(30)), now).await.expect("the queue works")
    }

    async fn claim(&self, room: u32, now: Timestamp) -> Vec<LeasedJob> {
        self.demand(room, &[], now).await
    }

    async fn claim_one(&self, now: Timestamp) -> LeasedJob {
        let mut claimed = self.claim(10, now).await;
        assert_eq!(claimed.len(), 1, "{claimed:?}");
        claimed.remove(0)
    }

    async fn settle(&self, lease: Lease, settlement: Settlement, now: Timestamp) -> LeaseCheck {
        let checks = self.queue.settle(&[(lease, settlement)], now).await.expect("the queue works");
        assert_eq!(checks.len(), 1);
        checks[0]
    }

    async fn done(&self, lease: Lease, settlement: Settlement, now: Timestamp) {
        assert_eq!(self.settle(lease, settlement, now).await, LeaseCheck::Held);
    }

    async fn dead(&self, tenant_id: TenantId) -> Vec<(JobId, String)> {
        let which = DeadJobs { kind: Some(self.kind.clone()), after: None, limit: 100 };
        let dead = self.queue.dead(tenant_id, &which).await.expect("the queue works");
        dead.into_iter().map(|job| (job.id, job.reason.to_string())).collect()
    }

    async fn bury(&self, jobs: &[NewJob], now: Timestamp) {
        self.put(jobs).await;
        for job in self.claim(100, now).await {
            self.done(job.lease, Settlement::Bury { reason: "broken".into() }, now).await;
        }
    }
}

fn retry(run_at: Timestamp) -> Settlement {
    Settlement::Retry { run_at, error: "not yet\0".into() }
}

fn ids(jobs: &[LeasedJob]) -> BTreeSet<JobId> {
    jobs.iter().map(|job| job.lease.id).collect()
}

async fn hands_out_what_was_taken_in_once(bench: &Bench<'_>) {
    let odd = "{\"text\":\"\\u0000 \\\" ' ☃ $1 ?\"}";
    let first = NewJob { payload: odd.to_owned(), ..bench.keyed("key ☃ ' \" \\") };
    let second = NewJob { tenant_id: two(), ..bench.job() };
    bench.put(&[first.clone(), second.clone()]).await;

    let claimed = bench.claim(10, START).await;

    assert_eq!(ids(&claimed), BTreeSet::from([first.id, second.id]));
    for job in &claimed {
        let new = if job.lease.id == first.id { &first } else { &second };
        let expected = LeasedJob {
            lease: Lease { tenant_id: new.tenant_id, id: new.id, token: job.lease.token },
            kind: new.kind.clone(),
            payload: new.payload.clone(),
            unique_key: new.unique_key.clone(),
            due_at: new.due_at,
            attempt: 1,
        };
        assert_eq!(*job, expected);
    }
    assert_eq!(bench.claim(10, START).await, [], "each is handed out once");
    for job in &claimed {
        bench.done(job.lease, Settlement::Complete, START).await;
        assert_eq!(bench.settle(job.lease, Settlement::Complete, START).await, LeaseCheck::Lost);
    }
    assert_eq!(bench.claim(10, LEASE_END).await, [], "what is complete is gone");
}

async fn hands_out_nothing_before_its_time(bench: &Bench<'_>) {
    let later = START.plus_secs(5);
    bench.put(&[NewJob { due_at: later, ..bench.job() }]).await;
    assert_eq!(bench.claim(10, later.plus_micros(-1)).await, []);
    let job = bench.claim_one(later).await;
    assert_eq!(job.due_at, later);
    bench.done(job.lease, Settlement::Complete, later).await;
}

async fn a_lost_lease_is_good_for_nothing(bench: &Bench<'_>) {
    bench.put(&[bench.job()]).await;
    let late = bench.claim_one(START).await;
    assert_eq!(bench.claim(10, LEASE_END.plus_micros(-1)).await, [], "a lease holds to its end");
    let next = bench.claim_one(LEASE_END).await;

    assert!(next.lease.token > late.lease.token);
    assert_eq!(next.attempt, 2, "an attempt whose worker was lost counts");
    // Even by a clock that says the lease had not ended.
    for now in [START, LEASE_END] {
        for settlement in [
            Settlement::Complete,
            Settlement::Again { due_at: START },
            retry(START),
            Settlement::Bury { reason: "late".into() },
            Settlement::Release,
        ] {
            assert_eq!(bench.settle(late.lease, settlement, now).await, LeaseCheck::Lost);
        }
        let extended = bench.queue.extend(&[late.lease], LEASE_END.plus_secs(99), now).await;
        assert_eq!(extended.expect("the queue works"), [LeaseCheck::Lost]);
    }
    bench.done(next.lease, Settlement::Complete, LEASE_END).await;
}

async fn a_lease_ends_even_when_nobody_else_wants_the_job(bench: &Bench<'_>) {
    bench.put(&[bench.job()]).await;
    let job = bench.claim_one(START).await;

    assert_eq!(bench.settle(job.lease, Settlement::Complete, LEASE_END).await, LeaseCheck::Lost);
    let extended = bench.queue.extend(&[job.lease], LEASE_END.plus_secs(9), LEASE_END).await;
    assert_eq!(extended.expect("the queue works"), [LeaseCheck::Lost]);
    let next = bench.claim_one(LEASE_END).await;
    bench.done(next.lease, Settlement::Complete, LEASE_END).await;
}

async fn an_extended_lease_holds(bench: &Bench<'_>) {
    bench.put(&[bench.job(), bench.job()]).await;
    let claimed = bench.claim(10, START).await;
    bench.done(claimed[0].lease, Settlement::Complete, START).await;
    let leases = [claimed[0].lease, claimed[1].lease];

    let extended = bench.queue.extend(&leases, LEASE_END.plus_secs(30), START).await;

    assert_eq!(extended.expect("the queue works"), [LeaseCheck::Lost, LeaseCheck::Held]);
    assert_eq!(bench.claim(10, LEASE_END).await, []);
    bench.done(leases[1], Settlement::Complete, LEASE_END).await;
}

async fn a_failed_attempt_is_tried_again_later(bench: &Bench<'_>) {
    bench.put(&[bench.job()]).await;
    let first = bench.claim_one(START).await;
    let run_at = START.plus_secs(2);
    bench.done(first.lease, retry(run_at), START).await;

    assert_eq!(bench.claim(10, run_at.plus_micros(-1)).await, []);
    let second = bench.claim_one(run_at).await;
    assert_eq!((second.attempt, second.due_at), (2, START), "no retry changes what a job stands for");
    bench.done(second.lease, Settlement::Complete, run_at).await;
}

async fn a_repeating_job_starts_anew_for_each_moment(bench: &Bench<'_>) {
    bench.put(&[bench.keyed("rule")]).await;
    let job = bench.claim_one(START).await;
    bench.done(job.lease, retry(START), START).await;
    let job = bench.claim_one(START).await;
    let next = START.plus_secs(60);
    bench.done(job.lease, Settlement::Again { due_at: next }, START).await;

    assert_eq!(bench.enqueue(&[bench.keyed("rule")]).await, [Enqueued::Existing]);
    assert_eq!(bench.claim(10, next.plus_micros(-1)).await, []);
    let again = bench.claim_one(next).await;
    assert_eq!((again.attempt, again.due_at), (1, next));
    assert!(again.lease.token > job.lease.token);
    bench.done(again.lease, Settlement::Complete, next).await;
}

async fn a_released_job_waits_as_if_nobody_had_had_it(bench: &Bench<'_>) {
    bench.put(&[bench.job()]).await;
    let job = bench.claim_one(START).await;
    bench.done(job.lease, Settlement::Release, START).await;
    let again = bench.claim_one(START).await;
    assert_eq!((again.attempt, again.due_at), (1, START));
    assert_eq!(bench.settle(job.lease, Settlement::Complete, START).await, LeaseCheck::Lost);
    bench.done(again.lease, Settlement::Complete, START).await;
}

async fn a_key_is_in_use_while_its_job_lives(bench: &Bench<'_>, other: &Bench<'_>) {
    let of_two = NewJob { tenant_id: two(), ..bench.keyed("key") };
    let first = bench.keyed("key");
    let jobs = [first.clone(), bench.keyed("key"), of_two, other.keyed("key"), bench.keyed("KEY"), first];
    let expected =
        [Enqueued::New, Enqueued::Existing, Enqueued::New, Enqueued::New, Enqueued::New, Enqueued::Existing];
    assert_eq!(bench.enqueue(&jobs).await, expected);
    assert_eq!(bench.enqueue(&jobs[..1]).await, [Enqueued::Existing], "an id is good for one job");
    assert_eq!(bench.enqueue(&[bench.keyed("key")]).await, [Enqueued::Existing]);

    for job in bench.claim(10, START).await {
        assert_eq!(bench.enqueue(&jobs[1..2]).await, [Enqueued::Existing], "a leased job lives");
        bench.done(job.lease, Settlement::Complete, START).await;
        if job.lease.id == jobs[0].id {
            break;
        }
    }
    bench.put(&[bench.keyed("key")]).await;
    for bench in [bench, other] {
        for job in bench.claim(10, LEASE_END.plus_secs(30)).await {
            bench.done(job.lease, Settlement::Complete, LEASE_END).await;
        }
    }
}

async fn what_is_urgent_and_what_waits_longest_goes_first(bench: &Bench<'_>) {
    let job = |priority, seconds| NewJob { priority, due_at: START.plus_secs(seconds), ..bench.job() };
    let jobs = [
        job(Priority::Low, 0),
        job(Priority::Normal, 2),
        job(Priority::Normal, 1),
        job(Priority::High, 3),
        job(Priority::High, 99),
    ];
    bench.put(&jobs).await;
    let now = START.plus_secs(3);
    let mut order = Vec::new();
    for room in [1, 2, 9] {
        let claimed = bench.claim(room, now).await;
        order.push(ids(&claimed));
        for job in claimed {
            bench.done(job.lease, Settlement::Complete, now).await;
        }
    }
    let [low, normal, longer, high, _] = jobs.map(|job| job.id);
    assert_eq!(order, [BTreeSet::from([high]), BTreeSet::from([normal, longer]), BTreeSet::from([low])]);
    let last = bench.claim_one(START.plus_secs(99)).await;
    bench.done(last.lease, Settlement::Complete, START.plus_secs(99)).await;
}

async fn what_somebody_was_lost_with_goes_before_all_else(bench: &Bench<'_>) {
    let lost = NewJob { priority: Priority::Low, ..bench.job() };
    bench.put(std::slice::from_ref(&lost)).await;
    bench.claim_one(START).await;
    let urgent = NewJob { priority: Priority::High, due_at: START.plus_secs(-60), ..bench.job() };
    bench.put(std::slice::from_ref(&urgent)).await;
    let (first, second) = (bench.claim(1, LEASE_END).await, bench.claim(1, LEASE_END).await);
    assert_eq!((ids(&first), ids(&second)), (BTreeSet::from([lost.id]), BTreeSet::from([urgent.id])));
    for job in first.iter().chain(&second) {
        bench.done(job.lease, Settlement::Complete, LEASE_END).await;
    }
}

async fn tenants_that_have_their_share_come_last(bench: &Bench<'_>) {
    let of = |tenant_id, priority, seconds| NewJob {
        tenant_id,
        priority,
        due_at: START.plus_secs(seconds),
        ..bench.job()
    };
    let loud: Vec<NewJob> = (0..4).map(|_| of(one(), Priority::High, 0)).collect();
    let quiet = of(two(), Priority::Low, 1);
    bench.put(&loud).await;
    bench.put(std::slice::from_ref(&quiet)).await;
    let now = START.plus_secs(1);

    let first = bench.demand(1, &[one()], now).await;
    assert_eq!(ids(&first), BTreeSet::from([quiet.id]), "whatever the priorities");
    bench.done(first[0].lease, Settlement::Complete, now).await;
    let rest = bench.demand(3, &[one()], now).await;
    assert_eq!(rest.len(), 3, "when no others wait");
    let last = bench.demand(3, &[one(), two()], now).await;
    for job in rest.iter().chain(&last) {
        bench.done(job.lease, Settlement::Complete, now).await;
    }
    assert_eq!(last.len(), 1);
}

async fn a_dead_job_is_kept_until_it_is_replayed_or_purged(bench: &Bench<'_>) {
    let [early, late, foreign] =
        [bench.keyed("dead"), bench.job(), NewJob { tenant_id: two(), ..bench.job() }];
    let now = START.plus_secs(1);
    bench.bury(std::slice::from_ref(&early), START).await;
    bench.bury(&[late.clone(), foreign.clone()], now).await;

    assert_eq!(bench.claim(10, LEASE_END.plus_secs(60)).await, []);
    let broken = || "broken".to_owned();
    assert_eq!(bench.dead(one()).await, [(late.id, broken()), (early.id, broken())], "the latest first");
    assert_eq!(bench.dead(two()).await, [(foreign.id, broken())]);
    let rest = DeadJobs { kind: Some(bench.kind.clone()), after: Some((now, late.id)), limit: 1 };
    let rest = bench.queue.dead(one(), &rest).await.expect("the queue works");
    assert_eq!(rest.len(), 1);
    assert_eq!((rest[0].id, rest[0].dead_at, rest[0].due_at, rest[0].attempts), (early.id, START, START, 1));
    assert_eq!(rest[0].unique_key.as_deref(), Some("dead"));

    let replay = |tenant_id, id| async move { bench.queue.replay(tenant_id, id, now).await.expect("works") };
    assert_eq!(replay(two(), early.id).await, Replayed::NoSuchJob);
    assert_eq!(replay(one(), early.id).await, Replayed::Queued);
    assert_eq!(replay(one(), early.id).await, Replayed::NoSuchJob, "it lives");
    let again = bench.claim_one(now).await;
    assert_eq!((again.lease.id, again.attempt, again.due_at), (early.id, 1, START));
    bench.done(again.lease, Settlement::Complete, now).await;

    let purge = |before| async move { bench.queue.purge_dead(one(), before).await.expect("works") };
    assert_eq!(purge(now).await, 0);
    assert_eq!(purge(now.plus_micros(1)).await, 1);
    assert_eq!(bench.dead(one()).await, []);
    assert_eq!(bench.dead(two()).await.len(), 1);
    assert_eq!(bench.queue.purge_dead(two(), LEASE_END).await.expect("works"), 1);
}

async fn a_replay_gives_way_to_a_live_job(bench: &Bench<'_>) {
    let dead = bench.keyed("shared");
    bench.bury(std::slice::from_ref(&dead), START).await;
    bench.put(&[bench.keyed("shared")]).await;

    let replayed = bench.queue.replay(one(), dead.id, START).await.expect("the queue works");

    assert_eq!(replayed, Replayed::Superseded);
    let live = bench.claim_one(START).await;
    assert_ne!(live.lease.id, dead.id);
    bench.done(live.lease, Settlement::Complete, START).await;
    assert_eq!(bench.queue.purge_dead(one(), LEASE_END).await.expect("works"), 1);
}

async fn a_job_that_was_moved_or_cancelled_is_nobodys(bench: &Bench<'_>) {
    let (queue, kind) = (bench.queue, &bench.kind);
    let later = START.plus_secs(3);
    assert!(!queue.reschedule(one(), kind, "rule", later).await.expect("works"));
    assert!(!queue.cancel(one(), kind, "rule").await.expect("works"));

    bench.put(&[bench.keyed("rule")]).await;
    let overtaken = bench.claim_one(START).await;
    assert!(!queue.reschedule(two(), kind, "rule", later).await.expect("works"));
    assert!(queue.reschedule(one(), kind, "rule", later).await.expect("works"));
    assert_eq!(bench.settle(overtaken.lease, Settlement::Complete, START).await, LeaseCheck::Lost);
    assert_eq!(bench.claim(10, later.plus_micros(-1)).await, []);
    let moved = bench.claim_one(later).await;
    assert_eq!((moved.attempt, moved.due_at), (1, later));
    assert!(moved.lease.token > overtaken.lease.token);

    assert!(queue.cancel(one(), kind, "rule").await.expect("works"));
    assert_eq!(bench.settle(moved.lease, retry(later), later).await, LeaseCheck::Lost);
    assert_eq!(bench.claim(10, LEASE_END.plus_secs(60)).await, []);
}

async fn many_are_settled_in_one_call(bench: &Bench<'_>) {
    let jobs: Vec<NewJob> = (0..500).map(|_| bench.job()).collect();
    bench.put(&jobs).await;
    let claimed = bench.claim(1_000, START).await;
    assert_eq!(claimed.len(), 500);
    bench.done(claimed[7].lease, Settlement::Complete, START).await;
    let settlement = |at: usize| match at % 5 {
        0 => Settlement::Complete,
        1 => Settlement::Again { due_at: LEASE_END },
        2 => retry(LEASE_END),
        3 => Settlement::Bury { reason: "broken".into() },
        _ => Settlement::Release,
    };
    let settlements: Vec<(Lease, Settlement)> =
        claimed.iter().enumerate().map(|(at, job)| (job.lease, settlement(at))).collect();

    let checks = bench.queue.settle(&settlements, START).await.expect("the queue works");

    let lost: Vec<usize> = (0..checks.len()).filter(|at| checks[*at] == LeaseCheck::Lost).collect();
    assert_eq!((checks.len(), lost), (500, vec![7]));
    assert_eq!(bench.claim(1_000, START).await.len(), 100, "those that were released");
    assert_eq!(bench.claim(1_000, LEASE_END).await.len(), 299, "those, and what was to be done later");
    assert_eq!(bench.dead(one()).await.len(), 100);
    for job in bench.claim(1_000, LEASE_END.plus_secs(60)).await {
        bench.done(job.lease, Settlement::Complete, LEASE_END.plus_secs(60)).await;
    }
    assert_eq!(bench.queue.purge_dead(one(), LEASE_END).await.expect("works"), 100);
}

async fn claims_at_the_same_time_share_nothing(bench: &Bench<'_>) {
    let jobs: Vec<NewJob> = (0..40).map(|_| bench.job()).collect();
    bench.put(&jobs).await;
    let (a, b, c, d) =
        join!(bench.claim(20, START), bench.claim(20, START), bench.claim(20, START), bench.claim(20, START));
    let rest = bench.claim(40, START).await;
    let claimed = [a, b, c, d, rest].concat();
    assert_eq!(claimed.len(), 40);
    assert_eq!(ids(&claimed).len(), 40);
    let all: Vec<_> = claimed.iter().map(|job| (job.lease, Settlement::Complete)).collect();
    let checks = bench.queue.settle(&all, START).await.expect("the queue works");
    assert_eq!(checks, vec![LeaseCheck::Held; 40]);
}

async fn counts_what_there_is(bench: &Bench<'_>) {
    bench.bury(&[bench.job()], START).await;
    let waiting = NewJob { due_at: START.plus_secs(1), tenant_id: two(), ..bench.job() };
    let scheduled = NewJob { due_at: START.plus_secs(9), ..bench.job() };
    bench.put(&[bench.job(), waiting, scheduled]).await;
    let leased = bench.claim_one(START).await;
    let count = |now| async move {
        let all = bench.queue.figures(now).await.expect("the queue works");
        let of_kind = all.into_iter().find(|figures| figures.kind == bench.kind).expect("it has jobs");
        (of_kind.due, of_kind.scheduled, of_kind.leased, of_kind.dead, of_kind.oldest_due)
    };
    assert_eq!(count(START).await, (0, 2, 1, 1, None));
    assert_eq!(count(START.plus_secs(2)).await, (1, 1, 1, 1, Some(START.plus_secs(1))));
    assert_eq!(count(LEASE_END).await, (3, 0, 0, 1, Some(START)), "a lease that is over waits again");

    bench.done(leased.lease, Settlement::Complete, START).await;
    for job in bench.claim(9, LEASE_END).await {
        bench.done(job.lease, Settlement::Complete, LEASE_END).await;
    }
    assert_eq!(bench.queue.purge_dead(one(), LEASE_END).await.expect("works"), 1);
    let all = bench.queue.figures(START).await.expect("the queue works");
    assert!(all.iter().all(|figures| figures.kind != bench.kind));
}

async fn tells_that_something_was_enqueued(bench: &Bench<'_>) {
    let patience = Duration::from_secs(10);
    // What was told so far.
    _ = timeout(Duration::from_millis(1), bench.queue.enqueued()).await;
    let enqueue = async { bench.put(&[bench.job()]).await };
    let (told, ()) = join!(timeout(patience, bench.queue.enqueued()), enqueue);
    told.expect("word of it comes");
    bench.put(&[bench.job()]).await;
    timeout(patience, bench.queue.enqueued()).await.expect("nothing is missed between two calls");
    for job in bench.claim(9, START).await {
        bench.done(job.lease, Settlement::Complete, START).await;
    }
}

async fn nothing_is_answered_with_nothing(bench: &Bench<'_>) {
    let queue = bench.queue;
    assert_eq!(bench.enqueue(&[]).await, []);
    assert_eq!(queue.claim(&[], LEASE_END, START).await.expect("works"), []);
    assert_eq!(bench.claim(0, START).await, []);
    assert_eq!(queue.extend(&[], LEASE_END, START).await.expect("works"), []);
    assert_eq!(queue.settle(&[], START).await.expect("works"), []);
}
