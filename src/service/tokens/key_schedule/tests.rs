use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const SCHEDULE: KeySchedule = KeySchedule {
    publish_ahead: 86_400,
    rotation_age: Some(30 * 86_400),
    token_lifetime: 900,
    key_set: KeySetLifetime {
        max_age: Duration::from_mins(5),
    },
};

/// The keys of a server, and what it did with them.
struct World {
    keys: Vec<StoredSigningKey>,
    created: u32,
}

impl World {
    fn new() -> Self {
        Self {
            keys: Vec::new(),
            created: 0,
        }
    }

    fn apply(&mut self, transition: KeyTransition) {
        for changed in transition.changed {
            self.keys.retain(|key| key.kid != changed.kid);
            self.keys.push(changed);
        }
    }

    fn settle(&mut self, now: i64) -> Vec<AuditEvent> {
        let mut events = Vec::new();
        loop {
            let created = &mut self.created;
            let due = SCHEDULE.due(&self.keys, now, || {
                *created += 1;
                Ok::<_, Infallible>((format!("k{created}"), String::from("sealed")))
            });
            let Some(transition) = due.unwrap() else {
                return events;
            };
            events.push(transition.event);
            self.apply(transition);
        }
    }

    fn revoke(&mut self, kid: &str, now: i64) -> bool {
        let created = &mut self.created;
        let revoked = SCHEDULE.revoke(&self.keys, kid, now, || {
            *created += 1;
            Ok::<_, Infallible>((format!("k{created}"), String::from("sealed")))
        });
        let Some(transition) = revoked.unwrap() else {
            return false;
        };
        self.apply(transition);
        true
    }

    fn states(&self) -> BTreeMap<&str, KeyState> {
        self.keys
            .iter()
            .map(|key| (key.kid.as_str(), key.state))
            .collect()
    }

    fn key(&self, kid: &str) -> &StoredSigningKey {
        self.keys.iter().find(|key| key.kid == kid).unwrap()
    }
}

#[test]
fn the_first_start_makes_one_key_that_signs_and_one_that_waits() {
    let mut world = World::new();
    let events = world.settle(0);
    assert_eq!(events, [AuditEvent::KeyRotate, AuditEvent::KeyPublish]);
    let expected = [("k1", KeyState::Current), ("k2", KeyState::Next)];
    assert_eq!(world.states(), expected.into());
}

#[test]
fn a_key_of_thirty_days_is_replaced_and_retired_when_its_last_token_is_dead() {
    let mut world = World::new();
    world.settle(0);
    let age = 30 * 86_400;
    assert_eq!(world.settle(age - 1), []);
    let events = world.settle(age);
    assert_eq!(events, [AuditEvent::KeyRotate, AuditEvent::KeyPublish]);
    let expected = [
        ("k1", KeyState::Previous),
        ("k2", KeyState::Current),
        ("k3", KeyState::Next),
    ];
    assert_eq!(world.states(), expected.into());
    let retires_at = world.key("k1").retires_at.unwrap();
    assert_eq!(retires_at, age + 900 + 360 + MAX_CLOCK_SKEW);
    assert_eq!(world.settle(retires_at - 1), []);
    assert_eq!(world.settle(retires_at), [AuditEvent::KeyRetire]);
    assert_eq!(world.key("k1").sealed, "");
}

#[test]
fn a_rotation_on_demand_waits_until_the_next_key_was_published_long_enough() {
    let mut world = World::new();
    world.settle(0);
    let request = KeySchedule::request_rotation(&world.keys, 100).unwrap();
    world.apply(request);
    assert_eq!(KeySchedule::request_rotation(&world.keys, 101), None);
    let expected = NextState {
        state: KeyState::Previous,
        at: Some(86_400),
    };
    assert_eq!(
        SCHEDULE.next_state(&world.keys, world.key("k1")),
        Some(expected)
    );
    assert_eq!(world.settle(86_399), []);
    assert_eq!(world.settle(86_400).len(), 2);
    assert_eq!(world.key("k2").state, KeyState::Current);
}

#[test]
fn a_revoked_current_key_is_replaced_at_once() {
    let mut world = World::new();
    world.settle(0);
    assert!(world.revoke("k1", 10));
    assert!(!world.revoke("k1", 11) && !world.revoke("k9", 11));
    let expected = [("k1", KeyState::Retired), ("k2", KeyState::Current)];
    assert_eq!(world.states(), expected.into());
    assert!(world.revoke("k2", 12));
    assert_eq!(world.key("k3").state, KeyState::Current);
}

