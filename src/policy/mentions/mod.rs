//! Mentions of users, roles and datasets in a policy folder, and whether they can exist and do.
//!
//! `User::"otto"` is valid Cedar and matches nobody, since the id of a user is its UUID. Whatever a folder names
//! is checked: ids and names that nobody can have, and, where there is a catalog to ask, those that nobody has.
//! Both are warnings: a policy may name a dataset that is created tomorrow. What cases name is not compared with
//! the catalog: each case has entities of its own.
//!
//! - `mention`: one place. `policy_mentions` and `json_mentions` find them in policies and in cases.
//! - [`names`]: what is looked up in the catalog, all at once. `advice`: what is wrong, and what was meant.

mod advice;
mod json_mentions;
mod mention;
pub mod names;
mod policy_mentions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::Template;

use crate::domain::diagnostic::{SourceDiagnostic, sorted};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{ADMIN_ROLE, RoleName, Username};
use crate::domain::suggest::closest;

use super::bundle::Bundle;
use super::case_file::is_case_file;
use super::folder::PolicyFolder;
use super::links;
use super::reach::RequestTypes;
use super::source_policy::{self, policies_in_order};
use super::sources::SourceFiles;

use advice::{Advice, WrittenId, advise, exact_name, folded_name};
use json_mentions::{ExpectedPolicy, JsonMentions};
use mention::{Mention, MentionKind, MentionPlace, MentionSource};
use names::{CatalogLookup, CatalogNames};

/// For how many warnings it is looked up what was meant: each lookup looks at thousands of names.
const MAX_SUGGESTIONS: usize = 50;
/// The most warnings about mentions.
const MAX_WARNINGS: usize = 1_000;

/// Everything that a policy folder names.
#[derive(Debug)]
pub struct EntityMentions {
    mentions: Vec<Mention>,
    expected: Vec<ExpectedPolicy>,
    /// The ids of all policies and links.
    policies: BTreeSet<String>,
    label: String,
}

impl EntityMentions {
    /// What the policies, links, invariants and cases of a folder name; what is malformed there names nothing.
    #[must_use]
    pub fn of_folder(folder: &PolicyFolder, bundle: &Bundle) -> Self {
        let mut mentions = Vec::new();
        let types = RequestTypes::new(&bundle.schema);
        collect_policies(&types, bundle, &mut mentions);
        collect_links(&bundle.sources, &mut mentions);
        collect_entities(bundle, &mut mentions);
        collect_invariants(&types, folder.invariant_sources(), &mut mentions);
        let mut cases = JsonMentions::default();
        for (name, text) in folder.case_sources().iter() {
            let source = MentionSource {
                label: folder.case_sources().label(name).into(),
                text: Arc::clone(text),
            };
            if is_case_file(name) {
                cases.collect_cases(&source);
            } else {
                cases.collect_entity_file(&source);
            }
        }
        mentions.extend(cases.mentions);
        Self {
            mentions,
            expected: cases.expected,
            policies: bundle.policies().keys().cloned().collect(),
            label: folder.label(),
        }
    }

    /// The folder, as it is named in warnings.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What to look up in the catalog.
    #[must_use]
    pub fn lookup(&self) -> CatalogLookup {
        let mut lookup = CatalogLookup::default();
        let real = self.mentions.iter();
        for mention in real.filter(|mention| mention.place != MentionPlace::Case) {
            let text = mention.text.as_str();
            match mention.kind {
                MentionKind::User | MentionKind::Dataset => match WrittenId::parse(text) {
                    // It stands for what a user who changes itself would be.
                    WrittenId::Canonical(id)
                        if id.is_nil() && mention.kind == MentionKind::User => {}
                    WrittenId::Canonical(id) if mention.kind == MentionKind::User => {
                        lookup.users.insert(UserId(id));
                    }
                    WrittenId::Canonical(id) => {
                        lookup.datasets.insert(DatasetId(id));
                    }
                    WrittenId::Other(_) | WrittenId::None => {
                        lookup.has_impossible = true;
                        lookup.usernames.extend(folded_name::<Username>(text));
                    }
                },
                MentionKind::Role => {
                    if text != ADMIN_ROLE {
                        lookup.has_impossible |= exact_name::<RoleName>(text).is_err();
                        lookup.roles.extend(folded_name::<RoleName>(text));
                    }
                }
                MentionKind::Username => {
                    lookup.has_impossible |= exact_name::<Username>(text).is_err();
                    lookup.usernames.extend(folded_name::<Username>(text));
                }
            }
        }
        lookup.cut()
    }

    /// A warning for each place that names what nobody can have, and for each thing that the catalog, if it was
    /// asked, does not have.
    #[must_use]
    pub fn warnings(&self, names: Option<&CatalogNames>) -> Vec<SourceDiagnostic> {
        let mut warnings: Vec<SourceDiagnostic> = self.unknown_expected();
        let mut missing: BTreeMap<(MentionKind, &str), (&Mention, Advice, usize)> = BTreeMap::new();
        for mention in &self.mentions {
            let key = (mention.kind, mention.text.as_str());
            if let Some(entry) = missing.get_mut(&key)
                && mention.place != MentionPlace::Case
            {
                entry.2 += 1;
                continue;
            }
            let may_suggest = warnings.len() + missing.len() < MAX_SUGGESTIONS;
            let Some(advice) = advise(mention, names, may_suggest) else {
                continue;
            };
            if advice.is_impossible {
                warnings.push(mention.warning(&advice.reason).with_help(advice.help));
            } else {
                missing.insert(key, (mention, advice, 1));
            }
        }
        for (mention, advice, places) in missing.into_values() {
            let reason = match places {
                1 => advice.reason,
                _ => format!("{}, named in {places} places", advice.reason),
            };
            warnings.push(mention.warning(&reason).with_help(advice.help));
        }
        self.limit(sorted(warnings))
    }

