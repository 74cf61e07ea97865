//! What the accounts answer.

use schemars::{JsonSchema, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    credentials::{NOT_FOUND as NO_CREDENTIALS, NewCredentials},
    keys::{self, NewKey},
    me,
    sign_in::{self, NewChallenge, Signed},
    store::{ApiKey, SessionEntry},
};
use crate::{
    chat::MessageView,
    clouds::{
        openapi::with_credentials,
        store::{ExportedCredentials, StoredCredentials},
    },
    deploy::ExportedDeployment,
    error::{Error, Resource},
    gateway::ExportedCall,
    generate::ExportedStartup,
    identity::Scope,
    openapi::{Answer, Count, Id, Module, Operation, Time},
    projects::ExportedVersion,
    store::projects::Project,
};

const KEY: Id = Id("5c1f7e0a-3b92-4d68-9a47-e2d8c6b1f305");
const USER: &str = "8d2e6b4f-1a70-4c93-b5e8-0f9a7c3d2e61";
const NOON: Time = Time("2026-11-21T12:00:00.000Z");
const LATER: Time = Time("2026-12-21T12:00:00.000Z");
const WALLET: &str = "0x52908400098527886e0f7030069857d2e4169ee7";

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Challenge {
    /// What the wallet is to sign by `personal_sign`, byte for byte.
    message: &'static str,
    nonce: &'static str,
    expires_at: Time,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Session {
    /// A credential, shown here and nowhere else.
    token: &'static str,
    user_id: &'static str,
    wallet: &'static str,
    expires_at: Time,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Me {
    id: &'static str,
    wallet: Option<&'static str>,
    stack_id: Option<&'static str>,
    /// Only one that Stack Auth has verified.
    email: Option<&'static str>,
    name: Option<&'static str>,
    is_staff: bool,
    credential: Proof,
    scopes: Vec<Scope>,
    /// What is left of today, of each quota that has a limit.
    limits: Vec<Limit>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
#[expect(dead_code, reason = "values of the schema that no example has")]
enum Proof {
    Development,
    Key,
    Session,
    StackAuth,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Limit {
    name: &'static str,
    limit: Count,
    used: Count,
    remaining: Count,
    resets_at: Time,
}

#[derive(Debug, Serialize, JsonSchema)]
struct CreatedKey {
    #[serde(flatten)]
    about: ApiKey,
    /// The key, shown here and nowhere else: null when the request is repeated
    /// with its `Idempotency-Key`.
    key: Option<&'static str>,
}

pub(crate) fn module() -> Module {
    Module {
        name: "accounts",
        about: "Who is calling: wallets, API keys, and the account itself.",
        operations: vec![
            challenge(),
            verify(),
            logout(),
            list_sessions(),
            end_session(),
            show_me(),
            delete_me(),
            export(),
            create_key(),
            list_keys(),
            show_key(),
            revoke_key(),
            list_credentials(),
            show_credentials(),
            keep_credentials(),
            forget_credentials(),
        ],
    }
}

fn challenge() -> Operation {
    let challenge = Challenge {
        message: "localhost:8787 wants you to sign in with your Ethereum account:\n0x5290…",
        nonce: "f3c1a9e07b5d4286a1c0e9d8b7f6a5c4",
        expires_at: NOON,
    };
    Operation::new(
        "POST /auth/wallet/challenge",
        "accounts.challenge",
        "Ask for a text to sign (EIP-4361, CAIP-122)",
    )
    .body_read_by::<NewChallenge>(json!({ "address": "0x52908400098527886E0F7030069857D2E4169EE7" }), |new| {
        new.address().map(drop)
    })
    .answers(Answer::new(200, "The text, which is good for ten minutes and for one sign-in.").json(challenge))
}

fn verify() -> Operation {
    let session = Session { token: "hs_…", user_id: USER, wallet: WALLET, expires_at: LATER };
    Operation::new("POST /auth/wallet/verify", "accounts.verify", "Sign in with a wallet's signature")
        .about(
            "A user who is signed in otherwise gets the wallet into their account, with all that is its own.",
        )
        .body::<Signed>(json!({ "message": "localhost:8787 wants you to sign in …", "signature": "0x…" }))
        .answers(Answer::new(200, "A session.").json(session))
        .fails(Error::Unauthorized(
            "Wallet sign-in refused: the message has expired: ask for a new one".into(),
        ))
        .fails(Error::InsufficientScope(
            "A wallet is linked by a user who is signed in, not by an API key".into(),
        ))
        .fails(Error::Conflict {
            code: "wallet_not_linked",
            detail: "This account has another wallet already".into(),
        })
        .fails(Error::NotFound(Resource::Account))
}

fn logout() -> Operation {
    Operation::new("POST /auth/logout", "accounts.logout", "End the session that asks for it")
        .answers(Answer::new(204, "It has ended."))
        .fails(sign_in::not_a_session())
}

fn list_sessions() -> Operation {
    Operation::new("GET /auth/sessions", "accounts.list_sessions", "List your sessions").paged(20).answers(
        Answer::new(200, "Sessions, newest first, ended ones too.")
            .json(vec![SessionEntry::example()])
            .may_have("Link", "The next page, where there is one."),
    )
}

fn end_session() -> Operation {
    Operation::new(
        "DELETE /auth/sessions/{id}",
        "accounts.end_session",
        "End a session, wherever it is in use",
    )
    .path("id", "Of the session.", KEY)
    .answers(Answer::new(204, "It has ended."))
    .fails(sign_in::SESSION_NOT_FOUND)
}

fn show_me() -> Operation {
    let limit =
        Limit { name: "chat-day", limit: Count(200), used: Count(3), remaining: Count(197), resets_at: NOON };
    let me = Me {
        id: USER,
        wallet: Some(WALLET),
        stack_id: None,
        email: None,
        name: None,
        is_staff: false,
        credential: Proof::Session,
        scopes: vec![Scope::ProjectsRead, Scope::Chat],
        limits: vec![limit],
    };
    Operation::new("GET /auth/me", "accounts.show", "Say who is calling, and what is left of today")
        .answers(Answer::new(200, "The caller.").json(me))
}

fn delete_me() -> Operation {
    with_credentials(Operation::new(
        "DELETE /auth/me",
        "accounts.delete",
        "Delete the account and all that is its own",
    ))
    .about("Its live apps go down, and its credentials are good no longer.")
    .query("confirm", "The id of the user, as `GET /auth/me` tells it.", json_schema!({ "type": "string" }))
    .answers(Answer::new(204, "It is deleted."))
    .fails(me::unconfirmed())
}

/// All that is a user's.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Export {
    user: Map<String, Value>,
    keys: Vec<ApiKey>,
    sessions: Vec<SessionEntry>,
    projects: Vec<Project>,
    versions: Vec<ExportedVersion>,
    credentials: Vec<ExportedCredentials>,
    messages: Vec<MessageView>,
    deployments: Vec<ExportedDeployment>,
    startups: Vec<ExportedStartup>,
    apps: Vec<Map<String, Value>>,
    app_messages: Vec<Map<String, Value>>,
    fleet_deployments: Vec<Map<String, Value>>,
    machines: Vec<Map<String, Value>>,
    uptime: Vec<Map<String, Value>>,
    payments: Vec<Map<String, Value>>,
    model_calls: Vec<ExportedCall>,
    guardrails: Vec<Map<String, Value>>,
    stored_completions: Vec<Map<String, Value>>,
    dynamic_app_responses: Vec<Map<String, Value>>,
}

fn export() -> Operation {
    let export = Export {
        user: Map::from_iter([("id".to_owned(), json!(USER))]),
        keys: vec![ApiKey::example()],
        sessions: vec![SessionEntry::example()],
        projects: vec![Project::example()],
        versions: vec![ExportedVersion::example()],
        credentials: vec![ExportedCredentials::example()],
        messages: vec![MessageView::example()],
        deployments: vec![ExportedDeployment::example()],
        startups: vec![ExportedStartup::example()],
        apps: Vec::new(),
        app_messages: Vec::new(),
        fleet_deployments: Vec::new(),
        machines: Vec::new(),
        uptime: Vec::new(),
        payments: Vec::new(),
        model_calls: vec![ExportedCall::example()],
        guardrails: Vec::new(),
        stored_completions: Vec::new(),
        dynamic_app_responses: Vec::new(),
    };
    Operation::new("GET /auth/export", "accounts.export", "Take all that is yours along")
        .about("Each list is newest first. A body that breaks off is not all of it.")
        .answers(
            Answer::new(200, "All that is the caller's.")
                .json(export)
                .with("Content-Disposition", "A file's name."),
        )
}

fn create_key() -> Operation {
    let created = CreatedKey { about: ApiKey::example(), key: Some("hk_live_…") };
    let created = Answer::new(201, "The key.").json(created).with("Location", "Where it is shown.").leads_to(
        &["accounts.show_key", "accounts.revoke_key"],
        "id",
        "/id",
    );
    Operation::new("POST /auth/keys", "accounts.create_key", "Make an API key")
        .about("Without `scopes` it may what building and running an app takes.")
        .body_read_by::<NewKey>(
            json!({ "name": "My program", "scopes": ["chat"], "expiresInDays": 30 }),
            |new| new.scopes().map(drop),
        )
        .answers(created)
        .fails(keys::too_much())
}

fn list_keys() -> Operation {
    Operation::new("GET /auth/keys", "accounts.list_keys", "List your API keys").paged(20).answers(
        Answer::new(200, "Keys, newest first, revoked ones too.")
            .json(vec![ApiKey::example()])
            .may_have("Link", "The next page, where there is one."),
    )
}

fn of_key(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(route, id, summary).path("id", "Of the key.", KEY).fails(keys::NOT_FOUND)
}

fn show_key() -> Operation {
    of_key("GET /auth/keys/{id}", "accounts.show_key", "Show an API key")
        .answers(Answer::new(200, "All of it but the key itself.").json(ApiKey::example()))
}

fn revoke_key() -> Operation {
    of_key("DELETE /auth/keys/{id}", "accounts.revoke_key", "Revoke an API key")
        .about("At once. It is found no longer, but stays in the list.")
        .answers(Answer::new(204, "It is good no longer."))
}

fn list_credentials() -> Operation {
    Operation::new(
        "GET /auth/credentials",
        "accounts.list_credentials",
        "List your credentials for clouds and providers of models",
    )
    .answers(
        Answer::new(200, "Those that are stored, without their secrets.")
            .json(vec![StoredCredentials::example()]),
    )
}

fn of_credentials(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(route, id, summary)
        .path("target", "Where they are for: a cloud, or a provider of models.", "cloudflare")
        .fails(NO_CREDENTIALS)
}

fn show_credentials() -> Operation {
    let route = "GET /auth/credentials/{target}";
    of_credentials(route, "accounts.show_credentials", "Show your credentials for a cloud or a provider")
        .answers(Answer::new(200, "All but the secret.").json(StoredCredentials::example()))
}

fn keep_credentials() -> Operation {
    let route = "PUT /auth/credentials/{target}";
    of_credentials(
        route,
        "accounts.keep_credentials",
        "Store credentials for your deployments to a cloud, or your key of a provider of models",
    )
    .about("Sealed, in place of those before them. No answer ever shows the token.")
    .body::<NewCredentials>(json!({
        "token": "cloudflare-api-token",
        "accountId": "0123456789abcdef0123456789abcdef",
    }))
    .answers(Answer::new(200, "They are stored.").json(StoredCredentials::example()))
}

fn forget_credentials() -> Operation {
    let route = "DELETE /auth/credentials/{target}";
    of_credentials(route, "accounts.forget_credentials", "Delete your credentials for a cloud or a provider")
        .about("What is under way goes on by them.")
        .answers(Answer::new(204, "They are gone."))
}
