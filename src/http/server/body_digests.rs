//! Digests of a body: what arrives is what the client says that it sent.
//!
//! `Content-Digest` and `Repr-Digest` (RFC 9530), which are the same for a whole body without coding, with
//! sha-256 and sha-512; and the fields that came before them and that clients still send, `Digest` (RFC 3230)
//! and `Content-MD5` (RFC 1864). They may stand in the header or, announced by `Trailer`, after a chunked body.
//! A client that sends a digest wants it to be checked: one that is malformed, or of other algorithms alone, is
//! refused.

use std::fmt;
use std::io::{self, ErrorKind};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use md5::Md5;
use poem::Body;
use poem::http::HeaderMap;
use poem::http::header::{HeaderName, TRAILER};
use sfv::{Dictionary, ListEntry, Parser};
use sha2::{Digest, Sha256, Sha512};

use crate::http::conditional::precondition::joined_header;

/// The fields that have digests.
const FIELDS: [DigestField; 4] = [
    DigestField::Content,
    DigestField::Representation,
    DigestField::Legacy,
    DigestField::Md5,
];

/// A field that has digests of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DigestField {
    Content,
    Representation,
    Legacy,
    Md5,
}

/// An algorithm that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DigestAlgorithm {
    Md5,
    Sha256,
    Sha512,
}

/// A hash in progress.
enum RunningHash {
    Md5(Md5),
    Sha256(Sha256),
    Sha512(Sha512),
}

/// Why a digest cannot be checked.
#[derive(Debug, thiserror::Error)]
pub(super) enum DigestFieldError {
    /// It cannot be parsed.
    #[error("the header {field} is malformed")]
    Malformed {
        /// The name of the field.
        field: &'static str,
    },
    /// It has other algorithms alone.
    #[error("the header {field} has no digest that is checked here: send sha-256 or sha-512")]
    NoKnownAlgorithm {
        /// The name of the field.
        field: &'static str,
    },
    /// It came after the body without being announced, so nothing was hashed.
    #[error("{field} came after the body, but no header Trailer announced it")]
    NotAnnounced {
        /// The name of the field.
        field: &'static str,
    },
    /// The body is another one.
    #[error("the body does not match its {field}: the {algorithm} of what arrived is {actual}")]
    Mismatch {
        /// The name of the field.
        field: &'static str,
        /// The name of the algorithm.
        algorithm: &'static str,
        /// The digest of what arrived, in base64.
        actual: String,
    },
}

impl From<DigestFieldError> for io::Error {
    fn from(error: DigestFieldError) -> Self {
        Self::new(ErrorKind::InvalidData, error)
    }
}

/// A digest that the client sent.
struct ExpectedDigest {
    field: DigestField,
    algorithm: DigestAlgorithm,
    digest: Vec<u8>,
}

/// The digests that a body must have.
pub(super) struct BodyDigests {
    expected: Vec<ExpectedDigest>,
    hashes: Vec<(DigestAlgorithm, RunningHash)>,
}

impl DigestField {
    fn name(self) -> &'static str {
        match self {
            Self::Content => "content-digest",
            Self::Representation => "repr-digest",
            Self::Legacy => "digest",
            Self::Md5 => "content-md5",
        }
    }

    /// The digests of this field, if there is one: those of algorithms that are checked.
    fn parse(self, headers: &HeaderMap) -> Result<Vec<ExpectedDigest>, DigestFieldError> {
        let field = self.name();
        let Some(value) = joined_header(headers, &HeaderName::from_static(field)) else {
            return Ok(Vec::new());
        };
        let listed = match self {
            Self::Content | Self::Representation => parse_dictionary(&value),
            Self::Legacy => parse_legacy(&value),
            Self::Md5 => STANDARD
                .decode(value.trim_ascii())
                .ok()
                .map(|digest| vec![("md5".to_owned(), digest)]),
        };
        let listed = listed.ok_or(DigestFieldError::Malformed { field })?;
        let known = listed.into_iter().filter_map(|(name, digest)| {
            let algorithm = DigestAlgorithm::parse(&name, self)?;
            Some(ExpectedDigest {
                field: self,
                algorithm,
                digest,
            })
        });
        let known: Vec<_> = known.collect();
        if known.is_empty() {
            return Err(DigestFieldError::NoKnownAlgorithm { field });
        }
        Ok(known)
    }
}

impl DigestAlgorithm {
    /// RFC 9530 section 5 leaves md5 to no new field.
    fn parse(name: &str, field: DigestField) -> Option<Self> {
        let is_old = matches!(field, DigestField::Legacy | DigestField::Md5);
        match name {
            "sha-256" => Some(Self::Sha256),
            "sha-512" => Some(Self::Sha512),
            "md5" if is_old => Some(Self::Md5),
            _ => None,
        }
    }

    fn start(self) -> RunningHash {
        match self {
            Self::Md5 => RunningHash::Md5(Md5::new()),
            Self::Sha256 => RunningHash::Sha256(Sha256::new()),
            Self::Sha512 => RunningHash::Sha512(Sha512::new()),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha-256",
            Self::Sha512 => "sha-512",
        }
    }
}

