//! Media types of assets: which are GeoTIFFs, and which are cloud-optimized (STAC best practices, *Common Media Types*).

/// The media types of TIFF and `GeoTIFF`; the last two are those of STAC before 1.0.
const TIFF_TYPES: [&str; 4] = [
    "image/tiff",
    "image/geotiff",
    "image/vnd.stac.geotiff",
    "image/x.geotiff",
];

/// How far an asset says by its media type that it is a cloud-optimized `GeoTIFF`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RasterType {
    /// It is a TIFF, and cloud-optimized.
    CloudOptimized,
    /// It is a TIFF.
    Tiff,
    /// It is something else.
    Other,
}

impl RasterType {
    /// Parses a media type; parameters come in any order, case and spacing (RFC 9110 section 8.3.1).
    pub(super) fn parse(media_type: &str) -> Self {
        let mut parts = media_type.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        if !TIFF_TYPES
            .iter()
            .any(|tiff| essence.eq_ignore_ascii_case(tiff))
        {
            return Self::Other;
        }
        let is_cloud_optimized = parts.any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.trim().trim_matches('"');
            let name = name.trim();
            (name.eq_ignore_ascii_case("profile") && value.eq_ignore_ascii_case("cloud-optimized"))
                || (name.eq_ignore_ascii_case("cloud-optimized")
                    && value.eq_ignore_ascii_case("true"))
        });
        if is_cloud_optimized {
            Self::CloudOptimized
        } else {
            Self::Tiff
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cogs_are_known_in_every_spelling_of_their_media_type() {
        for text in [
            "image/tiff; application=geotiff; profile=cloud-optimized",
            "image/tiff;application=geotiff;profile=cloud-optimized",
            "image/tiff; profile=cloud-optimized; application=geotiff",
            "IMAGE/TIFF ; Application=GeoTIFF ; Profile=\"Cloud-Optimized\"",
            "image/tiff; profile=cloud-optimized",
            "image/tiff; profile = cloud-optimized",
            "image/vnd.stac.geotiff; cloud-optimized=true",
            "image/geotiff; profile=cloud-optimized",
        ] {
            assert_eq!(
                RasterType::parse(text),
                RasterType::CloudOptimized,
                "{text}"
            );
        }
        for text in [
            "image/tiff",
            "image/tiff; application=geotiff",
            "image/tiff; profile=cloud-optimised-not",
            "image/vnd.stac.geotiff; cloud-optimized=false",
            "image/vnd.stac.geotiff",
        ] {
            assert_eq!(RasterType::parse(text), RasterType::Tiff, "{text}");
        }
        for text in [
            "",
            "image/png",
            "image/tiff-fx",
            "application/json; profile=cloud-optimized",
            "application/vnd.laszip+copc",
            "profile=cloud-optimized",
        ] {
            assert_eq!(RasterType::parse(text), RasterType::Other, "{text}");
        }
    }
}
