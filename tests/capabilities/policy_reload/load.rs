//! Reloads under load: each mint is decided by a revision that was in force during the request.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::cli::repository;
use crate::support::records::records;
use crate::support::server::decode_part;
use crate::support::server::{PUBLIC, Server, TestResponse};

use super::{BROKEN, public_policy_with_ttl, reload, server_on};

const EDITS: usize = 200;
const CONNECTIONS: u32 = 32;
/// One edit in this many is broken.
const BROKEN_EVERY: usize = 4;
/// The pause of a connection between two mints. No order depends on it: it keeps the load to what a debug
/// build can serve during the reloads, and the connections start at different times within it.
const PAUSE: Duration = Duration::from_millis(200);
/// The maximum `@max_ttl` of the edits; each edit has another one.
const MAX_TTL: usize = 119;

/// How many valid edits were started, and how many are certainly in force.
#[derive(Default)]
struct EditProgress {
    begun: AtomicUsize,
    in_force: AtomicUsize,
}

/// A mint, and the first and last valid edit that may have decided it.
struct ObservedMint {
    jti: String,
    expires_in: usize,
    earliest: usize,
    latest: usize,
}

/// A small bundle: the schema, the policy for admins, and the policy that is edited.
fn few_policies() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["schema.cedarschema", "admin.cedar"] {
        let shipped = repository().join("policies").join(name);
        fs::copy(shipped, folder.path().join(name)).unwrap();
    }
    write_valid_edit(folder.path(), 0);
    folder
}

fn ttl_of_edit(good: usize) -> usize {
    good % MAX_TTL + 1
}

/// Each valid edit is a new revision, which can be identified by the lifetime of a token.
fn write_valid_edit(folder: &Path, good: usize) {
    let text = public_policy_with_ttl(u32::try_from(ttl_of_edit(good)).unwrap());
    let text = format!("// Edit {good}.\n{text}");
    fs::write(folder.join("public.cedar"), text).unwrap();
}

/// Mints repeatedly until `stop` is cancelled.
async fn mint_until_stopped(
    server: Arc<Server>,
    progress: Arc<EditProgress>,
    nth: u32,
    stop: CancellationToken,
) -> Vec<ObservedMint> {
    let mut minted = Vec::new();
    tokio::time::sleep(PAUSE / CONNECTIONS * nth).await;
    while !stop.is_cancelled() {
        let earliest = progress.in_force.load(Ordering::SeqCst);
        let response = server.mint(PUBLIC, None).await;
        let latest = progress.begun.load(Ordering::SeqCst);
        let claims = decode_part(&response.token(), 1);
        let expires_in = response.json()["expires_in"].as_u64().unwrap();
        minted.push(ObservedMint {
            jti: claims["jti"].as_str().unwrap().to_owned(),
            expires_in: usize::try_from(expires_in).unwrap(),
            earliest,
            latest,
        });
        tokio::time::sleep(PAUSE).await;
    }
    minted
}

/// Edits and reloads in turn; returns the revisions of the valid edits.
async fn make_edits(server: &Server, folder: &Path, progress: &EditProgress) -> Vec<Value> {
    let session = server.session("ada").await;
    let revision_of = |response: TestResponse| {
        assert_eq!(response.status, 200);
        response.json()["revision"].clone()
    };
    let mut revisions = vec![revision_of(reload(server, &session).await)];
    for edit in 1..=EDITS {
        if edit % BROKEN_EVERY == 0 {
            fs::write(folder.join("public.cedar"), BROKEN).unwrap();
            reload(server, &session).await.problem(409);
            continue;
        }
        let good = progress.begun.fetch_add(1, Ordering::SeqCst) + 1;
        write_valid_edit(folder, good);
        revisions.push(revision_of(reload(server, &session).await));
        progress.in_force.store(good, Ordering::SeqCst);
    }
    revisions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mint_during_reloads_is_decided_by_a_revision_that_was_in_force() {
    let folder = few_policies();
    let server = Arc::new(server_on(folder.path(), "off", "off").await);
    let progress = Arc::new(EditProgress::default());
    let stop = CancellationToken::new();
    let minting: Vec<_> = (0..CONNECTIONS)
        .map(|nth| {
            let (server, progress) = (Arc::clone(&server), Arc::clone(&progress));
            tokio::spawn(mint_until_stopped(server, progress, nth, stop.clone()))
        })
        .collect();
    let revisions = make_edits(&server, folder.path(), &progress).await;
    stop.cancel();
    let mut minted = Vec::new();
    for connection in minting {
        minted.extend(connection.await.unwrap());
    }
    assert_eq!(revisions.iter().collect::<HashSet<_>>().len(), 151);

    let records = records(&server).await;
    let recorded: HashMap<&str, &Value> = records
        .iter()
        .filter(|record| record["event"] == "mint" && record["outcome"] == "granted")
        .map(|record| (record["jti"].as_str().unwrap(), record))
        .collect();
    assert_eq!(recorded.len(), minted.len());
    let (mut decided, mut before, mut after) = (HashSet::new(), 0, 0);
    for mint in &minted {
        let expires_in = mint.expires_in;
        let good = (mint.earliest..=mint.latest).find(|good| ttl_of_edit(*good) == expires_in);
        let good = good.unwrap_or_else(|| panic!("{expires_in} s is of no revision in force"));
        let record = recorded[mint.jti.as_str()];
        assert_eq!(record["revision"], revisions[good]);
        decided.insert(good);
        if mint.earliest < mint.latest {
            *(if good == mint.earliest {
                &mut before
            } else {
                &mut after
            }) += 1;
        }
    }
    // Otherwise the test proves nothing: mints during a change got either revision.
    let message = format!(
        "{} mints: {before} before, {after} after, {} revisions",
        minted.len(),
        decided.len()
    );
    assert!(
        before > 0 && after > 0 && decided.len() > EDITS / 2,
        "{message}"
    );
    let broken = records
        .iter()
        .filter(|record| record["event"] == "policy_reload" && record["outcome"] == "refused");
    assert_eq!(broken.count(), EDITS / BROKEN_EVERY);
}
