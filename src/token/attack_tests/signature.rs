//! Signatures of another form, out of range, or over something else.

use super::*;

#[test]
fn a_der_signature_is_refused() {
    let fixture = fixture();
    let token = fixture.token();
    let (_, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let integer = |bytes: &[u8]| {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap();
        let mut number = bytes[start..].to_vec();
        if number[0] >= 0x80 {
            number.insert(0, 0);
        }
        [vec![2, u8::try_from(number.len()).unwrap()], number].concat()
    };
    let numbers = [integer(&signature[..32]), integer(&signature[32..])].concat();
    let der = [vec![0x30, u8::try_from(numbers.len()).unwrap()], numbers].concat();
    for other in [&der[..], &signature[..63], &[&signature[..], &[0]].concat()] {
        assert_eq!(
            fixture.defect(&fixture.with_signature(other)),
            (TokenPart::Signature, Defect::WrongSignatureLength)
        );
    }
}

#[test]
fn r_and_s_must_be_in_range() {
    let fixture = fixture();
    let order =
        hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap();
    let mut order_less_1 = order.clone();
    order_less_1[31] -= 1;
    let mut order_plus_1 = order.clone();
    order_plus_1[31] += 1;
    let (zero, one, most) = (vec![0; 32], [vec![0; 31], vec![1]].concat(), vec![0xFF; 32]);
    let pair = |numbers: [&Vec<u8>; 2]| numbers.map(Vec::as_slice).concat();
    for out in [&zero, &order, &order_plus_1, &most] {
        for signature in [[out, &one], [&one, out], [out, out]] {
            assert_eq!(
                fixture.defect(&fixture.with_signature(pair(signature))),
                (TokenPart::Signature, Defect::SignatureOutOfRange)
            );
        }
    }
    for within in [[&one, &one], [&order_less_1, &order_less_1]] {
        assert_eq!(
            fixture.error(&fixture.with_signature(pair(within))),
            TokenError::BadSignature
        );
    }
}

#[test]
fn a_claim_changed_after_signing_is_refused() {
    let fixture = fixture();
    let token = fixture.token();
    let parts: Vec<&str> = token.split('.').collect();
    for (claim, value) in [
        ("scope", json!(format!("dataset:{}", Uuid::new_v4()))),
        ("sub", json!(Uuid::new_v4())),
        ("exp", json!(NOW + 119)),
    ] {
        let payload = edit_json(&fixture.json(1), |payload| payload[claim] = value);
        let payload = URL_SAFE_NO_PAD.encode(payload);
        assert_eq!(
            fixture.error(&format!("{}.{payload}.{}", parts[0], parts[2])),
            TokenError::BadSignature,
            "{claim}"
        );
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let fixture = fixture();
    let token = fixture.token();
    for at in 0..token.len() * 8 {
        assert!(
            is_refused_with_bit_flipped(&fixture, &token, at),
            "bit {at}"
        );
    }
}

/// Whether the token is rejected; invalid UTF-8 cannot even be a `str`.
fn is_refused_with_bit_flipped(fixture: &Fixture, token: &str, at: usize) -> bool {
    let mut bytes = token.to_owned().into_bytes();
    bytes[at / 8] ^= 1 << (at % 8);
    match String::from_utf8(bytes) {
        Ok(flipped) => DownloadClaims::verify(&flipped, &fixture.keys, &EXPECTED).is_err(),
        Err(_) => true,
    }
}
