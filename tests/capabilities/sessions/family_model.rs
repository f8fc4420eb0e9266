//! The refresh tokens of one session against a model of them: random refreshes with any token ever issued, on
//! two replicas, while the clock advances, until a logout or a new password.
//!
//! The model knows the rules as the documentation states them, and nothing of how they are stored.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::eventually;
use crate::support::server::Server;

use super::{log_in, logout, me, refresh, text};

const GRACE_MILLIS: i64 = 10_000;

#[derive(Clone, Debug)]
enum Step {
    /// A refresh with one of the tokens, at one of the replicas.
    Refresh(prop::sample::Index, bool),
    /// So many seconds pass.
    Wait(i64),
    /// A logout with one of the tokens.
    Logout(prop::sample::Index),
    /// The operator disables the user and enables it again.
    Disable,
}

fn some_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (any::<prop::sample::Index>(), any::<bool>())
            .prop_map(|(token, is_elsewhere)| Step::Refresh(token, is_elsewhere)),
        5 => (0..=12_i64).prop_map(Step::Wait),
        1 => any::<prop::sample::Index>().prop_map(Step::Logout),
        1 => Just(Step::Disable),
    ]
}

/// A refresh token and when it was first used, in milliseconds of the model's time.
struct ModelToken {
    text: String,
    spent_at: Option<i64>,
}

struct ModelSession {
    tokens: Vec<ModelToken>,
    now: i64,
    has_ended: bool,
}

impl ModelSession {
    /// Whether a refresh with a token gives another.
    fn refresh(&mut self, index: usize) -> bool {
        if self.has_ended {
            return false;
        }
        let token = &mut self.tokens[index];
        let spent_at = *token.spent_at.get_or_insert(self.now);
        self.has_ended = self.now - spent_at > GRACE_MILLIS;
        !self.has_ended
    }
}

async fn run(server: &Server, replica: &Server, steps: Vec<Step>) {
    // Whole seconds, because first uses are stored as such.
    server
        .clock
        .advance(1000 - server.clock.unix_millis().rem_euclid(1000));
    let first = log_in(server, "otto").await;
    let mut session = text(&first, "access_token").to_owned();
    let mut model = ModelSession {
        tokens: vec![ModelToken {
            text: text(&first, "refresh_token").to_owned(),
            spent_at: None,
        }],
        now: 0,
        has_ended: false,
    };
    for step in steps {
        match &step {
            Step::Refresh(token, is_elsewhere) => {
                let index = token.index(model.tokens.len());
                let server = if *is_elsewhere { replica } else { server };
                let response = refresh(server, &model.tokens[index].text).await;
                let is_given = model.refresh(index);
                assert_eq!(
                    response.status,
                    if is_given { 200 } else { 401 },
                    "{step:?}"
                );
                if is_given {
                    let tokens = response.json();
                    text(&tokens, "access_token").clone_into(&mut session);
                    let text = text(&tokens, "refresh_token").to_owned();
                    assert!(model.tokens.iter().all(|token| token.text != text));
                    model.tokens.push(ModelToken {
                        text,
                        spent_at: None,
                    });
                }
            }
            Step::Wait(seconds) => {
                server.clock.advance(seconds * 1000);
                model.now += seconds * 1000;
            }
            Step::Logout(token) => {
                let index = token.index(model.tokens.len());
                assert_eq!(logout(server, &model.tokens[index].text).await.status, 204);
                model.has_ended = true;
            }
            Step::Disable => {
                for is_disabled in [true, false] {
                    let catalog =
                        format!("[[users]]\nusername = \"otto\"\ndisabled = {is_disabled}\n");
                    server.apply(&catalog).await;
                }
                model.has_ended = true;
            }
        }
        let expected = if model.has_ended { 401 } else { 200 };
        for server in [server, replica] {
            eventually(async || me(server, &session).await.status == expected).await;
        }
    }
}

#[test]
fn the_tokens_of_a_session_follow_the_model() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let (server, replica) = runtime.block_on(async {
        let server = Server::start().await;
        let replica = server.replica().await;
        (server, replica)
    });
    let mut runner = TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&prop::collection::vec(some_step(), 1..16), |steps| {
            runtime.block_on(run(&server, &replica, steps));
            Ok(())
        })
        .unwrap();
}