impl RunningHash {
    fn update(&mut self, chunk: &[u8]) {
        match self {
            Self::Md5(hash) => hash.update(chunk),
            Self::Sha256(hash) => hash.update(chunk),
            Self::Sha512(hash) => hash.update(chunk),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Md5(hash) => hash.finalize().to_vec(),
            Self::Sha256(hash) => hash.finalize().to_vec(),
            Self::Sha512(hash) => hash.finalize().to_vec(),
        }
    }
}

impl fmt::Debug for BodyDigests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms = self.hashes.iter().map(|(algorithm, _)| algorithm);
        f.debug_list().entries(algorithms).finish()
    }
}

impl BodyDigests {
    /// The digests of a request; `None` if it has and announces none.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, DigestFieldError> {
        let mut digests = Self {
            expected: Vec::new(),
            hashes: Vec::new(),
        };
        for field in FIELDS {
            digests.expected.extend(field.parse(headers)?);
        }
        let mut wanted: Vec<_> = digests.expected.iter().map(|it| it.algorithm).collect();
        let announced = joined_header(headers, &TRAILER).unwrap_or_default();
        let announced = String::from_utf8_lossy(&announced).to_ascii_lowercase();
        let announced: Vec<_> = announced.split(',').map(str::trim).collect();
        for field in FIELDS {
            if announced.contains(&field.name()) {
                wanted.extend([DigestAlgorithm::Sha256, DigestAlgorithm::Sha512]);
                wanted.extend(DigestAlgorithm::parse("md5", field));
            }
        }
        for algorithm in wanted {
            if digests.hashes.iter().all(|(known, _)| *known != algorithm) {
                digests.hashes.push((algorithm, algorithm.start()));
            }
        }
        // A chunked body may have trailers that nobody announced.
        Ok(Some(digests).filter(|it| !it.hashes.is_empty()))
    }

    /// The chunks of a body; the last of them is followed by an error unless the digests are right.
    pub(super) fn check(
        digests: Option<Self>,
        body: Body,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let body: BoxBody<Bytes, io::Error> = body.into();
        let digests = digests.unwrap_or(Self {
            expected: Vec::new(),
            hashes: Vec::new(),
        });
        stream::try_unfold((body, Some(digests)), |(mut body, digests)| async move {
            let Some(mut digests) = digests else {
                return Ok(None);
            };
            while let Some(frame) = body.frame().await.transpose()? {
                match frame.into_data() {
                    Ok(chunk) => {
                        digests.update(&chunk);
                        return Ok(Some((chunk, (body, Some(digests)))));
                    }
                    Err(other) => {
                        if let Ok(trailers) = other.into_trailers() {
                            digests.add_trailers(&trailers)?;
                        }
                    }
                }
            }
            digests.verify()?;
            Ok(None)
        })
    }

    fn update(&mut self, chunk: &[u8]) {
        for (_, hash) in &mut self.hashes {
            hash.update(chunk);
        }
    }

    fn add_trailers(&mut self, trailers: &HeaderMap) -> Result<(), DigestFieldError> {
        for field in FIELDS {
            for expected in field.parse(trailers)? {
                let algorithm = expected.algorithm;
                if self.hashes.iter().all(|(known, _)| *known != algorithm) {
                    let field = field.name();
                    return Err(DigestFieldError::NotAnnounced { field });
                }
                self.expected.push(expected);
            }
        }
        Ok(())
    }

    fn verify(self) -> Result<(), DigestFieldError> {
        for (algorithm, hash) in self.hashes {
            let actual = hash.finish();
            let of_this = self.expected.iter().filter(|it| it.algorithm == algorithm);
            if let Some(wrong) = of_this.into_iter().find(|it| it.digest != actual) {
                return Err(DigestFieldError::Mismatch {
                    field: wrong.field.name(),
                    algorithm: algorithm.name(),
                    actual: STANDARD.encode(actual),
                });
            }
        }
        Ok(())
    }
}

/// The digests of a dictionary of byte sequences (RFC 9530 section 2, RFC 9651).
fn parse_dictionary(value: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let dictionary: Dictionary = Parser::new(value).parse().ok()?;
    let digests = dictionary.iter().map(|(name, entry)| match entry {
        ListEntry::Item(item) => {
            let digest = item.bare_item.as_byte_sequence()?;
            Some((name.as_str().to_owned(), digest.to_vec()))
        }
        ListEntry::InnerList(_) => None,
    });
    digests.collect()
}

/// The digests of a list such as `SHA-256=<base64>,MD5=<base64>` (RFC 3230 section 4.3.2).
fn parse_legacy(value: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let digests = str::from_utf8(value).ok()?.split(',').map(|element| {
        let (name, digest) = element.trim().split_once('=')?;
        let name = name.to_ascii_lowercase();
        // Other algorithms have other forms.
        let digest = STANDARD.decode(digest).or_else(|error| match &*name {
            "sha-256" | "sha-512" | "md5" => Err(error),
            _ => Ok(Vec::new()),
        });
        Some((name, digest.ok()?))
    });
    digests.collect()
}

#[cfg(test)]
mod tests;
