//! Named networks: ranges of client addresses that policies name, in the file `networks.toml` of a bundle.
//!
//! Each name becomes an entity of the enumeration `Network`, and `context.networks` has those that the client's address
//! is in, so that a policy says `context.networks.contains(Network::"office")`, and a misspelt name is an error of
//! validation. The loader adds both declarations to the schema; a bundle without the file has neither. A list of ranges
//! in the file costs no operators of a policy. Of a client whose address is unknown, what policies read of networks is
//! unknown as the address itself is, see `unknown_address`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{Schema, SchemaFragment};
use ipnet::IpNet;
use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::error_chain::error_chain;

use super::address::{ADDRESS, NETWORKS};
use super::hints::address_range;
use super::sources::{NETWORKS_FILE, SCHEMA_FILE, SourceFiles};

/// The entity type of the names.
pub(super) const NETWORK_TYPE: &str = "Network";
/// The most networks.
const MAX_NETWORKS: usize = 100;
/// The most ranges of all networks together: each new client address is compared with all of them.
const MAX_NETWORK_RANGES: usize = 2_000;
/// The longest name, in bytes.
const MAX_NAME_LENGTH: usize = 64;

/// The networks of a bundle by name; none if it has no file of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Networks {
    by_name: BTreeMap<String, Vec<IpNet>>,
}

impl Networks {
    /// Parses the file of networks, if there is one, or returns all its problems.
    pub(super) fn parse(sources: &SourceFiles) -> Result<Self, Vec<SourceDiagnostic>> {
        let Some(text) = sources.text(NETWORKS_FILE) else {
            return Ok(Self::default());
        };
        let label = sources.label(NETWORKS_FILE);
        let mut parser = NetworksParser {
            label: &label,
            text,
            problems: Vec::new(),
            ranges: 0,
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut networks = Self::default();
        if errors.is_empty() {
            networks.by_name = parser.networks(table.get_ref());
        }
        for error in errors {
            parser.report(error.span().unwrap_or_default(), error.message());
        }
        if parser.problems.is_empty() {
            return Ok(networks);
        }
        Err(parser.problems)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The names of the networks that an address is in.
    pub(super) fn containing(&self, address: IpAddr) -> impl Iterator<Item = &str> {
        let address = address.to_canonical();
        let networks = self.by_name.iter();
        let networks =
            networks.filter(move |(_, ranges)| ranges.iter().any(|range| range.contains(&address)));
        networks.map(|(name, _)| name.as_str())
    }

    /// The context of a case with the networks that its address is in, if it does not name them itself.
    ///
    /// They may be named by words, or as Cedar writes entities.
    pub(super) fn complete(&self, mut context: Value) -> Value {
        let entity = |name: &str| json!({"type": NETWORK_TYPE, "id": name});
        let Some(members) = context.as_object_mut().filter(|_| !self.is_empty()) else {
            return context;
        };
        let named = match members.get(NETWORKS) {
            Some(Value::Array(given)) => {
                let entity_of = |name: &Value| name.as_str().map_or_else(|| name.clone(), entity);
                given.iter().map(entity_of).collect()
            }
            Some(_) => return context,
            None => {
                let address = members.get(ADDRESS);
                let written = address.and_then(|address| {
                    let call = address.get("__extn").unwrap_or(address);
                    call.get("arg").unwrap_or(call).as_str()?.parse().ok()
                });
                let names = written
                    .into_iter()
                    .flat_map(|address| self.containing(address));
                names.map(entity).collect()
            }
        };
        members.insert(NETWORKS.to_owned(), Value::Array(named));
        context
    }

    /// An address in each network.
    pub(super) fn sample_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let first = self.by_name.values().filter_map(|ranges| ranges.first());
        first.map(IpNet::network)
    }

    /// The schema with what it needs for the networks; the same schema if there are none.
    pub(super) fn declare_in(
        &self,
        sources: &SourceFiles,
        text: &str,
        schema: Schema,
    ) -> Result<Schema, Box<SourceDiagnostic>> {
        if self.is_empty() {
            return Ok(schema);
        }
        let failed = |message: String| {
            let label = sources.label(SCHEMA_FILE);
            Box::new(SourceDiagnostic::for_file(&label, message))
        };
        let cannot = |error: &dyn std::error::Error| {
            failed(format!(
                "cannot declare the networks: {}",
                error_chain(error)
            ))
        };
        let (fragment, _) =
            SchemaFragment::from_cedarschema_str(text).map_err(|error| cannot(&error))?;
        let mut json = fragment.to_json_value().map_err(|error| cannot(&error))?;
        if !declare(&mut json, &self.by_name) {
            let message = format!(
                "the schema declares `{NETWORK_TYPE}` or `{NETWORKS}`, which {NETWORKS_FILE} declares"
            );
            let help = "rename what the schema declares, or remove the file of networks";
            return Err(Box::new(failed(message).with_help(help)));
        }
        Schema::from_json_value(json).map_err(|error| cannot(&error))
    }
}

/// Adds the enumeration and the attribute of each context; false if there is something with their names.
fn declare(schema: &mut Value, networks: &BTreeMap<String, Vec<IpNet>>) -> bool {
    let names: Vec<&String> = networks.keys().collect();
    // Cedargate's own types and actions have no namespace.
    let Some(namespace) = schema.get_mut("") else {
        return false;
    };
    let mut is_new = add(
        &mut namespace["entityTypes"],
        NETWORK_TYPE,
        json!({ "enum": names }),
    );
    let attribute =
        json!({"type": "Set", "element": {"type": "EntityOrCommon", "name": NETWORK_TYPE}});
    let mut shared = BTreeSet::new();
    for action in members(&mut namespace["actions"]) {
        let Some(context) = action.pointer_mut("/appliesTo/context") else {
            continue;
        };
        if context.get("attributes").is_some() {
            is_new &= add(&mut context["attributes"], NETWORKS, attribute.clone());
        } else if let Some(name) = context
            .get("name")
            .or_else(|| context.get("type"))
            .and_then(Value::as_str)
        {
            shared.insert(name.to_owned());
        }
    }
    for name in shared {
        let attributes = namespace.pointer_mut(&format!("/commonTypes/{name}/attributes"));
        if let Some(attributes) = attributes {
            is_new &= add(attributes, NETWORKS, attribute.clone());
        }
    }
    is_new
}

/// Adds a member to an object; false if there is one of this name.
fn add(object: &mut Value, name: &str, value: Value) -> bool {
    match object.as_object_mut() {
        Some(members) => members.insert(name.to_owned(), value).is_none(),
        None => false,
    }
}

fn members(object: &mut Value) -> impl Iterator<Item = &mut Value> {
    object
        .as_object_mut()
        .into_iter()
        .flat_map(|object| object.values_mut())
}

struct NetworksParser<'a> {
    label: &'a str,
    text: &'a Arc<str>,
    problems: Vec<SourceDiagnostic>,
    ranges: usize,
}

