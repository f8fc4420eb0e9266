//! Explaining over HTTP: what the policies in force say, why, and what of it is not for everybody.

use serde_json::{Value, json};

use crate::admin_users::{Desk, USERS};
use crate::audit::records;
use crate::server::{
    Answer, CATALOG, DRAFT, INTERNAL, PASSWORD, PRIVATE, PUBLIC, RESTRICTED, Server, UNKNOWN,
    WITHOUT_FILE, Wish,
};

const EXPLAIN: &str = "/admin/policies/explain";

impl Desk<'_> {
    async fn ask(&self, principal: &str, dataset_id: &str) -> Answer {
        let question = json!({"principal": principal, "action": "read", "dataset_id": dataset_id});
        self.post(EXPLAIN, question).await
    }

    async fn told(&self, principal: &str, dataset_id: &str) -> Value {
        let answer = self.ask(principal, dataset_id).await;
        assert_eq!(answer.status, 200, "{}", answer.told());
        answer.json()
    }

    async fn id(&self, username: &str) -> String {
        let path = self.user(username).await;
        path[USERS.len() + 1..].to_owned()
    }
}

#[tokio::test]
async fn a_decision_is_explained_with_the_policy_that_determined_it_and_with_near_misses() {
    let server = Server::start().await;
    let ada = Desk::of(&server, "ada").await;
    let told = ada.told("mo", RESTRICTED).await;
    let mo = ada.id("mo").await;
    assert_eq!(told["principal"], format!("User::\"{mo}\""));
    assert_eq!(told["username"], "mo");
    assert_eq!(told["dataset_id"], RESTRICTED);
    assert_eq!(told["title"], "Restricted");
    assert_eq!(told["is_permitted"], true);
    assert_eq!(told["max_ttl"], 120);
    assert_eq!(told["authentication"], "password");
    assert_eq!(told["mint"]["status"], 200);
    assert_eq!(
        told["withheld"],
        json!({"principal": false, "dataset": false, "errors": 0})
    );
    let policies = ada.get("/admin/policies").await.json();
    assert_eq!(told["revision"], policies["in_force"]["revision"]);
    let [determining] = &told["determining"].as_array().unwrap()[..] else {
        panic!("one policy permits: {told}")
    };
    assert_eq!(determining["id"], "shared-with-role");
    assert_eq!(determining["effect"], "permit");
    assert_eq!(
        determining["reason"],
        "The dataset is restricted, published and shared with a role of this user."
    );
    let file = ada.get("/admin/policies/files/shared.cedar").await.json();
    let text = file["text"].as_str().unwrap();
    let line = usize::try_from(determining["line"].as_u64().unwrap()).unwrap();
    let lines: Vec<&str> = text.lines().skip(line - 1).collect();
    assert_eq!(determining["file"], "shared.cedar");
    assert_eq!(determining["text"], lines.join("\n"));
    assert_eq!(determining["held"], determining["part_count"]);

    let near = told["others"].as_array().unwrap();
    let near = near.iter().find(|near| near["id"] == "shared-with-user");
    let near = near.unwrap();
    let line = near["parts"][0]["line"].as_u64().unwrap();
    assert_eq!(
        text.lines().nth(usize::try_from(line).unwrap() - 1),
        Some("  resource.reader_users.contains(principal)")
    );
    let expected = json!([{
        "text": "resource.reader_users.contains(principal)",
        "line": line,
        "is_negated": false,
        "outcome": "does_not_hold",
        "seen": [
            {"name": "resource.reader_users", "value": "[]", "is_withheld": false},
            {"name": "principal", "value": format!("User::\"{mo}\""), "is_withheld": false},
        ],
    }]);
    assert_eq!(near["parts"], expected);
    for same in [mo.clone(), format!("User::\"{mo}\"")] {
        assert_eq!(ada.told(&same, RESTRICTED).await["others"], told["others"]);
    }
}

