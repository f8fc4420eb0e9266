use super::*;
use crate::config::ForwardedHeader;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn limiter(max_connections: usize, max_per_network: usize) -> ConnectionLimiter {
    let proxies = TrustedProxies::new(
        vec!["10.0.0.1/32".parse().unwrap()],
        ForwardedHeader::default(),
    );
    ConnectionLimiter::new(max_connections, max_per_network, proxies)
}

fn busy(limiter: &ConnectionLimiter, peer: &str) -> (ConnectionPlace, RequestInFlight) {
    let place = limiter.admit(ip(peer)).unwrap();
    let request = place.begin_request(ip(peer)).unwrap();
    (place, request)
}

fn is_displaced(place: &ConnectionPlace) -> bool {
    place.displaced.is_cancelled()
}

#[test]
fn a_network_at_its_limit_gives_up_its_own_longest_idle_connection() {
    let limiter = limiter(8, 2);
    let (first, request) = busy(&limiter, "2001:db8::1");
    let second = limiter.admit(ip("2001:db8::2")).unwrap();
    let other = limiter.admit(ip("2001:db8:0:1::1")).unwrap();
    let third = limiter.admit(ip("2001:db8::3")).unwrap();
    assert!(is_displaced(&second));
    assert!([&first, &other, &third].iter().all(|it| !is_displaced(it)));
    let _third_request = third.begin_request(ip("2001:db8::3")).unwrap();
    assert_eq!(
        limiter.admit(ip("2001:db8::4")).err(),
        Some(Overload::Network)
    );
    drop(request);
    assert!(limiter.admit(ip("2001:db8::4")).is_ok());
    assert!(is_displaced(&first));
}

#[test]
fn a_newcomer_takes_the_place_of_an_idle_connection_of_whoever_holds_most() {
    let limiter = limiter(5, 4);
    let (_office, _request) = busy(&limiter, "192.0.2.1");
    let silent: Vec<_> = (0..3)
        .map(|_| limiter.admit(ip("192.0.2.2")).unwrap())
        .collect();
    let single = limiter.admit(ip("192.0.2.3")).unwrap();
    let _newcomer = limiter.admit(ip("192.0.2.4")).unwrap();
    assert_eq!(
        silent.iter().map(is_displaced).collect::<Vec<_>>(),
        [true, false, false]
    );
    assert!(!is_displaced(&single));
}

#[test]
fn among_busy_connections_the_oldest_of_whoever_holds_most_gives_way() {
    let limiter = limiter(4, 4);
    let mut slow: Vec<_> = (0..4).map(|_| busy(&limiter, "192.0.2.1")).collect();
    let first = busy(&limiter, "192.0.2.2");
    let second = busy(&limiter, "192.0.2.3");
    let displaced: Vec<_> = slow.iter().map(|(place, _)| is_displaced(place)).collect();
    assert_eq!(displaced, [true, true, false, false]);
    slow.pop();
    let third = busy(&limiter, "192.0.2.4");
    assert!(
        [&first, &second, &third]
            .iter()
            .all(|(place, _)| !is_displaced(place))
    );
    // Now four networks hold one each: nobody has to give way to a fifth.
    assert_eq!(limiter.admit(ip("192.0.2.5")).err(), Some(Overload::Server));
}

#[test]
fn many_networks_with_one_silent_connection_each_give_way_in_their_order() {
    let limiter = limiter(3, 3);
    let silent: Vec<_> = (1..=3)
        .map(|host| limiter.admit(ip(&format!("192.0.2.{host}"))).unwrap())
        .collect();
    let _first = busy(&limiter, "192.0.2.9");
    assert_eq!(
        silent.iter().map(is_displaced).collect::<Vec<_>>(),
        [true, false, false]
    );
    let _second = busy(&limiter, "192.0.2.9");
    assert_eq!(
        silent.iter().map(is_displaced).collect::<Vec<_>>(),
        [true, true, false]
    );
}

#[test]
fn requests_that_a_proxy_forwards_count_for_the_network_of_the_client() {
    let limiter = limiter(8, 2);
    let proxy = ip("10.0.0.1");
    let places: Vec<_> = (0..8).map(|_| limiter.admit(proxy).unwrap()).collect();
    let client = ip("192.0.2.1");
    let first = places[0].begin_request(client).unwrap();
    let second = places[1].begin_request(client).unwrap();
    assert_eq!(
        places[2].begin_request(client).err(),
        Some(Overload::Network)
    );
    assert!(places[3].begin_request(ip("192.0.2.2")).is_ok());
    drop(first);
    assert!(places[2].begin_request(client).is_ok());
    drop((second, places));
    assert!(limiter.places.lock().per_network.is_empty());
}

#[test]
fn a_crowd_of_one_network_waits_for_connections_that_were_opened_just_now() {
    let limiter = limiter(8, 2);
    let first = limiter.admit_sparing(ip("192.0.2.1")).unwrap();
    let second = limiter.admit_sparing(ip("192.0.2.1")).unwrap();
    let later = || match limiter.admit_sparing(ip("192.0.2.1")) {
        Err(NoPlace::Later(turn)) => turn,
        Err(NoPlace::Overload(overload)) => panic!("{overload:?}"),
        Ok(_) => panic!("it has a place"),
    };
    let (mut third, mut fourth) = (later(), later());
    assert!(!is_displaced(&first) && !is_displaced(&second));
    // Another network has nothing to do with it.
    assert!(limiter.admit_sparing(ip("192.0.2.2")).is_ok());
    assert!(third.try_recv().is_err());
    // One that was answered may be closed for the next in turn.
    drop(first.begin_request(ip("192.0.2.1")).unwrap());
    assert!(third.try_recv().is_ok() && fourth.try_recv().is_err());
    let _third = limiter.admit_sparing(ip("192.0.2.1")).unwrap();
    assert!(is_displaced(&first) && !is_displaced(&second));
    drop(second);
    assert!(fourth.try_recv().is_ok());
    // Whoever has waited long enough displaces a silent one.
    let silent = limiter.admit(ip("192.0.2.1")).unwrap();
    assert!(limiter.admit(ip("192.0.2.1")).is_ok());
    drop(silent);
}

#[test]
fn nobody_waits_where_all_connections_are_busy_or_have_been_answered() {
    let limiter = limiter(8, 2);
    let (_one, request) = busy(&limiter, "192.0.2.1");
    let _two = busy(&limiter, "192.0.2.1");
    let refused = limiter.admit_sparing(ip("192.0.2.1")).err();
    assert!(matches!(
        refused,
        Some(NoPlace::Overload(Overload::Network))
    ));
    drop(request);
    assert!(limiter.admit_sparing(ip("192.0.2.1")).is_ok());
    assert!(limiter.places.lock().waiting.is_empty());
}
