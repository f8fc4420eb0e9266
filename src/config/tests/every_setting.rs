use std::num::NonZeroU32;

use super::*;

const ISSUERS: &str = r#"[{"issuer":"https://id.example.org/","audience":"maps","algorithms":["RS256"],"username_claim":"email","principals":"known"}]"#;

const STORES: &str = r#"[{"name":"archive","url":"s3://maps/cogs","mode":"redirect","region":"eu-central-1","access_key_id":"AKIA","secret_access_key":"[redacted]"}]"#;

#[test]
fn every_setting_can_be_set_by_its_variable() {
    let values = [
        ("listen", "[::1]:9000"),
        ("data_dir", "/srv/gate"),
        ("database_url", "postgres://ada@db/gate"),
        ("database_password", "s3cret"),
        ("database_connections", "9"),
        ("files_dir", "/srv/files"),
        ("free_disk_floor", "17"),
        ("import_dir", "/srv/imports"),
        ("largest_upload", "64"),
        ("stores", STORES),
        ("remote_networks", "10.0.0.0/8"),
        ("unused_files_kept", "7200"),
        ("policy_dir", "/srv/policies"),
        ("policy_writes", "allow"),
        ("gate_cases", "off"),
        ("require_case_per_policy", "true"),
        ("gate_proofs", "require"),
        ("gate_invariants", "locked"),
        ("gate_proof_limit", "5"),
        ("issuer", "https://gate.example.org"),
        ("audience", "maps"),
        ("issuers", ISSUERS),
        ("sealing_key_file", "/run/secrets/key"),
        ("token_lifetime", "7"),
        ("session_lifetime", "61"),
        ("refresh_lifetime", "3600"),
        ("refresh_grace", "0"),
        ("jwks_max_age", "62"),
        ("key_publish_ahead", "123"),
        ("key_rotation_age", "123"),
        ("mint_limit_per_minute", "0"),
        ("request_limit_per_minute", "14"),
        ("download_limit_per_minute", "15"),
        ("evaluation_limit_per_minute", "16"),
        ("evaluation_records", "1/10"),
        ("trusted_proxies", "10.0.0.0/8,127.0.0.1/32"),
        ("forwarded_header", "forwarded"),
        (
            "forward_auth_paths",
            "/cogs/{dataset_id}.tif,/tiles/{dataset_id}/*",
        ),
        ("forward_auth_check", "signature"),
        (
            "allowed_origins",
            "https://maps.example.org,http://localhost:3000",
        ),
        ("request_timeout", "11"),
        ("download_timeout", "3600"),
        ("min_bytes_per_minute", "2048"),
        ("max_connections", "12"),
        ("shutdown_grace", "13"),
        ("log_format", "json"),
        ("log_level", "debug"),
    ];
    assert_eq!(values.len(), SETTINGS.len());
    let variables =
        values.map(|(name, value)| (format!("CEDARGATE_{}", name.to_uppercase()), value));
    let environment: Vec<_> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    let settings = TestConfig::new(&environment).settings();
    for ((name, value), (variable, _)) in values.iter().zip(&variables) {
        let row = row(&settings, name);
        let shown = match *name {
            "database_password" => "[redacted]",
            _ => value,
        };
        assert_eq!(row.value, shown, "{name}");
        assert_eq!(row.origin, Origin::Environment(variable.clone()));
    }
    assert_eq!(settings.mint_limit_per_minute, None);
    assert_eq!(settings.request_limit_per_minute, NonZeroU32::new(14));
    assert_eq!(settings.trusted_proxies.len(), 2);
}