#[tokio::test]
async fn what_the_mint_would_answer_is_what_it_answers() {
    let server = Server::start().await;
    let ada = Desk::of(&server, "ada").await;
    for person in ["anonymous", "olivia", "mo", "otto"] {
        let session = match person {
            "anonymous" => None,
            person => Some(server.session(person).await),
        };
        for dataset in [PUBLIC, INTERNAL, RESTRICTED, PRIVATE, DRAFT, WITHOUT_FILE] {
            let told = ada.told(person, dataset).await;
            let minted = server.mint(dataset, session.as_deref()).await;
            assert_eq!(told["mint"]["status"], minted.status, "{person} {dataset}");
        }
    }
    let disabled = ada.told("dora", PUBLIC).await;
    assert_eq!(disabled["is_disabled"], true);
    assert_eq!(disabled["is_permitted"], false);
    assert_eq!(disabled["mint"]["status"], 401);
    assert_eq!(disabled["determining"], json!([]));
    let discover = json!({"principal": "mo", "action": "discover", "dataset_id": PUBLIC});
    let told = ada.post(EXPLAIN, discover).await.json();
    assert_eq!(
        (&told["is_permitted"], &told["mint"]),
        (&json!(true), &Value::Null)
    );
}

#[tokio::test]
async fn a_change_is_explained_as_soon_as_it_is_made() {
    let server = Server::start().await;
    let ada = Desk::of(&server, "ada").await;
    assert_eq!(ada.told("otto", RESTRICTED).await["is_permitted"], false);
    let share = format!("/admin/datasets/{RESTRICTED}/shares/users/otto");
    let shared = ada.put(&share, json!({})).await;
    assert_eq!(shared.status, 200, "{}", shared.told());
    let told = ada.told("otto", RESTRICTED).await;
    assert_eq!(told["determining"][0]["id"], "shared-with-user");
}

#[tokio::test]
async fn only_whoever_may_see_the_policies_asks_and_it_is_on_record() {
    let server = Server::start().await;
    let question = json!({"principal": "anonymous", "action": "read", "dataset_id": PUBLIC});
    let nobody = server.post(EXPLAIN).json(&question);
    Answer::of(nobody).await.problem(401);
    let mo = Desk::of(&server, "mo").await;
    let denied = mo.post(EXPLAIN, question).await;
    let detail = mo.get("/admin/policies").await.problem(403);
    assert_eq!(denied.problem(403), detail);

    let ada = Desk::of(&server, "ada").await;
    ada.told("mo", PUBLIC).await;
    let mo = ada.id("mo").await;
    let records = records(&server).await;
    let asked =
        |record: &&Value| record["action"] == "view_policies" && !record["reason"].is_null();
    let asked = records.iter().rfind(asked).unwrap();
    assert_eq!(asked["event"], "administer");
    assert_eq!(asked["outcome"], "granted");
    assert_eq!(asked["dataset_id"], PUBLIC);
    assert_eq!(asked["resource_user_id"], mo);
    assert_eq!(asked["reason"], "asked what the policies say to read by mo");
}

/// One policy for each way to look at a user or a dataset, and some who may see one and not the other.
const LOOKS: &str = r#"
@id("admin") @reason("x")
permit (principal in Role::"admin", action, resource);
@id("authors") @reason("x")
permit (principal in Role::"author", action == Action::"view_policies", resource);
@id("people") @reason("x")
permit (principal in Role::"people", action in [Action::"view_policies", Action::"view_users"], resource)
unless { resource is User && resource in Role::"hidden" };
@id("keepers-look") @reason("x")
permit (principal in Role::"keeper", action in [Action::"view_policies", Action::"view_datasets"], resource);
@id("keepers") @reason("x")
permit (principal in Role::"keeper", action == Action::"administer", resource)
unless { resource.visibility == Visibility::"private" };
@id("discovery") @reason("x")
permit (principal, action == Action::"discover", resource)
when { resource.visibility != Visibility::"private" };

