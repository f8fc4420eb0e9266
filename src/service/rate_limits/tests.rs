//! The buckets on a clock that stands still.

use super::*;
use crate::domain::client_address::ClientAddress;

fn limited_to(mints: u32, clock: &Clock) -> RateLimits {
    let rates = Rates {
        mints: NonZeroU32::new(mints),
        requests: NonZeroU32::new(mints),
        downloads: None,
        evaluations: NonZeroU32::new(mints),
    };
    RateLimits::new(rates, clock.clone())
}

fn retry_after(result: &Result<(), ServiceError>) -> Option<u64> {
    match result {
        Err(ServiceError::LimitExceeded {
            retry_after_seconds,
        }) => Some(*retry_after_seconds),
        _ => None,
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn an_empty_bucket_says_exactly_when_it_holds_the_next_request() {
    let clock = Clock::fixed_at(1_000_000);
    let limits = limited_to(6, &clock);
    let address = address("192.0.2.1");
    for _ in 0..6 {
        limits.count_address(address).unwrap();
    }
    assert_eq!(retry_after(&limits.count_address(address)), Some(10));
    clock.advance(4_000);
    assert_eq!(retry_after(&limits.count_address(address)), Some(6));
    clock.advance(6_000);
    limits.count_address(address).unwrap();
}

#[test]
fn a_bucket_holds_exactly_its_limit() {
    for limit in [1, 7, 59, 60, 61, 999, 1_000_000] {
        let limits = limited_to(limit, &Clock::fixed_at(1_000_000));
        let address = address("192.0.2.1");
        for _ in 0..limit {
            limits.count_address(address).unwrap();
        }
        assert!(limits.count_address(address).is_err(), "{limit}");
    }
}

#[test]
fn addresses_of_one_ipv6_network_share_a_bucket_and_others_do_not() {
    let limits = limited_to(1, &Clock::fixed_at(1_000_000));
    let count = |text: &str| limits.count_address(address(text));
    count("2001:db8::1").unwrap();
    assert!(count("2001:db8::2").is_err());
    count("2001:db8:0:1::1").unwrap();
    count("192.0.2.1").unwrap();
    assert!(count("::ffff:192.0.2.1").is_err());
    count("192.0.2.2").unwrap();
}

#[test]
fn a_whole_ipv6_site_has_sixteen_times_the_limit_and_a_part_of_it_four_times() {
    let limits = limited_to(2, &Clock::fixed_at(1_000_000));
    let allowed = |networks: &mut dyn Iterator<Item = String>| {
        networks
            .map(|network| limits.count_address(address(&network)))
            .filter_map(Result::ok)
            .count()
    };
    let part = &mut (0..256).map(|net| format!("2001:db8:0:{net:x}::1"));
    assert_eq!(allowed(part), 8);
    let site = &mut (0..65_536).map(|net| format!("2001:db8:0:{net:x}::1"));
    assert_eq!(allowed(site), 24);
    limits.count_address(address("2001:db8:1::1")).unwrap();
}

#[test]
fn what_is_given_back_can_be_taken_again_and_a_debt_has_to_be_waited_for() {
    let clock = Clock::fixed_at(1_000_000);
    let limits = limited_to(2, &clock);
    let address = address("2001:db8::1");
    for _ in 0..100 {
        limits.take_attempt(address).unwrap();
        limits.refund_attempt(address);
    }
    let caller = Caller {
        principal: crate::domain::principal::Principal::Anonymous,
        authentication: crate::domain::caller::Authentication::None,
        key: None,
        address: ClientAddress::Known(address),
        is_foreign_page: false,
    };
    limits.check_request(&caller).unwrap();
    limits.charge_request(&caller, 2);
    assert_eq!(retry_after(&limits.check_request(&caller)), Some(60));
    limits.charge_request(&caller, u32::MAX);
    assert_eq!(retry_after(&limits.check_request(&caller)), Some(90));
}

#[test]
fn without_a_limit_any_number_is_allowed() {
    let limits = limited_to(0, &Clock::fixed_at(0));
    for _ in 0..1_000 {
        limits.count_address(address("192.0.2.1")).unwrap();
    }
}

#[test]
fn a_batch_of_decisions_is_counted_whole_or_not_at_all() {
    let clock = Clock::fixed_at(1_000_000);
    let limits = limited_to(60, &clock);
    let caller = Caller {
        principal: crate::domain::principal::Principal::Anonymous,
        authentication: crate::domain::caller::Authentication::None,
        key: None,
        address: ClientAddress::Known(address("2001:db8::1")),
        is_foreign_page: false,
    };
    limits.check_evaluations(&caller, 50).unwrap();
    let refused = limits.check_evaluations(&caller, 20);
    assert_eq!(retry_after(&refused), Some(10));
    limits.check_evaluations(&caller, 10).unwrap();
    limits.charge_evaluations(&caller, 10);
    clock.advance(10_000);
    assert_eq!(retry_after(&limits.check_evaluations(&caller, 1)), Some(1));
    assert!(limits.check_evaluations(&caller, 61).is_err());
    // A batch that is larger than the limit waits for a full bucket, and others wait for it.
    clock.advance(60_000);
    limits.check_evaluations(&caller, 90).unwrap();
    assert_eq!(retry_after(&limits.check_evaluations(&caller, 1)), Some(31));
    clock.advance(31_000);
    limits.check_evaluations(&caller, 1).unwrap();
}
