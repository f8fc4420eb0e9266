//! Reloads under load: each answer is right for a revision that was in force while it was asked for.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{BROKEN, public_of, reload, server_on};
use crate::audit::records;
use crate::command_line::policies;
use crate::mint::part;
use crate::server::{Answer, PUBLIC};

const EDITS: usize = 200;
const CONNECTIONS: usize = 32;
/// Every so many edits are broken.
const BROKEN_EVERY: usize = 4;

struct Minted {
    jti: String,
    expires_in: u64,
    earliest: usize,
    latest: usize,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "not seen to end within 65 seconds of a debug build yet"]
async fn every_mint_during_reloads_is_decided_by_a_revision_that_was_in_force() {
    let folder = policies();
    // An edit has to be seen in the answer alone, so the shipped policies stay out of the way.
    let public = folder.path().join("public.cedar");
    fs::write(&public, public_of(1)).unwrap();
    let server = Arc::new(server_on(folder.path(), "off", "off").await);
    let session = server.session("ada").await;
    // How many good edits are in force for sure, and how many may be.
    let (settled, begun) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let is_over = Arc::new(AtomicUsize::new(0));
    let minting: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let server = Arc::clone(&server);
            let (settled, begun) = (Arc::clone(&settled), Arc::clone(&begun));
            let is_over = Arc::clone(&is_over);
            tokio::spawn(async move {
                let mut minted = Vec::new();
                while is_over.load(Ordering::SeqCst) == 0 {
                    let earliest = settled.load(Ordering::SeqCst);
                    let answer = Answer::of(server.minting(PUBLIC)).await;
                    let latest = begun.load(Ordering::SeqCst);
                    let claims = part(&answer.token(), 1);
                    minted.push(Minted {
                        jti: claims["jti"].as_str().unwrap().to_owned(),
                        expires_in: answer.json()["expires_in"].as_u64().unwrap(),
                        earliest,
                        latest,
                    });
                }
                minted
            })
        })
        .collect();
    let mut revisions = vec![reload(&server, &session).await.json()["revision"].clone()];
    for edit in 1..=EDITS {
        if edit % BROKEN_EVERY == 0 {
            fs::write(&public, BROKEN).unwrap();
            reload(&server, &session).await.problem(409);
            continue;
        }
        let good = begun.fetch_add(1, Ordering::SeqCst) + 1;
        let seconds = u32::try_from(good % 119).unwrap() + 1;
        fs::write(&public, public_of(seconds)).unwrap();
        revisions.push(reload(&server, &session).await.json()["revision"].clone());
        settled.store(good, Ordering::SeqCst);
    }
    is_over.store(1, Ordering::SeqCst);
    let recorded = records(&server).await;
    let recorded: HashMap<&str, _> = recorded
        .iter()
        .filter(|record| record["event"] == "mint")
        .map(|record| (record["id"].as_str().unwrap(), &record["revision"]))
        .collect();
    let mut count = 0;
    for task in minting {
        for minted in task.await.unwrap() {
            let right = (minted.earliest..=minted.latest)
                .find(|good| minted.expires_in == *good as u64 % 119 + 1);
            let right =
                right.unwrap_or_else(|| panic!("{} s is of no revision", minted.expires_in));
            if let Some(revision) = recorded.get(minted.jti.as_str()) {
                assert_eq!(**revision, revisions[right]);
                count += 1;
            }
        }
    }
    assert!(count > EDITS, "{count}");
}
