//! The facts of all datasets, as far as whole datasets have them.

use cedargate::domain::dataset::Dataset;
use cedargate::storage::{Database, DatasetColumns};

/// The facts are the same as what the whole catalog has, without files, and without the columns that are left out.
pub(super) async fn check_facts(database: &Database, datasets: &[Dataset]) {
    for (tags, attributes) in [(true, true), (true, false), (false, true), (false, false)] {
        let columns = DatasetColumns { tags, attributes };
        let facts = database.read_dataset_facts(columns).await.unwrap();
        let expected = datasets.iter().cloned().map(|mut dataset| {
            dataset.file = None;
            if !tags {
                dataset.tags.clear();
            }
            if !attributes {
                dataset.attributes.clear();
            }
            dataset
        });
        assert_eq!(facts, expected.collect::<Vec<_>>());
    }
}