@id("scope") @reason("x")
permit (principal in Role::"elsewhere", action == Action::"read", resource);
@id("name") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { principal.username == "somebody" };
@id("claim") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { principal.hasTag("project") && principal.getTag("project").contains("x") };
@id("either") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { (if resource has owner then principal has issuer else false) || resource.reader_roles.contains(Role::"elsewhere") };
@id("reader") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { principal in resource.reader_roles };
@id("reader-user") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { resource.reader_users.contains(principal) };
@id("owner") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { resource has owner && resource.owner == principal };
@id("tag") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { resource.hasTag("state") && resource.getTag("state").contains("x") };
@id("circumstances") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { context.authentication == "issuer" };
@id("holds") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { principal.hasTag("project") && resource has owner && !(principal in Role::"elsewhere") };
@id("fails") @reason("x")
forbid (principal is User, action == Action::"read", resource)
when { resource.visibility == Visibility::"internal" && 9223372036854775807 + 1 > 0 };
"#;

/// What only those may read who may see the user.
const OF_USER: [&str; 4] = ["nathaniel", "secret-role", "secret-claim", "\"password\""];
/// What only those may read who may see the dataset whole.
const OF_DATASET: [&str; 3] = ["secret-reader", "secret-tag", "the owner's id"];

async fn looks() -> Server {
    let of_role = |role| {
        format!(
            "[[roles]]\nname = \"{role}\"\n[[users]]\nusername = \"of-{role}\"\n\
             password = \"{PASSWORD}\"\nroles = [\"{role}\"]\n"
        )
    };
    let added = [
        "author",
        "people",
        "keeper",
        "hidden",
        "secret-role",
        "secret-reader",
    ];
    let catalog = CATALOG.replace(
        "reader_roles = [\"hydrology\"]",
        "reader_roles = [\"secret-reader\"]\ntags = { state = [\"secret-tag\"] }",
    );
    let server = Server::wished(Wish {
        catalog: Some([&catalog, &*added.map(of_role).concat()].concat()),
        policies: Some(LOOKS),
        ..Wish::default()
    })
    .await;
    let ada = Desk::of(&server, "ada").await;
    let subject = json!({"username": "nathaniel", "roles": ["secret-role"],
        "claims": {"project": ["secret-claim"]}});
    let made = ada.post(USERS, subject).await;
    assert_eq!(made.status, 201, "{}", made.told());
    server
}

/// What was seen by the parts of all policies that an answer tells of.
fn seen(told: &Value) -> Vec<Value> {
    let policies = ["determining", "others"].map(|of| told[of].as_array().unwrap().clone());
    let parts = policies.into_iter().flatten();
    let parts = parts.flat_map(|policy| policy["parts"].as_array().unwrap().clone());
    parts
        .flat_map(|part| part["seen"].as_array().unwrap().clone())
        .collect()
}

#[tokio::test]
async fn values_are_told_only_to_those_who_may_see_whose_they_are() {
    let server = looks().await;
    let ada = Desk::of(&server, "ada").await;
    let (subject, owner) = (ada.id("nathaniel").await, ada.id("olivia").await);
    let whole = ada.told(&subject, RESTRICTED).await;
    for (who, sees_user, sees_dataset) in [
        ("ada", true, true),
        ("of-people", true, false),
        ("of-keeper", false, true),
        ("of-author", false, false),
    ] {
        let desk = Desk::of(&server, who).await;
        let answer = desk.ask(&subject, RESTRICTED).await;
        assert_eq!(answer.status, 200, "{who}: {}", answer.told());
        let (text, told) = (
            answer.told().replace(&owner, "the owner's id"),
            answer.json(),
        );
        for (secrets, is_told) in [(&OF_USER[..], sees_user), (&OF_DATASET, sees_dataset)] {
            for secret in secrets {
                assert_eq!(text.contains(secret), is_told, "{who} {secret}: {text}");
            }
        }
        assert_eq!(
            told["withheld"],
            json!({"principal": !sees_user, "dataset": !sees_dataset, "errors": 0})
        );
        assert_eq!(told["username"].is_string(), sees_user);
        assert_eq!(told["mint"].is_object(), sees_dataset);
        // What holds is told to all of them, and so is what was looked at; to whoever is withheld
        // something, also what was not come to.
        assert_eq!(told["determining"][0]["id"], "holds");
        let of = |told: &Value, member: &str| -> Vec<Value> {
            let all = seen(told).into_iter();
            all.map(|seen| seen[member].clone()).collect()
        };
        let names = of(&told, "name");
        assert!(of(&whole, "name").iter().all(|name| names.contains(name)));
        for seen in seen(&told) {
            let name = seen["name"].as_str().unwrap();
            let is_withheld = !sees_user
                && (name.contains("principal") || name == "context.authentication")
                || !sees_dataset && name.contains("resource");
            assert_eq!(seen["is_withheld"], is_withheld, "{who} {seen}");
            assert_eq!(seen["value"].is_null(), is_withheld, "{who} {seen}");
        }
    }
}

