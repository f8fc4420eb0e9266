//! `cedargate catalog import-stac`: what a document makes of the catalog, and what people decided stays.

mod refusals;

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::cli::{CommandOutput, cedargate, repository};

const COG: &str = "image/tiff; application=geotiff; profile=cloud-optimized";

/// A folder with two COGs, and STAC documents beside them.
struct StacFolder(TempDir);

impl StacFolder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, demo) in [
            ("dem.tif", "jacksboro-fault-dem.cog.tif"),
            ("sea.tif", "salish-sea-topobathy.cog.tif"),
        ] {
            let demo = repository().join("demo").join(demo);
            std::fs::copy(demo, folder.path().join(name)).unwrap();
        }
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, document: &Value) {
        std::fs::write(self.path().join(name), document.to_string()).unwrap();
    }

    fn run(&self, arguments: &str) -> CommandOutput {
        let arguments: Vec<_> = arguments.split(' ').collect();
        cedargate(self.path(), &arguments, &[])
    }

    fn import(&self, arguments: &str) -> CommandOutput {
        self.run(&format!("catalog import-stac {arguments}"))
    }

    /// The totals of a successful import.
    fn imported(&self, arguments: &str) -> String {
        let done = self.import(arguments);
        assert_eq!(done.code, 0, "{}", done.messages);
        let totals = done.data.lines().rev().nth(1).unwrap();
        totals.split(", 0 removed").next().unwrap().to_owned()
    }

    fn refused(&self, arguments: &str) -> String {
        let done = self.import(arguments);
        assert_eq!(done.code, 1, "{}", done.data);
        assert!(
            done.messages.contains("hint: nothing was changed"),
            "{}",
            done.messages
        );
        done.messages
    }

    fn refused_with_hint(&self, arguments: &str) -> String {
        let done = self.import(arguments);
        assert_eq!(done.code, 1, "{}", done.data);
        assert!(
            done.messages.contains("hint: a COG is known by"),
            "{}",
            done.messages
        );
        done.messages
    }

    fn datasets(&self) -> Vec<Value> {
        let listed = self.run("dataset list --json");
        assert_eq!(listed.code, 0, "{}", listed.messages);
        serde_json::from_str(&listed.data).unwrap()
    }

    fn dataset(&self, title: &str) -> Value {
        let mut all = self.datasets();
        all.retain(|dataset| dataset["title"] == title);
        assert_eq!(all.len(), 1, "{title}");
        all.remove(0)
    }

    fn apply(&self, catalog: &str) {
        std::fs::write(self.path().join("catalog.toml"), catalog).unwrap();
        let applied = self.run("catalog apply catalog.toml");
        assert_eq!(applied.code, 0, "{}", applied.messages);
    }
}

fn item(id: &str, assets: &Value) -> Value {
    json!({
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": id,
        "collection": "relief",
        "geometry": null,
        "properties": {
            "datetime": "2024-05-01T00:00:00Z",
            "title": format!("Relief {id}"),
            "platform": "shuttle",
            "keywords": ["dem", "relief"],
            "gsd": 30,
        },
        "links": [],
        "assets": assets,
    })
}

fn one_cog(id: &str, href: &str) -> Value {
    item(
        id,
        &json!({
            "data": {"href": href, "type": COG, "roles": ["data"]},
            "thumbnail": {"href": "t.png", "type": "image/png", "roles": ["thumbnail"]},
        }),
    )
}

#[test]
fn an_item_becomes_a_private_dataset_with_its_title_file_and_tags() {
    let folder = StacFolder::new();
    folder.write("item.json", &one_cog("a", "./dem.tif"));
    let options = "--tag platform=platform --tag theme=keywords --tag gsd=gsd --tag none=missing";
    let totals = folder.imported(&format!("item.json {options}"));
    assert_eq!(totals, "1 created, 0 changed, 0 unchanged");
    let dataset = folder.dataset("Relief a");
    assert_eq!(dataset["visibility"], "private");
    assert_eq!(dataset["record_status"], "published");
    assert_eq!(dataset["file"]["name"], "dem.tif");
    assert_eq!(
        dataset["tags"],
        json!({"collection": ["relief"], "platform": ["shuttle"], "theme": ["dem", "relief"], "gsd": ["30"]})
    );
    let records = folder.run("audit export").data;
    assert!(
        records.contains("applied the catalog file item.json"),
        "{records}"
    );
}

