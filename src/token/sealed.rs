//! Sealing: encryption of private keys at rest.
//!
//! A sealed text is a compact JWE (RFC 7516) with direct encryption (`dir`) and `A256GCM`.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit as _, Mac as _};
use josekit::jwe::{self, Dir, JweHeader};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::error::TokenError;
use crate::domain::secret::Secret;

/// Maximum length of a text that is parsed as a sealing key, in bytes; 44 are enough.
const MAX_KEY_TEXT_LENGTH: usize = 256;

/// The prefix of every sealed text: the header `{"alg":"dir","enc":"A256GCM"}` in base64url, and an
/// empty encrypted key (RFC 7516 section 7.1, RFC 7518 section 4.5).
const SEALED_PREFIX: &str = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..";

/// The base64url lengths of a 96-bit initialisation vector and a 128-bit tag (RFC 7518 section 5.3).
const IV_TEXT_LENGTH: usize = 16;
const TAG_TEXT_LENGTH: usize = 22;

/// Base64url with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The 256-bit key that seals private signing keys.
#[derive(Clone, Debug, PartialEq)]
pub struct SealingKey(Secret<[u8; 32]>);

impl SealingKey {
    /// Generates a random key with the random number generator of the operating system.
    #[must_use]
    pub fn generate() -> Self {
        Self(Secret::new(rand::random()))
    }

    /// Parses 32 bytes in base64 or base64url, with or without padding; surrounding white space is
    /// ignored.
    ///
    /// # Errors
    ///
    /// [`TokenError::InvalidSealingKey`], which does not quote the text.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let invalid = |reason| TokenError::InvalidSealingKey { reason };
        let text = text.trim();
        if text.is_empty() {
            return Err(invalid("the text is empty"));
        }
        if text.len() > MAX_KEY_TEXT_LENGTH {
            return Err(invalid("the text is too long"));
        }
        let text = Zeroizing::new(text.replace('+', "-"));
        let text = Zeroizing::new(text.replace('/', "_"));
        let bytes = LENIENT
            .decode(text.as_bytes())
            .map(Zeroizing::new)
            .map_err(|_| invalid("the text is not base64"))?;
        match <[u8; 32]>::try_from(bytes.as_slice()) {
            Ok(key) => Ok(Self(Secret::new(key))),
            Err(_) if bytes.len() < 32 => Err(invalid("there are fewer than 32 bytes")),
            Err(_) => Err(invalid("there are more than 32 bytes")),
        }
    }

    /// Writes the key as 43 characters of base64url, which [`SealingKey::parse`] reads.
    #[must_use]
    pub fn to_text(&self) -> Secret<String> {
        Secret::new(URL_SAFE_NO_PAD.encode(self.0.reveal()))
    }

    /// An authentication code of `content`, for one purpose: HMAC-SHA256 (RFC 2104) under a key that is the
    /// HMAC-SHA256 of the purpose under this one.
    pub fn authenticate(&self, purpose: &str, content: &[u8]) -> Result<Vec<u8>, TokenError> {
        let key = Zeroizing::new(hmac(self.0.reveal(), purpose.as_bytes())?);
        hmac(&key, content)
    }

    /// Whether `code` is the authentication code of `content` for a purpose; compares in constant time.
    #[must_use]
    pub fn is_authentic(&self, purpose: &str, content: &[u8], code: &[u8]) -> bool {
        let expected = self.authenticate(purpose, content);
        expected.is_ok_and(|expected| expected.ct_eq(code).into())
    }

    /// Seals `plain`; sealing twice gives two different texts.
    pub(super) fn seal(&self, plain: &[u8]) -> Result<String, TokenError> {
        let failed = |error: josekit::JoseError| TokenError::Seal {
            reason: error.to_string(),
        };
        let mut header = JweHeader::new();
        header.set_algorithm("dir");
        header.set_content_encryption("A256GCM");
        let encrypter = Dir.encrypter_from_bytes(self.0.reveal()).map_err(failed)?;
        let sealed = jwe::serialize_compact(plain, &header, &encrypter).map_err(failed)?;
        check_form(&sealed).map_err(|_| TokenError::Seal {
            reason: String::from("the library wrote an unexpected form"),
        })?;
        Ok(sealed)
    }

    /// Unseals what [`SealingKey::seal`] sealed with the same key.
    pub(super) fn unseal(&self, sealed: &str) -> Result<Zeroizing<Vec<u8>>, TokenError> {
        check_form(sealed)?;
        let failed = |_| TokenError::Unseal {
            reason: "it was sealed with another sealing key, or it is damaged",
        };
        let decrypter = Dir.decrypter_from_bytes(self.0.reveal()).map_err(failed)?;
        let (plain, _) = jwe::deserialize_compact(sealed, &decrypter).map_err(failed)?;
        Ok(Zeroizing::new(plain))
    }
}

fn hmac(key: &[u8], content: &[u8]) -> Result<Vec<u8>, TokenError> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).map_err(|error| TokenError::Seal {
        reason: error.to_string(),
    })?;
    hmac.update(content);
    Ok(hmac.finalize().into_bytes().to_vec())
}