#[tokio::test]
async fn whoever_may_discover_without_signing_in_would_be_told_to_sign_in() {
    let server = looks().await;
    let ada = Desk::of(&server, "ada").await;
    assert_eq!(server.mint(RESTRICTED, None).await.status, 401);
    let told = ada.told("anonymous", RESTRICTED).await;
    assert_eq!(told["mint"]["status"], 401);
}

#[tokio::test]
async fn the_text_of_an_error_takes_the_right_to_see_both() {
    let server = looks().await;
    let ada = Desk::of(&server, "ada").await;
    let subject = ada.id("nathaniel").await;
    for (who, withheld) in [
        ("ada", 0),
        ("of-people", 1),
        ("of-keeper", 1),
        ("of-author", 1),
    ] {
        let told = Desk::of(&server, who).await.told(&subject, INTERNAL).await;
        assert_eq!(told["is_permitted"], false);
        assert_eq!(told["withheld"]["errors"], withheld, "{who}");
        assert_eq!(told["errors"].as_array().unwrap().len(), 1 - withheld);
        let others = told["others"].as_array().unwrap();
        let failing = others.iter().find(|policy| policy["id"] == "fails");
        let part = &failing.unwrap()["parts"][0];
        assert_eq!(part["outcome"], "cannot_be_evaluated");
        assert_eq!(part["error"].is_string(), withheld == 0, "{who} {part}");
    }
}

#[tokio::test]
async fn nobody_learns_by_asking_which_users_there_are() {
    let server = looks().await;
    let ada = Desk::of(&server, "ada").await;
    let same = async |desk: &Desk<'_>, known: &str, unknown: &str, status| {
        let known = desk.ask(known, PUBLIC).await;
        let unknown = desk.ask(unknown, PUBLIC).await;
        assert_eq!(known.problem(status), unknown.problem(status));
        assert_eq!(known.body, unknown.body);
        unknown.problem(status)
    };
    let (disabled, hidden) = (ada.id("dora").await, ada.id("of-hidden").await);
    let unknown = format!("{USERS}/{UNKNOWN}");
    let author = Desk::of(&server, "of-author").await;
    let as_elsewhere = author.get(&unknown).await.problem(403);
    assert_eq!(same(&author, "mo", "nobody", 403).await, as_elsewhere);
    assert_eq!(same(&author, &disabled, UNKNOWN, 403).await, as_elsewhere);
    let people = Desk::of(&server, "of-people").await;
    let as_elsewhere = people.get(&unknown).await.problem(404);
    assert_eq!(
        same(&people, "of-hidden", "nobody", 404).await,
        as_elsewhere
    );
    assert_eq!(same(&people, &hidden, UNKNOWN, 404).await, as_elsewhere);
    assert_eq!(people.told("dora", PUBLIC).await["is_disabled"], true);
}

#[tokio::test]
async fn nobody_learns_by_asking_which_datasets_there_are() {
    let server = looks().await;
    for (who, status) in [("of-author", 403), ("of-keeper", 404), ("of-people", 403)] {
        let desk = Desk::of(&server, who).await;
        let private = desk.ask("anonymous", PRIVATE).await;
        let unknown = desk.ask("anonymous", UNKNOWN).await;
        let path = format!("/admin/datasets/{UNKNOWN}");
        let as_elsewhere = desk.get(&path).await.problem(status);
        assert_eq!(private.problem(status), as_elsewhere, "{who}");
        assert_eq!(unknown.problem(status), as_elsewhere, "{who}");
        assert_eq!(private.body, unknown.body);
        desk.told("anonymous", RESTRICTED).await;
    }
}

