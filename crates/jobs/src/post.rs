//! The workers of one kind: who holds them, and who may have more.

use std::{collections::BTreeMap, sync::Arc};

use pulsestream_domain::{
    job::{Demand, JobKind},
    tenant::TenantId,
};

use crate::{Handler, KindSettings};

/// The workers of one kind in this process.
pub(crate) struct Post {
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) settings: KindSettings,
    /// How many jobs of each tenant are held here, until they are settled.
    held: BTreeMap<TenantId, u32>,
    /// Whether the queue may have jobs for it.
    pub(crate) is_hungry: bool,
}

impl Post {
    pub(crate) fn new(handler: Arc<dyn Handler>, settings: KindSettings) -> Self {
        Self { handler, settings, held: BTreeMap::new(), is_hungry: true }
    }

    /// What it could take now. No tenant gets beyond its share by it unless only such tenants wait.
    ///
    /// The room is that of the tenant with the most below its share, since all of it may go to that one; when
    /// the answer fills it, the next demand asks for the rest.
    pub(crate) fn demand(&self, kind: &JobKind) -> Option<Demand> {
        let free = self.settings.concurrency.max(1).saturating_sub(self.held.values().sum());
        if free == 0 || !self.is_hungry {
            return None;
        }
        let share = self.share();
        let is_sated = |held: u32| held >= share;
        let most = self.held.values().copied().filter(|held| !is_sated(*held)).max().unwrap_or(0);
        let sated = self.held.iter().filter(|(_, held)| is_sated(**held)).map(|(tenant, _)| *tenant);
        Some(Demand { kind: kind.clone(), room: free.min(share - most), sated: sated.collect() })
    }

    /// How many workers a tenant gets while others wait: half of them.
    fn share(&self) -> u32 {
        (self.settings.concurrency / 2).max(1)
    }

    pub(crate) fn hold(&mut self, tenant_id: TenantId) {
        *self.held.entry(tenant_id).or_default() += 1;
    }

    pub(crate) fn let_go(&mut self, tenant_id: TenantId) {
        let held = self.held.get_mut(&tenant_id).expect("what is let go was held");
        *held -= 1;
        if *held == 0 {
            self.held.remove(&tenant_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use proptest::prelude::*;
    use pulsestream_domain::job::LeasedJob;
    use uuid::Uuid;

    use super::*;
    use crate::Verdict;

    const KIND: JobKind = JobKind::named("test");

    struct Idle;

    #[async_trait]
    impl Handler for Idle {
        fn kind(&self) -> JobKind {
            KIND
        }

        async fn run(&self, _: &LeasedJob) -> Verdict {
            Verdict::Done
        }
    }

    fn tenant(number: u128) -> TenantId {
        TenantId(Uuid::from_u128(number))
    }

    fn post(concurrency: u32, held: &[u128]) -> Post {
        let mut post = Post::new(Arc::new(Idle), KindSettings { concurrency, ..KindSettings::default() });
        held.iter().for_each(|number| post.hold(tenant(*number)));
        post
    }

    #[test]
    fn a_tenant_with_half_of_the_workers_is_sated() {
        for (concurrency, held, expected) in [
            (8, &[][..], Some((4, vec![]))),
            (8, &[1], Some((3, vec![]))),
            (8, &[1, 1, 1, 1], Some((4, vec![1]))),
            (8, &[1, 1, 1, 1, 1, 1, 1], Some((1, vec![1]))),
            (8, &[1, 1, 1, 1, 2, 2], Some((2, vec![1]))),
            (8, &[1, 1, 1, 1, 2, 2, 2, 2], None),
            (3, &[], Some((1, vec![]))),
            (3, &[1, 2], Some((1, vec![1, 2]))),
            (1, &[], Some((1, vec![]))),
            (1, &[1], None),
            (0, &[], Some((1, vec![]))),
        ] {
            let demand = post(concurrency, held).demand(&KIND);
            let expected = expected.map(|(room, sated): (u32, Vec<u128>)| Demand {
                kind: KIND,
                room,
                sated: sated.into_iter().map(tenant).collect(),
            });
            assert_eq!(demand, expected, "{concurrency} {held:?}");
        }
    }

    #[test]
    fn what_is_let_go_makes_room() {
        let mut post = post(2, &[1, 1]);
        assert_eq!(post.demand(&KIND), None);
        post.let_go(tenant(1));
        let expected = Demand { kind: KIND, room: 1, sated: vec![tenant(1)] };
        assert_eq!(post.demand(&KIND), Some(expected));
    }

    proptest! {
        /// However the room is filled by tenants that are not sated, none of them gets beyond its share.
        #[test]
        fn no_demand_can_take_a_tenant_beyond_its_share(
            concurrency in 1..20_u32,
            held in proptest::collection::vec(0..4_u128, 0..20),
        ) {
            let post = post(concurrency, &held);
            if let Some(demand) = post.demand(&KIND) {
                prop_assert!(demand.room >= 1);
                prop_assert!(held.len() as u32 + demand.room <= concurrency);
                for number in (0..4).filter(|number| !demand.sated.contains(&tenant(*number))) {
                    let has = held.iter().filter(|holder| **holder == number).count() as u32;
                    prop_assert!(has + demand.room <= post.share());
                }
            }
        }
    }
}
