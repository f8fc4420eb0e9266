//! Documents that are not imported: what is wrong is named, and nothing is changed.

use serde_json::{Value, json};

use super::{StacFolder, one_cog};

#[test]
fn an_error_names_the_item_and_the_member_and_nothing_is_changed() {
    let folder = StacFolder::new();
    let with = |pointer: &str, value: Value| {
        let mut item = one_cog("b", "dem.tif");
        *item.pointer_mut(pointer).unwrap() = value;
        item
    };
    let without_version = {
        let mut item = one_cog("b", "dem.tif");
        item.as_object_mut().unwrap().remove("stac_version");
        item
    };
    for (broken, expected) in [
        (
            json!(1),
            "items.json: `features[1]`: expected an object, found a number",
        ),
        (
            with("/type", json!("Feat")),
            "`features[1].type`: expected \"Feature\", found \"Feat\"",
        ),
        (
            with("/id", json!(7)),
            "`features[1].id`: expected a text, found a number",
        ),
        (
            with("/id", json!("")),
            "`features[1].id`: an id has 1 to 1024 bytes",
        ),
        (
            without_version,
            "`features[1].stac_version`: it is missing: this is a GeoJSON Feature",
        ),
        (
            with("/assets", json!([])),
            "items.json, item b: `assets`: expected an object, found a list",
        ),
        (
            with("/assets/data/href", json!(null)),
            "items.json, item b: `assets.data.href`: it is missing",
        ),
        (
            with("/assets/data/roles", json!("data")),
            "`assets.data.roles`: expected a list, found a text",
        ),
        (
            with("/properties/title", json!(["x"])),
            "item b: `properties.title`: expected a text, found a list",
        ),
        (
            with("/properties/platform", json!({})),
            "item b: `properties.platform`: a tag has texts",
        ),
        (
            with("/assets/data/href", json!("no.tif")),
            "item b: `assets.data.href`: cannot read",
        ),
        (
            with("/assets/data/href", json!("/etc/hostname")),
            "is outside the folder",
        ),
        (
            with("/assets/data/href", json!("../x/../../etc/hostname")),
            "item b: `assets.data.href`",
        ),
    ] {
        let features = [one_cog("a", "dem.tif"), broken];
        folder.write(
            "items.json",
            &json!({"type": "FeatureCollection", "features": features}),
        );
        let refused = folder.refused("items.json --tag platform=platform");
        assert!(refused.contains(expected), "{expected}\n{refused}");
    }
    // What is no TIFF is found before anything is stored.
    std::fs::write(folder.path().join("text.tif"), "text").unwrap();
    folder.write("item.json", &one_cog("b", "text.tif"));
    let refused = folder.refused("item.json");
    assert!(refused.contains("relief/b data text.tif"), "{refused}");
    assert_eq!(folder.run("dataset list --json").data.trim(), "[]");
}

#[test]
fn what_is_no_stac_document_is_named_as_what_it_is() {
    let folder = StacFolder::new();
    for (text, expected) in [
        ("{\"type\": \"Point\"}", "is JSON of the type \"Point\""),
        ("{}", "is JSON without a `type`"),
        ("3", "is JSON that is a number"),
        (
            "{\"type\": \"FeatureCollection\"}",
            "`features`: it is missing",
        ),
        ("<xml/>", "is not JSON: expected value at line 1 column 1"),
        ("", "is not JSON"),
    ] {
        std::fs::write(folder.path().join("x.json"), text).unwrap();
        let refused = folder.refused("x.json");
        assert!(refused.contains(expected), "{expected}\n{refused}");
    }
    for (source, expected) in [
        (
            "s3://bucket/item.json",
            "its scheme is none of https, http and file",
        ),
        (
            "https://u:p@x.example/item.json",
            "it has a user name or a password",
        ),
    ] {
        let refused = folder.import(source);
        assert_eq!(refused.code, 2);
        assert!(refused.messages.contains(expected), "{}", refused.messages);
    }
}

#[test]
fn two_items_that_would_be_one_dataset_are_an_error() {
    let folder = StacFolder::new();
    let features = [one_cog("a", "dem.tif"), one_cog("a", "sea.tif")];
    folder.write(
        "items.json",
        &json!({"type": "FeatureCollection", "features": features}),
    );
    let messages = folder.refused("items.json");
    for expected in [
        "item a: `id`: an Item with the same id",
        "dem.tif",
        "--namespace",
    ] {
        assert!(messages.contains(expected), "{messages}");
    }
}

#[test]
fn a_pipe_is_no_document() {
    let folder = StacFolder::new();
    let pipe = folder.path().join("pipe.json");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let messages = folder.refused("pipe.json");
    assert!(messages.contains("it is not a regular file"), "{messages}");
}

#[test]
fn a_document_commands_no_terminal() {
    let folder = StacFolder::new();
    folder.write(
        "item.json",
        &one_cog("a\u{1b}[31m\u{202e}", "%1b]0;x%07.tif"),
    );
    let messages = folder.refused("item.json");
    assert!(messages.contains(r"a\u{1b}[31m\u{202e}"), "{messages}");
    let is_command = |c: char| c != '\n' && c.is_control();
    assert!(!messages.contains(is_command), "{messages:?}");
}