#[tokio::test]
async fn a_question_that_cannot_be_read_or_is_about_nobody_is_refused() {
    let server = Server::start().await;
    let ada = Desk::of(&server, "ada").await;
    let good = json!({"principal": "mo", "action": "read", "dataset_id": PUBLIC,
        "address": "192.0.2.7", "time": "2026-03-01T12:00:00Z"});
    let told = ada.post(EXPLAIN, good.clone()).await.json();
    assert_eq!(told["address"], "192.0.2.7");
    assert_eq!(told["time"], "2026-03-01T12:00:00Z");
    for (field, value) in [
        ("authentication", json!("issuer")),
        ("principal", json!(null)),
        ("action", json!("view_users")),
        ("action", json!("")),
        ("dataset_id", json!("public")),
        ("address", json!("here")),
        ("address", json!("192.0.2.0/24")),
        ("time", json!("tomorrow")),
        ("time", json!(1_772_366_400)),
    ] {
        let mut question = good.clone();
        question[field] = value;
        ada.post(EXPLAIN, question).await.problem(422);
    }
    for principal in ["", "Mo", "User::\"mo\"", "Role::\"admin\""] {
        let mut question = good.clone();
        question["principal"] = principal.into();
        let field = ada.post(EXPLAIN, question).await.field(422);
        assert_eq!(field, "principal", "{principal}");
    }
    for unknown in ["nobody", UNKNOWN] {
        let detail = ada.ask(unknown, PUBLIC).await.problem(404);
        assert_eq!(detail, "there is no such user");
    }
    let detail = ada.ask("mo", UNKNOWN).await.problem(404);
    assert_eq!(detail, "there is no such dataset");
}

#[tokio::test]
async fn it_is_asked_from_here_and_now_unless_the_question_says_otherwise() {
    let server = Server::wished(Wish {
        policies: Some(
            r#"@id("admin") @reason("x") permit (principal in Role::"admin", action, resource);
            @id("here") @reason("x") permit (principal, action == Action::"read", resource)
            when { context.address.isLoopback() && context.time > datetime("2026-01-01") };"#,
        ),
        ..Wish::default()
    })
    .await;
    server.clock.advance(1);
    let ada = Desk::of(&server, "ada").await;
    let told = ada.told("anonymous", PRIVATE).await;
    assert_eq!(told["is_permitted"], true, "{told}");
    assert_eq!(told["address"], "127.0.0.1");
    for other in [
        json!({"address": "192.0.2.7"}),
        json!({"time": "2025-12-31T23:59:59Z"}),
    ] {
        let mut question =
            json!({"principal": "anonymous", "action": "read", "dataset_id": PRIVATE});
        question
            .as_object_mut()
            .unwrap()
            .extend(other.as_object().unwrap().clone());
        let told = ada.post(EXPLAIN, question).await.json();
        assert_eq!(told["is_permitted"], false, "{told}");
    }
}

#[tokio::test]
async fn an_answer_is_bounded_however_many_and_long_the_policies_are() {
    let many = (0..30).map(|number| {
        format!(
            "@id(\"p{number}\") @reason(\"x\") permit (principal, action == Action::\"read\", resource)\n\
             when {{ resource.title == \"{number}{}\" }};\n",
            "x".repeat(10_000)
        )
    });
    let policies = many.collect::<String>()
        + "@id(\"admin\") @reason(\"x\") permit (principal in Role::\"admin\", action, resource);";
    let server = Server::wished(Wish {
        policies: Some(policies.leak()),
        ..Wish::default()
    })
    .await;
    let ada = Desk::of(&server, "ada").await;
    let told = ada.told("mo", PUBLIC).await;
    assert_eq!(told["others"].as_array().unwrap().len(), 20);
    assert_eq!(told["left_off"], 11);
    for policy in told["others"].as_array().unwrap() {
        for text in [&policy["text"], &policy["parts"][0]["text"]] {
            assert!(text.as_str().unwrap().chars().count() <= 4_003);
        }
    }
}