/// Rejects any other form before decryption.
///
/// The library would inflate a `zip`, and OpenSSL would accept a truncated tag, which is easier to
/// forge. So the header and the lengths of vector and tag are checked here.
fn check_form(sealed: &str) -> Result<(), TokenError> {
    let wrong_form = TokenError::Unseal {
        reason: "it is not a compact JWE with dir and A256GCM",
    };
    let Some(rest) = sealed.strip_prefix(SEALED_PREFIX) else {
        return Err(wrong_form);
    };
    let lengths: Vec<usize> = rest.split('.').map(str::len).collect();
    match lengths.as_slice() {
        [IV_TEXT_LENGTH, _, TAG_TEXT_LENGTH] => Ok(()),
        _ => Err(wrong_form),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE as PADDED_URL_SAFE};

    fn unseal_error(sealed: &str, key: &SealingKey) -> &'static str {
        match key.unseal(sealed).map(|_| ()).unwrap_err() {
            TokenError::Unseal { reason } => reason,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_sealing_key_is_read_back_from_its_own_text() {
        let key = SealingKey::generate();
        assert_eq!(SealingKey::parse(key.to_text().reveal()), Ok(key));
        assert_ne!(SealingKey::generate(), SealingKey::generate());
    }

    #[test]
    fn a_sealing_key_is_read_in_every_base64_with_a_line_end() {
        // 0xFB and 0xFF make the characters in which the two alphabets differ.
        let bytes = [
            [0xFB; 16].as_slice(),
            [0xFF; 8].as_slice(),
            [7; 8].as_slice(),
        ]
        .concat();
        for text in [
            STANDARD.encode(&bytes),
            STANDARD_NO_PAD.encode(&bytes),
            PADDED_URL_SAFE.encode(&bytes),
            format!("  {}\r\n", URL_SAFE_NO_PAD.encode(&bytes)),
        ] {
            let key = SealingKey::parse(&text).unwrap();
            assert_eq!(key.0.reveal().as_slice(), bytes, "{text}");
        }
    }

    #[test]
    fn malformed_sealing_keys_are_rejected_without_being_quoted() {
        for (text, reason) in [
            (String::from(" \n"), "the text is empty"),
            (
                String::from("correct horse battery staple"),
                "the text is not base64",
            ),
            (STANDARD.encode([1; 31]), "there are fewer than 32 bytes"),
            (STANDARD.encode([1; 33]), "there are more than 32 bytes"),
            (STANDARD.encode([1; 300]), "the text is too long"),
        ] {
            let refusal = SealingKey::parse(&text).unwrap_err();
            assert_eq!(refusal, TokenError::InvalidSealingKey { reason });
            assert!(text.trim().is_empty() || !refusal.to_string().contains(text.trim()));
        }
    }

    #[test]
    fn a_sealing_key_does_not_print() {
        let key = SealingKey::generate();
        assert_eq!(format!("{key:?}"), "SealingKey([redacted])");
    }

    #[test]
    fn another_sealing_key_does_not_open() {
        let sealed = SealingKey::generate().seal(b"plain").unwrap();
        let reason = unseal_error(&sealed, &SealingKey::generate());
        assert!(reason.contains("another sealing key"), "{reason}");
    }

    #[test]
    fn sealing_twice_gives_two_texts_with_two_vectors() {
        let key = SealingKey::generate();
        let vector = |sealed: &str| sealed.split('.').nth(2).unwrap().to_owned();
        let (one, other) = (key.seal(b"plain").unwrap(), key.seal(b"plain").unwrap());
        assert_ne!(vector(&one), vector(&other));
        assert_eq!(key.unseal(&one).unwrap(), key.unseal(&other).unwrap());
    }

    #[test]
    fn a_tag_cut_short_is_refused_before_decryption() {
        let key = SealingKey::generate();
        let sealed = key.seal(b"plain").unwrap();
        let cut = sealed.get(..sealed.len() - 4).unwrap();
        assert!(unseal_error(cut, &key).contains("compact JWE"));
    }

    #[test]
    fn another_header_is_refused_before_decryption() {
        let key = SealingKey::generate();
        let sealed = key.seal(b"plain").unwrap();
        for header in [
            r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#,
            r#"{"enc":"A256GCM","alg":"dir"}"#,
            r#"{"alg":"dir","enc":"A128GCM"}"#,
        ] {
            let (_, rest) = sealed.split_once('.').unwrap();
            let other = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header));
            assert!(
                unseal_error(&other, &key).contains("compact JWE"),
                "{header}"
            );
        }
        assert!(unseal_error("", &key).contains("compact JWE"));
    }

    #[test]
    fn every_changed_character_of_a_sealed_text_is_noticed() {
        let key = SealingKey::generate();
        let sealed = key.seal(b"plain").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(key.unseal(&changed).is_err(), "at {at}");
        }
    }

    #[test]
    fn an_authentication_code_is_of_one_content_one_purpose_and_one_key() {
        let key = SealingKey::generate();
        let code = key.authenticate("a", b"content").unwrap();
        assert!(key.is_authentic("a", b"content", &code));
        assert!(!key.is_authentic("b", b"content", &code));
        assert!(!key.is_authentic("a", b"contents", &code));
        assert!(!key.is_authentic("a", b"content", &code[1..]));
        assert!(!SealingKey::generate().is_authentic("a", b"content", &code));
    }
}
