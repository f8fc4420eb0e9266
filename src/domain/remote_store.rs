//! Stores of files outside the file store, as configured: S3 and what is compatible, Google Cloud Storage, Azure.

use serde::Serialize;
use strum::{Display, EnumString, IntoStaticStr, VariantArray, VariantNames};
use url::Url;

use super::remote_file::StoreName;
use super::secret::Secret;
use super::text_enum::{TextEnum, UnknownVariant};

/// The most stores of one server.
pub const MAX_STORES: usize = 32;

/// How the files of a store reach who downloads them.
#[derive(Display, EnumString, IntoStaticStr, VariantArray, VariantNames)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownVariant, parse_err_fn = UnknownVariant::new::<Self>)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryMode {
    /// Through this server.
    Stream,
    /// From the store itself, by a presigned URL.
    Redirect,
}

impl TextEnum for DeliveryMode {
    const NOUN: &'static str = "mode";
}

/// One store.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteStore {
    /// The name that datasets give.
    pub name: StoreName,
    /// How its files reach who downloads them.
    pub mode: DeliveryMode,
    /// The service, and how to reach it.
    pub service: StoreService,
    /// The bucket or container.
    pub bucket: String,
    /// What the keys of all objects begin with, without slashes at its ends; empty is none.
    pub prefix: String,
    /// Where the service is, if not where its provider has it.
    pub endpoint: Option<Url>,
    /// Where whoever is redirected reaches the service, if not at the endpoint.
    pub redirect_endpoint: Option<Url>,
}

/// The service of a store, and the credentials for it.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreService {
    /// Amazon S3, or what is compatible.
    S3 {
        /// The region that requests are signed for.
        region: String,
        /// The credentials.
        credentials: S3Credentials,
    },
    /// Google Cloud Storage, with a service account key in JSON, or those of the machine.
    Gcs {
        /// The service account key.
        service_account_key: Option<Secret<String>>,
    },
    /// Azure Blob Storage, with the key of the account, or the managed identity of the machine.
    Azure {
        /// The storage account.
        account: String,
        /// Its key, in Base64.
        account_key: Option<Secret<String>>,
    },
}

/// How requests to S3 are signed.
#[derive(Clone, Debug, PartialEq)]
pub enum S3Credentials {
    /// With an access key.
    AccessKey {
        /// The id of the key.
        id: String,
        /// The secret of the key.
        secret: Secret<String>,
    },
    /// With what the machine has: the variables `AWS_*`, or the role of the instance or pod.
    Machine,
    /// Not at all: the bucket is public.
    Anonymous,
}