#[test]
fn another_import_finds_the_datasets_again_and_changes_what_the_document_changed() {
    let folder = StacFolder::new();
    folder.write("item.json", &one_cog("a", "./dem.tif"));
    folder.imported("item.json --visibility public");
    let before = folder.dataset("Relief a");
    assert_eq!(
        folder.imported("item.json"),
        "0 created, 0 changed, 1 unchanged"
    );
    assert_eq!(folder.dataset("Relief a"), before);

    // The same Item elsewhere, in a collection, with another asset beside it: the dataset is the same one.
    let mut changed = one_cog("a", "../sea.tif");
    changed["assets"]["more"] = json!({"href": "../dem.tif", "type": COG});
    std::fs::create_dir(folder.path().join("new")).unwrap();
    let collection = json!({"type": "FeatureCollection", "features": [changed]});
    folder.write("new/items.json", &collection);
    let done = folder.import("new/items.json --files . --verbose");
    assert_eq!(done.code, 0, "{}", done.messages);
    assert!(done.data.contains("(title, file)"), "{}", done.data);
    assert!(
        done.data.contains("1 created, 1 changed, 0 unchanged"),
        "{}",
        done.data
    );
    let after = folder.dataset("Relief a: data");
    assert_eq!(after["id"], before["id"]);
    assert_eq!(after["visibility"], "public");
    assert_eq!(after["file"]["name"], "sea.tif");
    assert_eq!(folder.dataset("Relief a: more")["visibility"], "private");
}

#[test]
fn what_people_decided_about_a_dataset_stays_until_it_is_overwritten() {
    let folder = StacFolder::new();
    folder.write("item.json", &one_cog("a", "./dem.tif"));
    folder.imported("item.json --visibility public");
    let id = folder.dataset("Relief a")["id"]
        .as_str()
        .unwrap()
        .to_owned();
    folder.apply(&format!(
        "[[roles]]\nname = 'readers'\n[[users]]\nusername = 'olivia'\n[[users]]\nusername = 'mo'\n\
         [[datasets]]\nid = '{id}'\ntitle = 'Embargoed'\nvisibility = 'private'\nrecord_status = 'draft'\n\
         owner = 'olivia'\nfile = 'sea.tif'\nreader_roles = ['readers']\ntags = {{ embargo = ['yes'] }}\n"
    ));
    let done = folder.import("item.json --visibility public --status published --owner mo");
    assert_eq!(done.code, 0, "{}", done.messages);
    assert!(
        done.messages.contains("1 dataset kept another visibility"),
        "{}",
        done.messages
    );
    let kept = folder.dataset("Relief a");
    let decided = |dataset: &Value| {
        ["visibility", "record_status", "owner", "reader_roles"].map(|key| dataset[key].clone())
    };
    assert_eq!(
        decided(&kept),
        [
            json!("private"),
            json!("draft"),
            json!("olivia"),
            json!(["readers"])
        ]
    );
    assert_eq!(
        kept["tags"],
        json!({"collection": ["relief"], "embargo": ["yes"]})
    );
    assert_eq!(kept["file"]["name"], "dem.tif");

    // Without such options there is nothing to say about them.
    let silent = folder.import("item.json");
    assert_eq!((silent.code, silent.messages.as_str()), (0, ""));
    assert_eq!(
        folder.imported("item.json --visibility internal --overwrite"),
        "0 created, 1 changed, 0 unchanged"
    );
    let overwritten = folder.dataset("Relief a");
    assert_eq!(
        decided(&overwritten),
        [
            json!("internal"),
            json!("draft"),
            json!("olivia"),
            json!(["readers"])
        ]
    );
    assert_eq!(folder.import("item.json --overwrite").code, 2);
}

