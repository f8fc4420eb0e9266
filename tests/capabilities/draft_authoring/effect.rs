//! The effect of a draft in sentences, over what its author may see.

use serde_json::json;

use super::{TestDraft, server_with_authors};
use crate::support::admin_client::AdminClient;
use crate::support::server::{PRIVATE, Server};

const PRIVATE_TO_HYDROLOGY: &str = "@id(\"hydrology\") @reason(\"x\")\npermit (principal in Role::\"hydrology\", \
                                    action == Action::\"read\", resource)\nwhen { resource.visibility == \
                                    Visibility::\"private\" };\n@id(\"nobody\") @reason(\"x\")\nforbid (principal in \
                                    Role::\"nobody\", action, resource);";

#[tokio::test]
async fn an_effect_says_who_gains_what_and_which_policies_change_nothing() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let draft = TestDraft::create(&ada, json!({"hydrology.cedar": PRIVATE_TO_HYDROLOGY})).await;
    let effect = ada.post(&draft.path("effect"), json!({})).await;
    assert_eq!(effect.status, 200, "{}", effect.text());
    let effect = effect.json();
    let mo = ada.user_id("mo").await;
    assert_eq!(effect["changed"], 1);
    assert_eq!(effect["is_cut"], false);
    assert_eq!(
        effect["groups"],
        json!([{
            "action": "read",
            "change": "gained",
            "sentence": "role hydrology (1 user) gains read on 1 dataset",
            "count": 1,
            "users": [{"id": mo, "username": "mo"}],
            "user_count": 1,
            "is_anonymous": false,
            "datasets": [{"id": PRIVATE, "title": "Private"}],
            "dataset_count": 1,
            "example": {"principal": mo, "dataset_id": PRIVATE},
        }])
    );
    let ineffective = &effect["ineffective"][0];
    assert_eq!(ineffective["id"], "nobody");
    let sentence = ineffective["sentence"].as_str().unwrap();
    assert!(
        sentence.starts_with("the new policy `nobody` changes nothing that is compared, because")
    );
    let text = effect["text"].as_str().unwrap();
    assert!(text.contains("role hydrology (1 user) gains read on 1 dataset:"));
    assert!(text.contains(sentence), "{text}");
    let nothing = TestDraft::create(&ada, json!({})).await;
    let effect = ada.post(&nothing.path("effect"), json!({})).await.json();
    assert_eq!(
        (&effect["changed"], &effect["groups"]),
        (&json!(0), &json!([]))
    );
}

#[tokio::test]
async fn an_effect_has_those_alone_whom_its_author_may_see() {
    let server = server_with_authors().await;
    let author = AdminClient::sign_in(&server, "of-author").await;
    let all = "@id(\"all\") @reason(\"x\") permit (principal, action, resource);";
    let draft = TestDraft::create(&author, json!({"all.cedar": all})).await;
    let effect = author.post(&draft.path("effect"), json!({})).await;
    let text = effect.text();
    for hidden in ["Internal", "Restricted", "Private", "olivia", "otto", "ada"] {
        assert!(!text.contains(hidden), "{text}");
    }
    let effect = effect.json();
    assert_eq!(effect["groups"].as_array().unwrap().len(), 3);
    for group in effect["groups"].as_array().unwrap() {
        assert_eq!(
            (&group["user_count"], &group["dataset_count"]),
            (&json!(1), &json!(3))
        );
        assert_eq!(group["is_anonymous"], true);
    }
}
