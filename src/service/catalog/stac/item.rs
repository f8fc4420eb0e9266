//! STAC Items: the members that an import needs, checked one by one so that an error names the member.

use serde_json::{Map, Value};

use super::error::StacError;
use super::media_type::RasterType;

/// The longest id of an Item or a Collection, in bytes.
const MAX_ID_LENGTH: usize = 1024;
/// The roles of assets that are data.
const DATA_ROLES: [&str; 3] = ["data", "cog", "cloud-optimized"];

/// One Item.
#[derive(Clone, Debug)]
pub(super) struct StacItem {
    /// Its id, unique in its Collection.
    pub(super) id: String,
    /// The id of its Collection.
    pub(super) collection: Option<String>,
    /// Its title, if it has one.
    pub(super) title: Option<String>,
    /// All its properties.
    pub(super) properties: Map<String, Value>,
    /// Its assets, in the order of their keys.
    pub(super) assets: Vec<StacAsset>,
}

/// One asset of an Item.
#[derive(Clone, Debug)]
pub(super) struct StacAsset {
    /// Its key.
    pub(super) key: String,
    /// Where it is.
    pub(super) href: String,
    /// Its title, if it has one.
    pub(super) title: Option<String>,
    /// What its media type says, if it has one.
    raster_type: Option<RasterType>,
    roles: Vec<String>,
}

impl StacAsset {
    /// Whether it is a cloud-optimized `GeoTIFF` by its media type, or a `GeoTIFF` by its media type or name and data
    /// by its role.
    pub(super) fn is_cog(&self) -> bool {
        if self.has_role(&["thumbnail"]) {
            return false;
        }
        match self.raster_type {
            Some(RasterType::CloudOptimized) => true,
            Some(RasterType::Tiff) => self.has_role(&DATA_ROLES),
            None => self.has_role(&DATA_ROLES) && self.has_tiff_name(),
            Some(RasterType::Other) => false,
        }
    }

    /// Whether it may be a TIFF.
    pub(super) fn may_be_tiff(&self) -> bool {
        self.raster_type != Some(RasterType::Other)
    }

    fn has_role(&self, roles: &[&str]) -> bool {
        let mut own = self.roles.iter();
        own.any(|own| roles.iter().any(|role| own.eq_ignore_ascii_case(role)))
    }

    fn has_tiff_name(&self) -> bool {
        let end = self.href.find(['?', '#']).unwrap_or(self.href.len());
        let path = self.href.get(..end).unwrap_or_default();
        let path = path.to_ascii_lowercase();
        [".tif", ".tiff"]
            .iter()
            .any(|ending| path.ends_with(ending))
    }
}

/// The members of a JSON object, and its place for messages.
pub(super) struct MemberReader<'a> {
    object: &'a Map<String, Value>,
    place: &'a str,
    /// The path of the object in the document, ending in a dot unless it is empty.
    path: String,
}

impl<'a> MemberReader<'a> {
    /// Reads the members of `value`, which is at `path`.
    pub(super) fn new(value: &'a Value, place: &'a str, path: &str) -> Result<Self, StacError> {
        let Some(object) = value.as_object() else {
            return Err(StacError::Member {
                place: place.to_owned(),
                member: path.to_owned(),
                problem: format!("expected an object, found {}", kind_of(value)),
            });
        };
        let path = match path {
            "" => String::new(),
            path => format!("{path}."),
        };
        Ok(Self {
            object,
            place,
            path,
        })
    }

    /// An error of a member.
    pub(super) fn error(&self, member: &str, problem: impl Into<String>) -> StacError {
        StacError::Member {
            place: self.place.to_owned(),
            member: format!("{}{member}", self.path),
            problem: problem.into(),
        }
    }

    /// A member that is there and not null.
    pub(super) fn get(&self, member: &str) -> Option<&'a Value> {
        self.object.get(member).filter(|value| !value.is_null())
    }

    /// A text, if the member is there.
    pub(super) fn text(&self, member: &str) -> Result<Option<&'a str>, StacError> {
        let read = |value: &'a Value| {
            let wrong = || self.error(member, format!("expected a text, found {}", kind_of(value)));
            value.as_str().ok_or_else(wrong)
        };
        self.get(member).map(read).transpose()
    }

    /// A text that has to be there.
    pub(super) fn required_text(&self, member: &str) -> Result<&'a str, StacError> {
        let text = self.text(member)?;
        text.ok_or_else(|| self.error(member, "it is missing"))
    }

    /// A list; empty if it is not there.
    pub(super) fn list(&self, member: &str) -> Result<&'a [Value], StacError> {
        match self.get(member) {
            None => Ok(&[]),
            Some(Value::Array(values)) => Ok(values),
            Some(value) => {
                Err(self.error(member, format!("expected a list, found {}", kind_of(value))))
            }
        }
    }

    fn id(&self, member: &str) -> Result<Option<String>, StacError> {
        let Some(id) = self.text(member)? else {
            return Ok(None);
        };
        if id.is_empty() || id.len() > MAX_ID_LENGTH {
            let problem = format!("an id has 1 to {MAX_ID_LENGTH} bytes");
            return Err(self.error(member, problem));
        }
        Ok(Some(id.to_owned()))
    }
}

impl StacItem {
    /// Reads an Item of the document `place`; `path` is where it is in the document.
    pub(super) fn read(value: &Value, place: &str, path: &str) -> Result<Self, StacError> {
        let unnamed = MemberReader::new(value, place, path)?;
        let kind = unnamed.required_text("type")?;
        if kind != "Feature" {
            let problem = format!("expected \"Feature\", found {kind:?}");
            return Err(unnamed.error("type", problem));
        }
        if unnamed.text("stac_version")?.is_none() {
            let problem = "it is missing: this is a GeoJSON Feature and no STAC Item";
            return Err(unnamed.error("stac_version", problem));
        }
        let Some(id) = unnamed.id("id")? else {
            return Err(unnamed.error("id", "it is missing"));
        };
        let place = format!("{place}, item {id}");
        let item = MemberReader::new(value, &place, "")?;
        let properties = match item.get("properties") {
            Some(Value::Object(properties)) => properties.clone(),
            Some(other) => {
                let problem = format!("expected an object, found {}", kind_of(other));
                return Err(item.error("properties", problem));
            }
            None => Map::new(),
        };
        let title = match properties.get("title") {
            None | Some(Value::Null) => None,
            Some(Value::String(title)) => Some(title.clone()),
            Some(other) => {
                let problem = format!("expected a text, found {}", kind_of(other));
                return Err(item.error("properties.title", problem));
            }
        };
        Ok(Self {
            id,
            collection: item.id("collection")?,
            title,
            properties,
            assets: read_assets(&item, &place)?,
        })
    }
}

fn read_assets(item: &MemberReader<'_>, place: &str) -> Result<Vec<StacAsset>, StacError> {
    let Some(assets) = item.get("assets") else {
        return Ok(Vec::new());
    };
    let all = MemberReader::new(assets, place, "assets")?;
    let mut found = Vec::new();
    for (key, value) in all.object {
        let asset = MemberReader::new(value, place, &format!("assets.{key}"))?;
        let roles = asset.list("roles")?.iter();
        found.push(StacAsset {
            key: key.clone(),
            href: asset.required_text("href")?.to_owned(),
            title: asset.text("title")?.map(str::to_owned),
            raster_type: asset.text("type")?.map(RasterType::parse),
            roles: roles
                .filter_map(|role| role.as_str().map(str::to_owned))
                .collect(),
        });
    }
    Ok(found)
}

/// What a JSON value is.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
