//! The OpenAPI contract of the accounts module.

use schemars::{JsonSchema, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    credentials::{NOT_FOUND as NO_CREDENTIALS, NewCredentials},
    keys::{self, NewKey},
    me,
    sign_in::{self, NewChallenge, Signed},
    stack_auth::{self, NewSignInCode, ProviderReturn, SignInCode},
    store::{ApiKey, SessionEntry},
};
use crate::{
    apps::{ExportedApp, ExportedAppMessage},
    chat::MessageView,
    clouds::{
        openapi::with_credentials,
        store::{ExportedCredentials, StoredCredentials},
    },
    deploy::ExportedDeployment,
    error::{Error, Resource, UpstreamKind},
    fleet::ExportedFleet,
    gateway::ExportedCall,
    generate::ExportedStartup,
    identity::{Scope, unavailable},
    openapi::{Count, DocumentedResponse, Id, Module, Operation, Time},
    projects::ExportedVersion,
    store::projects::Project,
    upstream::stack_auth::{second_factor, wrong_code},
};

const KEY: Id = Id("5c1f7e0a-3b92-4d68-9a47-e2d8c6b1f305");
const USER: &str = "8d2e6b4f-1a70-4c93-b5e8-0f9a7c3d2e61";
const NOON: Time = Time("2026-11-21T12:00:00.000Z");
const LATER: Time = Time("2026-12-21T12:00:00.000Z");
const WALLET: &str = "0x52908400098527886e0f7030069857d2e4169ee7";

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Challenge {
    /// The text that the wallet must sign by `personal_sign`, byte for byte.
    message: &'static str,
    nonce: &'static str,
    expires_at: Time,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Session {
    /// The session's credential, which is shown only here.
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
    /// The address, if Stack Auth has verified it.
    email: Option<&'static str>,
    name: Option<&'static str>,
    is_staff: bool,
    credential: CredentialKind,
    scopes: Vec<Scope>,
    /// What is left of today's quotas.
    limits: Vec<Limit>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
#[expect(dead_code, reason = "values of the schema that no example has")]
enum CredentialKind {
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
    /// The key, which is shown only here: null when the request is repeated with
    /// its `Idempotency-Key`.
    key: Option<&'static str>,
}

pub(crate) fn module() -> Module {
    Module {
        name: "accounts",
        about: "Sign-in with wallets, API keys, and the account itself.",
        operations: vec![
            challenge(),
            verify(),
            methods(),
            send_code(),
            sign_in_by_code(),
            exchange(),
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
    .answers(
        DocumentedResponse::new(200, "The text, which is valid for ten minutes and for one sign-in.")
            .json(challenge),
    )
}

fn verify() -> Operation {
    let session = Session { token: "hs_…", user_id: USER, wallet: WALLET, expires_at: LATER };
    Operation::new("POST /auth/wallet/verify", "accounts.verify", "Sign in with a wallet's signature")
        .about(
            "If the caller is signed in already, the wallet is linked to their account, with everything that belongs to it.",
        )
        .body::<Signed>(json!({ "message": "localhost:8787 wants you to sign in …", "signature": "0x…" }))
        .answers(DocumentedResponse::new(200, "A session.").json(session))
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

/// How one signs in by Stack Auth.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct StackAuthMethods {
    /// Whether by a code in a mail.
    email: bool,
    /// Whose pages one can sign in by.
    providers: Vec<&'static str>,
    /// Where a browser goes for that, with the provider's id after it (RFC 6749, with PKCE).
    authorize_url: &'static str,
    client_id: &'static str,
    /// The `client_secret` to send along, which is public.
    client_key: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Methods {
    wallet: bool,
    /// None where it is not configured.
    stack_auth: Option<StackAuthMethods>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SentCode {
    /// What belongs to the code of the mail.
    nonce: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct StackSession {
    /// A credential, shown here and nowhere else.
    token: &'static str,
    user_id: &'static str,
    expires_at: Time,
}

/// Stack Auth may be away, or refuse.
fn at_stack_auth(operation: Operation) -> Operation {
    let failures = [
        (UpstreamKind::Busy, "Stack Auth has a problem of its own (500)"),
        (UpstreamKind::Timeout, "Stack Auth did not answer in time"),
        (UpstreamKind::Unreachable, "Stack Auth cannot be reached, or broke off its answer"),
        (UpstreamKind::Unreadable, "Stack Auth answered something that is not its API's"),
        (UpstreamKind::Rejected, "Stack Auth refused (400)"),
    ];
    failures
        .into_iter()
        .fold(operation, |operation, (kind, detail)| operation.fails(Error::upstream(kind, detail)))
}

fn methods() -> Operation {
    let stack_auth = StackAuthMethods {
        email: true,
        providers: vec!["github"],
        authorize_url: "https://api.stack-auth.com/api/v1/auth/oauth/authorize/",
        client_id: "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        client_key: "pck_…",
    };
    let methods = Methods { wallet: true, stack_auth: Some(stack_auth) };
    at_stack_auth(Operation::new("GET /auth/methods", "accounts.methods", "Say how one signs in here"))
        .answers(DocumentedResponse::new(200, "The ways in.").json(methods))
}

fn send_code() -> Operation {
    let route = "POST /auth/stack/codes";
    at_stack_auth(Operation::new(route, "accounts.send_code", "Have Stack Auth send a code to sign in by"))
        .about("The mail has a link too, to the page that asks, with all of the code in its query. In production a recipient gets at most five mails a minute, and an address may ask for as many.")
        .body::<NewSignInCode>(json!({ "email": "ada@example.com" }))
        .answers(DocumentedResponse::new(200, "It is on its way.").json(SentCode { nonce: "l5b2…" }))
        .fails(stack_auth::not_configured())
        .fails(wrong_code())
}

fn by_code(operation: Operation) -> Operation {
    let session = StackSession { token: "hs_…", user_id: USER, expires_at: LATER };
    at_stack_auth(operation)
        .answers(DocumentedResponse::new(200, "A session.").json(session))
        .fails(stack_auth::not_configured())
        .fails(wrong_code())
        .fails(second_factor())
        .fails(unavailable())
}

fn sign_in_by_code() -> Operation {
    by_code(Operation::new("POST /auth/stack/sign-in", "accounts.sign_in", "Sign in with the code of a mail"))
        .body::<SignInCode>(json!({ "code": "A1B2C3", "nonce": "l5b2…" }))
}

fn exchange() -> Operation {
    let route = "POST /auth/stack/exchange";
    by_code(Operation::new(route, "accounts.exchange", "Sign in with what a provider's page came back with"))
        .body::<ProviderReturn>(json!({
        "code": "c0de", "codeVerifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "redirectUrl": "http://localhost:8787/",
    }))
}

fn logout() -> Operation {
    Operation::new("POST /auth/logout", "accounts.logout", "End the session of this request")
        .answers(DocumentedResponse::new(204, "It has ended."))
        .fails(sign_in::not_a_session())
}

fn list_sessions() -> Operation {
    Operation::new("GET /auth/sessions", "accounts.list_sessions", "List your sessions").paged(20).answers(
        DocumentedResponse::new(200, "Sessions, newest first, including ended ones.")
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
    .path("id", "The session.", KEY)
    .answers(DocumentedResponse::new(204, "It has ended."))
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
        credential: CredentialKind::Session,
        scopes: vec![Scope::ProjectsRead, Scope::Chat],
        limits: vec![limit],
    };
    Operation::new("GET /auth/me", "accounts.show", "Show the caller, and what is left of today's quotas")
        .answers(DocumentedResponse::new(200, "The caller.").json(me))
}

fn delete_me() -> Operation {
    with_credentials(Operation::new(
        "DELETE /auth/me",
        "accounts.delete",
        "Delete the account and everything that belongs to it",
    ))
    .about("Its live apps are taken down, and its credentials become invalid.")
    .query("confirm", "The id of the user, as `GET /auth/me` shows it.", json_schema!({ "type": "string" }))
    .answers(DocumentedResponse::new(204, "It is deleted."))
    .fails(me::unconfirmed())
}

/// All data of a user.
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
    apps: Vec<ExportedApp>,
    app_messages: Vec<ExportedAppMessage>,
    #[serde(flatten)]
    fleet: ExportedFleet,
    model_calls: Vec<ExportedCall>,
    /// The policies, as `GET /v1/guardrails` shows them.
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
        apps: vec![ExportedApp::example()],
        app_messages: vec![ExportedAppMessage::example()],
        fleet: ExportedFleet::example(),
        model_calls: vec![ExportedCall::example()],
        guardrails: Vec::new(),
        stored_completions: Vec::new(),
        dynamic_app_responses: Vec::new(),
    };
    Operation::new("GET /auth/export", "accounts.export", "Export all of your data")
        .about("Each list is newest first. A body that is cut off is incomplete.")
        .answers(
            DocumentedResponse::new(200, "All data of the caller.")
                .json(export)
                .with("Content-Disposition", "A file's name."),
        )
}

fn create_key() -> Operation {
    let created = CreatedKey { about: ApiKey::example(), key: Some("hk_live_…") };
    let created = DocumentedResponse::new(201, "The key.")
        .json(created)
        .with("Location", "The address of the key.")
        .leads_to(&["accounts.show_key", "accounts.revoke_key"], "id", "/id");
    Operation::new("POST /auth/keys", "accounts.create_key", "Make an API key")
        .about("Without `scopes` the key can do what is needed to build and run an app.")
        .body_read_by::<NewKey>(
            json!({ "name": "My program", "scopes": ["chat"], "expiresInDays": 30 }),
            |new| new.scopes().map(drop),
        )
        .answers(created)
        .fails(keys::scopes_exceed_credential())
}

fn list_keys() -> Operation {
    Operation::new("GET /auth/keys", "accounts.list_keys", "List your API keys").paged(20).answers(
        DocumentedResponse::new(200, "Keys, newest first, including revoked ones.")
            .json(vec![ApiKey::example()])
            .may_have("Link", "The next page, where there is one."),
    )
}

fn key_operation(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(route, id, summary).path("id", "The key.", KEY).fails(keys::NOT_FOUND)
}

fn show_key() -> Operation {
    key_operation("GET /auth/keys/{id}", "accounts.show_key", "Show an API key").answers(
        DocumentedResponse::new(200, "All of its data without the key itself.").json(ApiKey::example()),
    )
}

fn revoke_key() -> Operation {
    key_operation("DELETE /auth/keys/{id}", "accounts.revoke_key", "Revoke an API key")
        .about("Takes effect at once. Afterwards only the list shows the key.")
        .answers(DocumentedResponse::new(204, "The key is revoked."))
}

fn list_credentials() -> Operation {
    Operation::new(
        "GET /auth/credentials",
        "accounts.list_credentials",
        "List your credentials for clouds and providers of models",
    )
    .answers(
        DocumentedResponse::new(200, "The stored credentials, without their secrets.")
            .json(vec![StoredCredentials::example()]),
    )
}

fn credentials_operation(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(route, id, summary)
        .path("target", "A cloud, or a provider of models.", "cloudflare")
        .fails(NO_CREDENTIALS)
}

fn show_credentials() -> Operation {
    let route = "GET /auth/credentials/{target}";
    credentials_operation(
        route,
        "accounts.show_credentials",
        "Show your credentials for a cloud or a provider",
    )
    .answers(
        DocumentedResponse::new(200, "The credentials, without the secret.")
            .json(StoredCredentials::example()),
    )
}

fn keep_credentials() -> Operation {
    let route = "PUT /auth/credentials/{target}";
    credentials_operation(
        route,
        "accounts.keep_credentials",
        "Store credentials for your deployments to a cloud, or your key of a provider of models",
    )
    .about("They are encrypted, and replace earlier ones. No response ever shows the token.")
    .body::<NewCredentials>(json!({
        "token": "cloudflare-api-token",
        "accountId": "0123456789abcdef0123456789abcdef",
    }))
    .answers(DocumentedResponse::new(200, "They are stored.").json(StoredCredentials::example()))
}

fn forget_credentials() -> Operation {
    let route = "DELETE /auth/credentials/{target}";
    credentials_operation(
        route,
        "accounts.forget_credentials",
        "Delete your credentials for a cloud or a provider",
    )
    .about("Running deployments still use them.")
    .answers(DocumentedResponse::new(204, "They are gone."))
}
