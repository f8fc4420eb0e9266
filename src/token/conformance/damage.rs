//! Damages to one part of a token: bits, encodings and signatures of other forms.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::token::jws::{P256_ORDER, SIGNATURE_LENGTH};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The part with one damage; none if this part cannot have it.
pub(super) fn damaged(text: &str, how: &str) -> Option<String> {
    let (start, rest) = text.split_at_checked(4).unwrap_or((text, ""));
    match how {
        // The same bytes in another text.
        "padded" => Some(format!("{text}{}", "=".repeat(padding_of(text)))),
        "a spare character" => Some(format!("{text}A")),
        "a newline" => Some(format!("{start}\n{rest}")),
        "a space" => Some(format!("{start} {rest}")),
        "a line end" => Some(format!("{text}\r\n")),
        "spare bits set" => with_spare_bits(text),
        "in the standard alphabet" => {
            let other = text.replace('-', "+").replace('_', "/");
            (other != text).then_some(other)
        }
        "in hexadecimal" => URL_SAFE_NO_PAD.decode(text).ok().map(hex::encode),
        _ => {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            Some(URL_SAFE_NO_PAD.encode(damaged_bytes(bytes, how)?))
        }
    }
}

fn padding_of(text: &str) -> usize {
    match text.len() % 4 {
        0 => 4,
        rest => 4 - rest,
    }
}

/// Sets a bit that no byte has (RFC 4648 section 3.5).
fn with_spare_bits(text: &str) -> Option<String> {
    let (last, before) = text.as_bytes().split_last()?;
    if text.len().is_multiple_of(4) {
        return None;
    }
    let at = ALPHABET.iter().position(|letter| letter == last)?;
    let other = ALPHABET.get(at | 1).filter(|letter| *letter != last)?;
    let before = std::str::from_utf8(before).ok()?;
    Some(format!("{before}{}", char::from(*other)))
}

fn damaged_bytes(mut bytes: Vec<u8>, how: &str) -> Option<Vec<u8>> {
    let middle = bytes.len() / 2;
    match how {
        "first bit flipped" => *bytes.first_mut()? ^= 0x80,
        "middle bit flipped" => *bytes.get_mut(middle)? ^= 1,
        "last bit flipped" => *bytes.last_mut()? ^= 1,
        "cut short" | "of 63 bytes" => {
            bytes.pop()?;
        }
        "one byte more" => bytes.push(0),
        "zeros" => bytes.fill(0),
        "all ones" => bytes.fill(0xFF),
        "none" => bytes.clear(),
        "of 96 bytes" => bytes.extend([0; 32]),
        "r without its first byte" => {
            bytes.remove(0);
        }
        _ => return damaged_signature(&bytes, how),
    }
    Some(bytes)
}

fn damaged_signature(bytes: &[u8], how: &str) -> Option<Vec<u8>> {
    let (r, s) = bytes.split_at_checked(SIGNATURE_LENGTH / 2)?;
    let (zero, mut one, mut beyond) = ([0; 32], [0; 32], P256_ORDER);
    *one.last_mut()? = 1;
    *beyond.last_mut()? += 1;
    let (r, s): (&[u8], &[u8]) = match how {
        "r zero" => (&zero[..], s),
        "s zero" => (r, &zero[..]),
        "r is the order" => (&P256_ORDER[..], s),
        "s is the order" => (r, &P256_ORDER[..]),
        "r and s the order" => (&P256_ORDER[..], &P256_ORDER[..]),
        "r beyond the order" => (&beyond[..], s),
        "r and s one" => (&one[..], &one[..]),
        "r and s swapped" => (s, r),
        "in DER" => return Some(der_signature(r, s)),
        _ => return None,
    };
    Some([r, s].concat())
}

/// The signature in DER, as X.509 has it (RFC 3279 section 2.2.3); all its lengths are below 128.
fn der_signature(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integers = [der_integer(r), der_integer(s)].concat();
    tagged(0x30, integers)
}

fn der_integer(number: &[u8]) -> Vec<u8> {
    let start = number.iter().position(|byte| *byte != 0);
    let mut digits = start.map_or_else(Vec::new, |start| {
        number.iter().skip(start).copied().collect()
    });
    if digits.first().is_none_or(|first| *first >= 0x80) {
        digits.insert(0, 0);
    }
    tagged(0x02, digits)
}

fn tagged(tag: u8, content: Vec<u8>) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
    [vec![tag, length], content].concat()
}