impl NetworksParser<'_> {
    fn report(&mut self, span: Range<usize>, message: impl Into<String>) {
        let problem = SourceDiagnostic::at_span(self.label, self.text, span, message);
        self.problems.push(problem);
    }

    fn report_with_help(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let problem = SourceDiagnostic::at_span(self.label, self.text, span, message);
        self.problems.push(problem.with_help(help));
    }

    fn networks(&mut self, table: &DeTable<'_>) -> BTreeMap<String, Vec<IpNet>> {
        let mut networks = BTreeMap::new();
        for (index, (name, ranges)) in table.iter().enumerate() {
            let text: &str = name.get_ref();
            if index >= MAX_NETWORKS {
                self.report(name.span(), format!("more than {MAX_NETWORKS} networks"));
                break;
            }
            let is_valid =
                |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
            if text.is_empty() || text.len() > MAX_NAME_LENGTH || !text.chars().all(is_valid) {
                let message = format!("{text:?} is no name of a network");
                let help = format!("use 1 to {MAX_NAME_LENGTH} letters, digits and - _ .");
                self.report_with_help(name.span(), message, help);
                continue;
            }
            let Some(list) = ranges.get_ref().as_array() else {
                let help = format!("write {text} = [\"192.0.2.0/24\", \"2001:db8::/32\"]");
                self.report_with_help(ranges.span(), "a network is a list of ranges", help);
                continue;
            };
            let mut found = Vec::new();
            for range in list {
                found.extend(self.range(range.get_ref(), range.span()));
            }
            if list.is_empty() {
                self.report(ranges.span(), format!("the network {text} has no ranges"));
            }
            networks.insert(text.to_owned(), found);
        }
        if table.is_empty() {
            self.report(0..0, "the file names no networks");
        }
        networks
    }

    fn range(&mut self, value: &DeValue<'_>, span: Range<usize>) -> Option<IpNet> {
        self.ranges += 1;
        if self.ranges == MAX_NETWORK_RANGES + 1 {
            self.report(
                span.clone(),
                format!("more than {MAX_NETWORK_RANGES} ranges"),
            );
        }
        let Some(text) = value.as_str() else {
            self.report_with_help(span, "a range is a text", "write \"192.0.2.0/24\"");
            return None;
        };
        let range = match text.parse::<IpAddr>() {
            Ok(address) => Some(IpNet::from(address)),
            Err(_) => text.parse::<IpNet>().ok(),
        };
        let meant = address_range(text);
        match (range, meant) {
            // The range is written as it is meant: the whole network, and IPv4 as such.
            (Some(range), Some(meant)) if is_written_as(&range, &meant) => return Some(range),
            (_, Some(meant)) => {
                let message = format!("{text:?} is not a range of addresses as it is written");
                self.report_with_help(span, message, format!("write {meant:?}"));
            }
            (_, None) => {
                let message = format!("{text:?} is no address and no range of addresses");
                self.report_with_help(span, message, "write \"192.0.2.7\" or \"192.0.2.0/24\"");
            }
        }
        None
    }
}

fn is_written_as(range: &IpNet, meant: &str) -> bool {
    let meant = match meant.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address)),
        Err(_) => meant.parse::<IpNet>().ok(),
    };
    meant.as_ref() == Some(range)
}