#[test]
fn several_cogs_of_an_item_are_a_dataset_each_unless_their_keys_are_named() {
    let folder = StacFolder::new();
    let assets = json!({
        "B01": {"href": "dem.tif", "type": COG, "title": "Band 1"},
        "B02": {"href": "sea.tif", "type": "image/tiff", "roles": ["data"]},
        "mask": {"href": "sea.tif", "type": "image/tiff"},
        "meta": {"href": "m.xml", "type": "application/xml", "roles": ["data"]},
        "preview": {"href": "dem.tif", "type": COG, "roles": ["thumbnail"]},
    });
    folder.write("item.json", &item("a", &assets));
    assert_eq!(
        folder.imported("item.json"),
        "2 created, 0 changed, 0 unchanged"
    );
    folder.dataset("Relief a: Band 1");
    folder.dataset("Relief a: B02");
    let of_keys = "item.json --asset mask --asset B02 --asset meta";
    assert_eq!(
        folder.imported(of_keys),
        "1 created, 0 changed, 1 unchanged"
    );
    let none = folder.refused_with_hint("item.json --asset meta --asset nothing");
    assert!(
        none.contains("it has no TIFF asset meta or nothing"),
        "{none}"
    );
    // Another namespace has other datasets.
    assert_eq!(
        folder.imported("item.json --namespace x"),
        "2 created, 0 changed, 0 unchanged"
    );
}

#[test]
fn items_without_a_cog_are_skipped_and_listed_and_alone_they_are_an_error() {
    let folder = StacFolder::new();
    let without = item(
        "b",
        &json!({"data": {"href": "x.laz", "type": "application/vnd.laszip"}}),
    );
    let twice = one_cog("a", "dem.tif");
    let features = [one_cog("a", "dem.tif"), without.clone(), twice];
    folder.write(
        "items.json",
        &json!({"type": "FeatureCollection", "features": features}),
    );
    let done = folder.import("items.json --json");
    let report: Value = serde_json::from_str(&done.data).unwrap();
    assert_eq!(
        (&report["items"], &report["datasets"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(
        report["skipped"],
        json!([
            {"item": "b", "collection": "relief", "reason": "none of its assets is a COG"},
            {"item": "a", "collection": "relief", "reason": "it was read before"},
        ])
    );
    let text = folder.import("items.json").data;
    assert!(
        text.contains("skipped    item     b  (none of its assets is a COG)"),
        "{text}"
    );
    assert!(
        text.ends_with("3 items read, 1 dataset, 2 items skipped\n"),
        "{text}"
    );
    folder.write("none.json", &without);
    let none = folder.refused_with_hint("none.json");
    assert!(
        none.contains("nothing to import in 1 item: none of its assets is a COG"),
        "{none}"
    );
    folder.write(
        "empty.json",
        &json!({"type": "FeatureCollection", "features": []}),
    );
    assert_eq!(
        folder.imported("empty.json"),
        "0 created, 0 changed, 0 unchanged"
    );
}

#[test]
fn a_dataset_that_somebody_else_made_under_the_id_is_not_filled_for_them() {
    let folder = StacFolder::new();
    folder.write("item.json", &one_cog("a", "dem.tif"));
    let dry = {
        folder.apply("[[roles]]\nname = 'readers'\n");
        folder.import("item.json --dry-run --verbose").data
    };
    let id = dry
        .split_whitespace()
        .find(|word| word.len() == 36)
        .unwrap();
    let run = |sql: String| {
        use sqlx::Connection;
        let url = format!(
            "sqlite://{}",
            folder.path().join("data/cedargate.db").display()
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut database = sqlx::SqliteConnection::connect(&url).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
                .execute(&mut database)
                .await
                .unwrap();
        });
    };
    folder.imported("item.json");
    assert_eq!(folder.dataset("Relief a")["id"], id);
    // As if it had been created with POST /admin/datasets.
    run("UPDATE datasets SET is_from_operator = 0, visibility = 'public'".to_owned());
    let refused = folder.refused("item.json --visibility restricted");
    assert!(
        refused.contains("was created by somebody else"),
        "{refused}"
    );
    assert!(refused.contains("run it again with --adopt"), "{refused}");
    let adopted = folder.imported("item.json --visibility restricted --adopt");
    assert_eq!(adopted, "0 created, 1 changed, 0 unchanged");
    assert_eq!(folder.dataset("Relief a")["visibility"], "restricted");
}