#[test]
fn a_clock_that_jumps_ahead_and_back_never_leaves_two_keys_that_sign_or_none() {
    let mut world = World::new();
    world.settle(0);
    let year = 365 * 86_400;
    // A year too late for an hour: one rotation, with a key that was published long before.
    let events = world.settle(86_400 + year);
    assert_eq!(events, [AuditEvent::KeyRotate, AuditEvent::KeyPublish]);
    assert_eq!(world.settle(86_400 + 3600), []);
    let expected = [
        ("k1", KeyState::Previous),
        ("k2", KeyState::Current),
        ("k3", KeyState::Next),
    ];
    assert_eq!(world.states(), expected.into());
    // The key of the wrong time would wait for a year; without it rotations go on as ever.
    assert!(world.revoke("k3", 100_000));
    assert_eq!(world.settle(100_000), [AuditEvent::KeyPublish]);
    world.apply(KeySchedule::request_rotation(&world.keys, 100_000).unwrap());
    assert_eq!(world.settle(100_000 + 86_399), []);
    world.settle(100_000 + 86_400);
    assert_eq!(world.key("k4").state, KeyState::Current);
    // Set back, nothing is retired before its time.
    assert_eq!(world.settle(0), []);
}

#[test]
fn a_key_outlives_tokens_of_before_the_settings_were_changed() {
    let mut world = World::new();
    world.settle(0);
    let hours = |hours: i64| KeySchedule {
        token_lifetime: hours * 3600,
        ..SCHEDULE
    };
    let due = |schedule: KeySchedule, world: &World, now| {
        let due = schedule.due(&world.keys, now, || Ok::<_, Infallible>(Default::default()));
        due.unwrap()
    };
    let longer = due(hours(2), &world, 10).unwrap();
    assert_eq!(longer.event, AuditEvent::KeyExtend);
    world.apply(longer);
    assert_eq!(due(hours(2), &world, 10), None);
    // Shorter ones change nothing: tokens of two hours are still alive.
    assert_eq!(due(hours(1), &world, 20), None);
    let age = 30 * 86_400;
    world.settle(age);
    let kept_for = 2 * 3600 + 360 + MAX_CLOCK_SKEW;
    assert_eq!(world.key("k1").retires_at, Some(age + kept_for));
    assert_eq!(world.key("k2").token_lifetime, Some(900));
}

#[derive(Clone, Debug)]
enum Step {
    Wait(i64),
    SetBack(i64),
    Rotate,
    Revoke(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_i64..3_000_000).prop_map(Step::Wait),
        4 => (0_i64..100_000).prop_map(Step::Wait),
        1 => (0_i64..100_000).prop_map(Step::SetBack),
        3 => Just(Step::Rotate),
        1 => (0_usize..8).prop_map(Step::Revoke),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    /// Whatever happens when: one key signs, none signs that was not published long enough (unless the one
    /// before it was revoked), and none is retired while a token of it may live.
    #[test]
    fn every_history_keeps_the_rules(steps in steps()) {
        let mut world = World::new();
        let mut now = 0;
        world.settle(now);
        let mut is_emergency = false;
        for step in steps {
            let before = world.keys.clone();
            match step {
                Step::Wait(seconds) => now += seconds,
                Step::SetBack(seconds) => now -= seconds,
                Step::Rotate => {
                    if let Some(request) = KeySchedule::request_rotation(&world.keys, now) {
                        world.apply(request);
                    }
                }
                Step::Revoke(at) => {
                    let kid = world.keys[at % world.keys.len()].kid.clone();
                    is_emergency = world.revoke(&kid, now);
                }
            }
            world.settle(now);
            let current: Vec<_> =
                world.keys.iter().filter(|key| key.state == KeyState::Current).collect();
            prop_assert_eq!(current.len(), 1);
            let signs = current[0];
            let was = before.iter().find(|key| key.kid == signs.kid);
            let is_new = was.is_none_or(|key| key.state != KeyState::Current);
            if is_new && !is_emergency {
                prop_assert!(now - signs.created_at >= SCHEDULE.publish_ahead);
            }
            is_emergency = false;
            for key in world.keys.iter().filter(|key| key.revoked_at.is_none()) {
                let Some(retired_at) = key.retired_at else { continue };
                let kept_for = retired_at - key.deactivated_at.unwrap();
                prop_assert!(kept_for >= SCHEDULE.token_lifetime + SCHEDULE.cached_for());
            }
        }
    }
}
