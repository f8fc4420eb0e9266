//! Attack tests: each token is valid except for one thing, and signed with the right key, so that
//! it is rejected for that thing alone.

mod external;
mod form;
mod header;
mod members;
mod properties;
mod signature;
mod time;
mod valid;
mod wycheproof;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use josekit::jws::{HS256, JwsSigner as _};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::domain::caller::Authentication;
use crate::domain::decision::MAX_TOKEN_TTL;
use crate::domain::id::{DatasetId, RecordId, SessionId, UserId};

const NOW: i64 = 1_800_000_000;
const EXPECTED: ExpectedClaims<'static> = ExpectedClaims {
    issuer: "https://gate.example",
    audience: "https://files.example",
    now: NOW,
};

/// A signing key, a key set with that key and another one, and valid claims of both kinds.
struct Fixture {
    key: SigningKey,
    keys: KeySet,
    download: DownloadClaims,
    session: SessionClaims,
}

fn fixture() -> Fixture {
    let key = SigningKey::generate().unwrap();
    let other = SigningKey::generate().unwrap();
    let keys = KeySet::new(&[other.public_key().clone(), key.public_key().clone()]).unwrap();
    let subject = UserId::random();
    let download = DownloadClaims {
        issuer: EXPECTED.issuer.to_owned(),
        audience: EXPECTED.audience.to_owned(),
        subject: Some(subject),
        dataset_id: DatasetId(Uuid::new_v4()),
        id: RecordId::generate_at(1_800_000_000_000),
        issued_at: NOW,
        expires_at: NOW + 120,
    };
    let session = SessionClaims {
        issuer: download.issuer.clone(),
        audience: download.audience.clone(),
        subject,
        id: download.id,
        session_id: SessionId::random(),
        issued_at: NOW,
        expires_at: NOW + 3600,
        authentication: Authentication::Password,
    };
    Fixture {
        key,
        keys,
        download,
        session,
    }
}

impl Fixture {
    fn token(&self) -> String {
        self.download.sign(&self.key).unwrap().reveal().clone()
    }

    fn session_token(&self) -> String {
        self.session.sign(&self.key).unwrap().reveal().clone()
    }

    /// The JSON text of a part of the valid download token.
    fn json(&self, part: usize) -> String {
        part_json(&self.token(), part)
    }

    /// A correctly signed token with this header and payload.
    fn forge(&self, header: &str, payload: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        self.sign(&format!("{}.{}", encode(header), encode(payload)))
    }

    /// These two parts with a correct signature.
    fn sign(&self, signed: &str) -> String {
        let signature = self.key.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The valid download token with another signature.
    fn with_signature(&self, signature: impl AsRef<[u8]>) -> String {
        let token = self.token();
        let (signed, _) = token.rsplit_once('.').unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The valid download token with its header changed.
    fn with_header(&self, change: impl FnOnce(&mut Value)) -> String {
        self.forge(&edit_json(&self.json(0), change), &self.json(1))
    }

    /// The valid download token with its payload changed.
    fn with_payload(&self, change: impl FnOnce(&mut Value)) -> String {
        self.forge(&self.json(0), &edit_json(&self.json(1), change))
    }

    fn error(&self, token: &str) -> TokenError {
        DownloadClaims::verify(token, &self.keys, &EXPECTED).unwrap_err()
    }

    fn defect(&self, token: &str) -> (TokenPart, Defect) {
        defect_in(self.error(token))
    }
}

fn part_json(token: &str, part: usize) -> String {
    let part = token.split('.').nth(part).unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn edit_json(json: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut value = serde_json::from_str(json).unwrap();
    change(&mut value);
    value.to_string()
}

fn defect_in(error: TokenError) -> (TokenPart, Defect) {
    match error {
        TokenError::Malformed { part, defect } => (part, defect),
        other => panic!("{other}"),
    }
}

fn remove(value: &mut Value, member: &str) {
    value.as_object_mut().unwrap().shift_remove(member).unwrap();
}
