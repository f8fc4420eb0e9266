//! Warnings about the policies in force: what in them can never match, what has no case, and what they name
//! that nobody has.
//!
//! They have no consequence: a policy may name a dataset that is created tomorrow. The log has them when policies
//! come into force, and `GET /admin/policies` whenever it is asked, compared with the catalog as it is then.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::domain::diagnostic::{SourceDiagnostic, sorted};
use crate::policy::Bundle;
use crate::policy::folder::PolicyFolder;
use crate::policy::mentions::EntityMentions;
use crate::policy::mentions::names::CatalogNames;
use crate::policy::prove::{ProofOptions, find_idle_policies};
use crate::policy::uncovered::UncoveredPolicies;
use crate::service::policies::review::catalog_names::find_catalog_names;
use crate::storage::{Database, StorageError};

use super::proof_file::ProofFile;

/// The most warnings that are logged; the rest are counted.
const MAX_LOGGED: usize = 20;
/// How long policies that never apply are searched for.
const IDLE_SEARCH_TIMEOUT: Duration = Duration::from_mins(10);
/// How long the comparison with the catalog may take.
const COMPARISON_TIMEOUT: Duration = Duration::from_secs(5);

/// What a policy folder has to warn of.
pub(super) struct FolderWarnings {
    /// What does not depend on the catalog: what can never match, by types, policies without a case, and that the
    /// proof is slow.
    lasting: Vec<SourceDiagnostic>,
    /// The policies that never apply, by values, once the solver has found them.
    idle: Mutex<Vec<SourceDiagnostic>>,
    /// Gives the search for them up.
    search: CancellationToken,
    mentions: EntityMentions,
    /// The answer of the catalog, with its version.
    names: Mutex<Option<(i64, Arc<CatalogNames>)>>,
}

impl Drop for FolderWarnings {
    fn drop(&mut self) {
        self.search.cancel();
    }
}

impl FolderWarnings {
    /// Collects what a folder names. Blocks for as long as reading its syntax trees takes.
    pub(super) fn new(
        folder: &PolicyFolder,
        bundle: &Bundle,
        uncovered: &UncoveredPolicies,
    ) -> Self {
        let invariants = folder.invariants();
        let invariants = invariants.and_then(|invariants| invariants.warnings(bundle));
        let mut lasting = bundle.warnings().to_vec();
        lasting.extend(invariants.unwrap_or_default());
        lasting.extend(uncovered.warnings(bundle));
        Self {
            lasting,
            idle: Mutex::default(),
            search: CancellationToken::new(),
            mentions: EntityMentions::of_folder(folder, bundle),
            names: Mutex::new(None),
        }
    }

    /// Adds that the proof of the folder comes near the limit of the policy gate, if it does.
    pub(super) fn with_slow_proof(mut self, message: Option<String>) -> Self {
        let warning = message.map(|message| {
            SourceDiagnostic::for_file(self.mentions.label(), message)
                .with_help("set a longer gate_proof_limit before more policies are added")
                .into_warning()
        });
        self.lasting.extend(warning);
        self
    }

    /// All warnings, compared with the catalog as it is now. Only `with_suggestions` says what else the catalog
    /// has. A catalog that cannot be read compares with nothing.
    pub(super) async fn list(
        &self,
        database: &Database,
        with_suggestions: bool,
    ) -> Vec<SourceDiagnostic> {
        let names = match timeout(COMPARISON_TIMEOUT, self.names(database)).await {
            Ok(Ok(names)) => names,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the policies are not compared with the catalog");
                None
            }
            Err(_) => {
                tracing::warn!("the policies are not compared with the catalog: no answer in time");
                None
            }
        };
        let redacted = names
            .as_deref()
            .filter(|_| !with_suggestions)
            .map(|names| CatalogNames {
                is_redacted: true,
                ..names.clone()
            });
        let mut warnings = self.lasting.clone();
        warnings.extend(self.idle.lock().iter().cloned());
        warnings.extend(
            self.mentions
                .warnings(redacted.as_ref().or(names.as_deref())),
        );
        sorted(warnings)
    }

    /// Searches for policies that never apply, on a thread of its own, and logs what it finds: it takes the solver
    /// some time, and no edit waits for a warning.
    /// A policy that decides a case is not searched for: most folders need no solver for this.
    pub(super) fn find_idle_policies(
        self: &Arc<Self>,
        bundle: Arc<Bundle>,
        folder: PolicyFolder,
        proofs: Arc<ProofFile>,
    ) {
        let saved = Arc::clone(&proofs);
        let options = ProofOptions {
            is_low_priority: true,
            cancellation: self.search.clone(),
            ..ProofOptions::within(IDLE_SEARCH_TIMEOUT)
        };
        let find = move || {
            let report = folder.cases().and_then(|cases| cases.run(&bundle));
            let results = report.map(|report| report.results).unwrap_or_default();
            let reasons = results.into_iter().flat_map(|result| result.actual_reasons);
            find_idle_policies(&bundle, &reasons.collect(), &options, &proofs.memory)
        };
        // Held by whoever has the policies in force, and dropped with them.
        let warnings = Arc::downgrade(self);
        let search = move || {
            // What was proved of these policies, and then what the search finds out.
            saved.save();
            let found = find();
            saved.save();
            let Some(warnings) = warnings.upgrade() else {
                return;
            };
            match found {
                Ok(idle) => {
                    for warning in idle.iter().take(MAX_LOGGED) {
                        tracing::warn!(%warning, "the policies in force may not do what they say");
                    }
                    *warnings.idle.lock() = idle;
                }
                Err(error) => {
                    tracing::debug!(%error, "policies that never apply are not searched for");
                }
            }
        };
        let thread = std::thread::Builder::new().name("idle-policies".to_owned());
        if let Err(error) = thread.spawn(search) {
            tracing::warn!(%error, "policies that never apply are not searched for");
        }
    }

    /// Logs all warnings, a line each.
    pub(super) async fn log(&self, database: &Database) {
        let warnings = self.list(database, true).await;
        for warning in warnings.iter().take(MAX_LOGGED) {
            tracing::warn!(%warning, "the policies in force may not do what they say");
        }
        let more = warnings.len().saturating_sub(MAX_LOGGED);
        if more > 0 {
            tracing::warn!(
                more,
                "further warnings about the policies: cedargate policy check lists them"
            );
        }
    }

    /// What the catalog knows of what is named; asked again when the catalog has changed.
    async fn names(&self, database: &Database) -> Result<Option<Arc<CatalogNames>>, StorageError> {
        let lookup = self.mentions.lookup();
        if lookup.is_empty() {
            return Ok(None);
        }
        let version = database.catalog_version().await?;
        if let Some((known, names)) = &*self.names.lock()
            && *known == version
        {
            return Ok(Some(Arc::clone(names)));
        }
        let names = Arc::new(find_catalog_names(database, lookup).await?);
        *self.names.lock() = Some((version, Arc::clone(&names)));
        Ok(Some(names))
    }
}
