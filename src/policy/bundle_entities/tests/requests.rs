//! The entities of a request that brings some of its own.

use cedar_policy::{Context, Entities, Request};

use super::{load, uid};

#[test]
fn a_request_with_entities_of_its_own_has_those_of_the_bundle_under_them() {
    let bundle = load(
        r#"[
  {"uid": {"type": "Team", "id": "water"}},
  {"uid": {"type": "Team", "id": "rain"}, "parents": [{"type": "Team", "id": "water"}]},
  {"uid": {"type": "Person", "id": "ann"}, "attrs": {"level": "low"}, "parents": [{"type": "Team", "id": "rain"}]},
  {"uid": {"type": "Person", "id": "bob"}},
  {"uid": {"type": "Paper", "id": "p"}, "attrs": {"status": "new"}}
]"#,
    )
    .unwrap();
    let under = |delegate: Option<&str>, own: serde_json::Value| {
        let context = match delegate {
            Some(id) => serde_json::json!({"delegate": {"type": "Person", "id": id}}),
            None => serde_json::json!({}),
        };
        let action = uid("Action::\"review\"");
        let schema = Some(&bundle.schema);
        let context = Context::from_json_value(context, schema.map(|schema| (schema, &action)));
        let (ann, paper) = (uid("Person::\"ann\""), uid("Paper::\"p\""));
        let request = Request::new(ann, action, paper, context.unwrap(), schema).unwrap();
        let own = Entities::from_json_value(own, None).unwrap();
        let all = bundle.entities().under(&request, &own);
        all.map(|all| {
            let mut names: Vec<String> = all.iter().map(|it| it.uid().to_string()).collect();
            names.sort();
            let is_in = |one: &str, other: &str| all.is_ancestor_of(&uid(other), &uid(one));
            (names.join(" "), is_in("Person::\"ann\"", "Team::\"water\""))
        })
    };
    let entity = |kind: &str, id: &str, parents: &[&str]| {
        let parents = parents
            .iter()
            .map(|id| serde_json::json!({"type": "Team", "id": id}));
        serde_json::json!({"uid": {"type": kind, "id": id}, "attrs": {}, "parents": parents.collect::<Vec<_>>()})
    };
    let of = |entities: &[serde_json::Value]| serde_json::Value::from(entities.to_vec());
    let all = "Paper::\"p\" Person::\"ann\" Team::\"rain\" Team::\"water\"";
    assert_eq!(under(None, of(&[])).unwrap(), (all.to_owned(), true));
    let with_bob = "Paper::\"p\" Person::\"ann\" Person::\"bob\" Team::\"rain\" Team::\"water\"";
    assert_eq!(under(Some("bob"), of(&[])).unwrap().0, with_bob);
    // Its own entity counts, and that one's parents come from the bundle.
    let own = of(&[entity("Person", "ann", &[])]);
    assert_eq!(
        under(None, own).unwrap(),
        ("Paper::\"p\" Person::\"ann\"".to_owned(), false)
    );
    let own = of(&[entity("Person", "ann", &["rain"])]);
    assert_eq!(under(None, own).unwrap(), (all.to_owned(), true));
    // A team of its own, that is in nothing, is between the two.
    let own = of(&[entity("Team", "rain", &[])]);
    assert_eq!(
        under(None, own).unwrap(),
        (
            "Paper::\"p\" Person::\"ann\" Team::\"rain\"".to_owned(),
            false
        )
    );
    let own = of(&[entity("Team", "water", &["rain"])]);
    assert!(under(None, own).is_err());
}
