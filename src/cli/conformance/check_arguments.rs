//! The arguments of `cedargate conformance check`.

use std::net::SocketAddr;

use crate::domain::id::DatasetId;
use crate::domain::name::Username;

use super::template::{HeaderTemplate, UrlTemplate};

const URL_TEMPLATE_HELP: &str = "Where the verifier serves a dataset, such as \
    'https://files.example/{dataset_id}.tif?token={token}'";

/// The arguments of `conformance check`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ConformanceCheckArguments {
    #[arg(long, value_name = "URL", help = URL_TEMPLATE_HELP)]
    pub(super) url_template: UrlTemplate,
    /// A header of each request, such as 'Authorization: Bearer {token}'; may be given several times
    #[arg(long, value_name = "HEADER")]
    pub(super) header: Vec<HeaderTemplate>,
    /// A dataset that the verifier serves; default: a random id, for which 404 means that the token was accepted
    #[arg(long, value_name = "ID")]
    pub(super) dataset_id: Option<DatasetId>,
    /// A user of the gate who may read the dataset; without one, no token names a user
    #[arg(long, value_name = "NAME", conflicts_with = "listen")]
    pub(super) user: Option<Username>,
    /// Sign with a key made for this check, and publish its key set here, for a verifier that fetches it from here;
    /// default: sign with the gate's own key
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<SocketAddr>,
    /// The issuer that the verifier expects; default: the address of --listen
    #[arg(long, value_name = "URL", requires = "listen")]
    pub(super) issuer: Option<String>,
    /// The audience that the verifier expects; default: that of the settings
    #[arg(long, value_name = "TEXT", requires = "listen")]
    pub(super) audience: Option<String>,
    /// A status that means accepted, besides 2xx; may be given several times
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(100..600))]
    pub(super) accept_status: Vec<u16>,
    /// A status that means refused, besides 400, 401, 403 and the like; may be given several times
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(100..600))]
    pub(super) refuse_status: Vec<u16>,
    /// How many requests are made at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(super) concurrency: u8,
    /// How long a request may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=300))]
    pub(super) timeout: u16,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Print the tokens too, as JSON
    #[arg(long, requires = "json")]
    pub(super) show_tokens: bool,
}