    /// Cases that expect a policy which is not there.
    fn unknown_expected(&self) -> Vec<SourceDiagnostic> {
        let unknown = self
            .expected
            .iter()
            .filter(|expected| !self.policies.contains(&expected.id));
        unknown
            .map(|expected| {
                let message = format!(
                    "in {}, there is no policy {:?}",
                    expected.owner, expected.id
                );
                let MentionSource { label, text } = &expected.source;
                let span = expected.span.clone();
                let warning = SourceDiagnostic::at_span(label, text, span, message).into_warning();
                match closest(&expected.id, self.policies.iter().map(String::as_str)) {
                    Some(meant) => warning.with_help(format!("did you mean {meant:?}?")),
                    None => warning,
                }
            })
            .collect()
    }

    fn limit(&self, mut warnings: Vec<SourceDiagnostic>) -> Vec<SourceDiagnostic> {
        warnings.dedup_by_key(|warning| warning.sort_key());
        let more = warnings.len().saturating_sub(MAX_WARNINGS);
        if more > 0 {
            warnings.truncate(MAX_WARNINGS);
            let message = format!("{more} more warnings about ids and names are not listed");
            warnings.push(SourceDiagnostic::for_file(&self.label, message).into_warning());
        }
        warnings
    }
}

fn collect_policies(types: &RequestTypes, bundle: &Bundle, mentions: &mut Vec<Mention>) {
    let set = &bundle.policies.set;
    let policies = set.policies().filter(|policy| policy.is_static());
    let policies = policies.map(|policy| (policy.id(), policy.as_ref().template()));
    let templates = set.templates().map(|of| (of.id(), Template::as_ref(of)));
    for (id, policy) in policies.chain(templates) {
        let id: &str = id.as_ref();
        let info = bundle
            .policies
            .info
            .get(id)
            .or_else(|| bundle.policies.templates.get(id));
        let file = info.map_or("", |info| info.file.as_str());
        let Some(source) = source_of(&bundle.sources, file) else {
            continue;
        };
        let owner = format!("policy `{id}`");
        policy_mentions::collect(
            types,
            policy,
            (MentionPlace::Policy, &owner),
            &source,
            mentions,
        );
    }
}

fn collect_links(sources: &SourceFiles, mentions: &mut Vec<Mention>) {
    for (name, text) in sources.links() {
        let label = sources.label(name);
        let (links, _) = links::parse(&label, text);
        let source = MentionSource {
            label: label.into(),
            text: Arc::clone(text),
        };
        for link in links {
            let owner = format!("link `{}`", link.name.text);
            for value in link.values {
                let kind = MentionKind::of_type(&value.entity.type_name().to_string());
                mentions.extend(kind.map(|kind| Mention {
                    kind,
                    text: value.entity.id().unescaped().to_owned(),
                    place: MentionPlace::Policy,
                    owner: owner.clone(),
                    source: source.clone(),
                    span: value.span.clone(),
                }));
            }
        }
    }
}

/// What the files of entities name.
fn collect_entities(bundle: &Bundle, mentions: &mut Vec<Mention>) {
    let mut sources: BTreeMap<&str, Option<MentionSource>> = BTreeMap::new();
    for named in bundle.entities().named_elsewhere() {
        let file = named.file.as_str();
        let source = sources.entry(file);
        let source = source
            .or_insert_with(|| source_of(&bundle.sources, file))
            .clone();
        let kind = MentionKind::of_type(&named.uid.type_name().to_string());
        mentions.extend(kind.zip(source).map(|(kind, source)| Mention {
            kind,
            text: named.uid.id().unescaped().to_owned(),
            place: MentionPlace::Policy,
            owner: format!("the entity {}", named.owner),
            source,
            span: named.span.clone(),
        }));
    }
}

fn collect_invariants(types: &RequestTypes, sources: &SourceFiles, mentions: &mut Vec<Mention>) {
    for (name, text) in sources.policies() {
        let Some(source) = source_of(sources, name) else {
            continue;
        };
        let Ok(parsed) = source_policy::parse(&source.label, text) else {
            continue;
        };
        for (written, policy) in policies_in_order(&parsed, text) {
            let id = written.annotation("id").unwrap_or_default();
            let owner = format!("invariant `{id}`");
            let place = (MentionPlace::Invariant, owner.as_str());
            policy_mentions::collect(types, policy.as_ref().template(), place, &source, mentions);
        }
    }
}

fn source_of(sources: &SourceFiles, file: &str) -> Option<MentionSource> {
    Some(MentionSource {
        label: sources.label(file).into(),
        text: Arc::clone(sources.text(file)?),
    })
}
