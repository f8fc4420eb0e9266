//! Runs the published verifier in Rust: one request a line on standard input, one verdict a line.
//!
//! Usage: `verifier_loop FILE`, where FILE is the published program with other constants, which are taken from it.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a program of the tests, and a published one that is used in part"
)]

use serde_json::json;

#[path = "../../docs/verifiers/verify.rs"]
mod verify;

use verify::{Refusal, Verifier};

/// The value of a constant in the text of the program.
fn constant(text: &str, name: &str) -> String {
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("pub const {name}:")));
    let (_, value) = line.unwrap().split_once(" = ").unwrap();
    value.trim_end_matches(';').trim_matches('"').to_owned()
}

fn main() {
    let text = std::fs::read_to_string(std::env::args().nth(1).unwrap()).unwrap();
    let seconds = |name| constant(&text, name).parse().unwrap();
    let issuer = constant(&text, "ISSUER");
    let verifier = Verifier::new(&issuer, seconds("MAX_AGE"), seconds("PAUSE")).unwrap();
    for line in std::io::stdin().lines() {
        let (token, dataset_id): (String, String) = serde_json::from_str(&line.unwrap()).unwrap();
        let verdict = match verifier.verify(&token, &dataset_id) {
            Ok(claims) => json!({"accepted": {"sub": claims.subject.map(|user| user.to_string())}}),
            Err(Refusal::Token(error)) => json!({"refused": error.to_string()}),
            Err(Refusal::NoKeySet) => json!({"no key set": true}),
        };
        println!("{verdict}");
    }
}
