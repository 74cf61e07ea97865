//! THE table: every route with its dialect, access rule, handler and limits. Also every other list
//! over the modules. This is the only file that knows every module.

use std::{pin::Pin, sync::LazyLock};

use futures::Future;
use worker::Env;

#[cfg(test)]
use crate::openapi;
use crate::{
    accounts, admin, apps, audit, chat,
    clouds::{self, Cloud},
    deploy, discovery, docs,
    fleet::{self, deployments, heartbeat, payments, workers},
    gateway::{self, dynamic_apps, stored, tools},
    generate,
    http::{
        self,
        modules::Modules,
        problem::PROBLEM,
        route::{Route, Router, routes},
    },
    identity, jobs, metrics, models, projects, root, skills, store, upstream,
};

pub(crate) static ROUTES: &[Route] = routes! {
    PROBLEM {
        Public GET "/" => root::show, uncounted;
        Public GET "/console/{file}" => root::console_file, uncounted;
        Public GET "/health" => root::health, uncounted;
        Public GET "/openapi.json" => docs::openapi;
        Public GET "/docs" => docs::file;
        Public GET "/docs.css" => docs::file;
        Public GET "/docs.js" => docs::file;

        Public GET "/ready" => root::ready;
        Operator GET "/metrics" => metrics::show;

        Public POST "/auth/wallet/challenge" => accounts::sign_in::challenge;
        Public POST "/auth/wallet/verify" => accounts::sign_in::verify;
        Public GET "/auth/methods" => accounts::stack_auth::methods;
        Public POST "/auth/stack/codes" => accounts::stack_auth::send;
        Public POST "/auth/stack/sign-in" => accounts::stack_auth::sign_in;
        Public POST "/auth/stack/exchange" => accounts::stack_auth::exchange;
        User POST "/auth/logout" => accounts::sign_in::logout;
        User GET "/auth/me" => accounts::me::show;
        Scope(Account) GET "/auth/sessions" => accounts::sign_in::sessions;
        Scope(Account) DELETE "/auth/sessions/{id}" => accounts::sign_in::end_session;
        Scope(Account) DELETE "/auth/me" => accounts::me::delete;
        Scope(Account) GET "/auth/export" => accounts::me::export;
        Scope(Account) POST "/auth/keys" => accounts::keys::create;
        Scope(Account) GET "/auth/keys" => accounts::keys::list;
        Scope(Account) GET "/auth/credentials" => accounts::credentials::list;
        Scope(Account) GET "/auth/credentials/{target}" => accounts::credentials::show;
        Scope(Account) PUT "/auth/credentials/{target}" => accounts::credentials::keep;
        Scope(Account) DELETE "/auth/credentials/{target}" => accounts::credentials::forget;
        Scope(Account) GET "/auth/keys/{id}" => accounts::keys::show;
        Scope(Account) DELETE "/auth/keys/{id}" => accounts::keys::revoke;

        Scope(ProjectsWrite) POST "/api/projects" => projects::create;
        Scope(ProjectsRead) GET "/api/projects" => projects::list;
        Scope(ProjectsRead) GET "/api/projects/{id}" => projects::show;
        Scope(ProjectsWrite) PATCH "/api/projects/{id}" => projects::update;
        Scope(ProjectsWrite) DELETE "/api/projects/{id}" => projects::delete;
        Scope(ProjectsRead) GET "/api/projects/{id}/versions" => projects::versions;
        Scope(ProjectsRead) GET "/api/projects/{id}/versions/{version}" => projects::version;
        Scope(ProjectsWrite) POST "/api/projects/{id}/rollback" => projects::rollback;
        Scope(Deploy) GET "/api/projects/{id}/deployments" => deploy::list;
        Scope(ProjectsWrite) POST "/api/projects/{id}/preview" => deploy::preview::create;

        Scope(Chat) POST "/api/chat" => chat::stream [chat::keys_of_token], pictures;
        Scope(Chat) GET "/api/chat/{id}" => chat::history;
        Scope(Chat) POST "/api/chat/{id}/stop" => chat::stop;

        Scope(Deploy) POST "/api/deploy" => deploy::create;
        Scope(Deploy) GET "/api/deploy/{id}" => deploy::show;
        Scope(Deploy) DELETE "/api/deploy/{id}" => deploy::undeploy::start;
        Scope(Deploy) GET "/api/deploy/{id}/stream" => deploy::stream;
        Scope(Deploy) POST "/api/deploy/{id}/rollback" => deploy::roll_back;
        Public GET "/p/{slug}" => deploy::hosting::redirect, uncounted;
        Public GET "/p/{slug}/" => deploy::hosting::sandboxed, uncounted;
        Public GET "/p/{slug}/{*path}" => deploy::hosting::sandboxed, uncounted;

        Public GET "/api/discovery" => discovery::list;
        Public GET "/api/discovery/{id}" => discovery::show;
        Scope(ProjectsWrite) POST "/api/discovery/{id}/remix" => discovery::remix;

        Public GET "/api/skillsmp" => skills::list;
        Public GET "/api/skillsmp/skills" => skills::list_of_source;
        Public GET "/api/skillsmp/skills/search" => skills::list_of_source;
        Public GET "/api/skillsmp/skills/{id}" => skills::show;
        Public GET "/api/skillsmp/categories" => skills::categories;
        Public GET "/api/skillsmp/category/{category}" => skills::in_category;
        Public GET "/api/skillsmp/{id}" => skills::show;
        Public POST "/api/skillsmp/{id}/install" => skills::install;

        Staff GET "/admin/jobs" => admin::jobs;
        Staff GET "/admin/dead-letters" => admin::dead_letters;
        Operator POST "/admin/dead-letters/{id}/redrive" => admin::redrive;
        Staff GET "/admin/audit" => admin::audit_log;
        Operator GET "/admin/audit/verify" => admin::verify_audit_log;

        Operator GET "/admin/users/{id}" => apps::staff::show_user;
        Operator PUT "/admin/users/{id}" => apps::staff::set_user;

        Public GET "/api/setup" => fleet::setup::show;

        Public GET "/status" => root::health;
        Public GET "/tools" => tools::list;
        Public GET "/dynamic-apps" => dynamic_apps::list;
        Public GET "/dynamic-apps/{id}" => dynamic_apps::show;
        Scope(Gateway) POST "/dynamic-apps/{id}/execute" => dynamic_apps::execute;
        Scope(Gateway) GET "/dynamic-apps/responses" => dynamic_apps::responses;
        Scope(Gateway) GET "/dynamic-apps/responses/{id}" => dynamic_apps::response;
    }
    apps::DIALECT {
        Scope(Chat) POST "/message" => apps::message::send;
        User GET "/message-limit" => apps::limits::show;
        Scope(ProjectsRead) GET "/apps" => apps::app::list;
        Scope(ProjectsRead) GET "/apps/{id}" => apps::app::show;
        Scope(ProjectsWrite) DELETE "/apps/{id}" => apps::app::delete;
        Scope(ProjectsRead) GET "/apps/{id}/history" => apps::app::history;
        Scope(ProjectsRead) GET "/apps/{id}/events" => apps::follow::events;
        Scope(ProjectsRead) GET "/apps/{id}/read-url" => apps::files::read_url;
        Public GET "/apps/{id}/archive" => apps::files::download;
        Public PUT "/apps/{id}/archive" => apps::files::upload, archives;
        Scope(Chat) POST "/apps/{id}/stop" => apps::message::stop;
        Scope(ProjectsWrite) POST "/apps/{id}/pull" => apps::github::pull;
        Scope(ProjectsWrite) POST "/github/user/create-repo" => apps::github::create_of_user;
        Scope(ProjectsWrite) POST "/github/org/create-repo" => apps::github::create_of_organisation;
        Scope(ProjectsWrite) POST "/github/user/initial-commit" => apps::github::initial_commit_of_user;
        Scope(ProjectsWrite) POST "/github/org/initial-commit" => apps::github::initial_commit_of_organisation;
        Scope(ProjectsWrite) POST "/github/user/commit" => apps::github::commit_of_user;
        Scope(ProjectsWrite) POST "/github/org/commit" => apps::github::commit_of_organisation;
        Scope(Deploy) GET "/deployment-status/{id}" => apps::live::show;
        User GET "/auth/is-neon-employee" => apps::staff::is_employee;
        User GET "/auth/is-privileged-user" => apps::staff::is_privileged;
        User POST "/analytics/event" => apps::staff::track;
    }
    fleet::DIALECT {
        Scope(Deploy) POST "/deployments" => deployments::create;
        ScopeOrOperator(Deploy) GET "/deployments" => deployments::list;
        ScopeOrOperator(Deploy) GET "/deployments/{name}" => deployments::show;
        ScopeOrOperator(Deploy) DELETE "/deployments/{name}" => deployments::delete;
        ScopeOrOperator(Deploy) PATCH "/deployments/{name}/status" => deployments::set_status;
        ScopeOrOperator(Deploy) PATCH "/deployments/{name}/env" => deployments::set_env;
        ScopeOrOperator(FleetDeploy) GET "/deployments/{name}/env" => deployments::show_env;
        ScopeOrOperator(Deploy) PATCH "/deployments/{name}/replicas" => deployments::set_replicas;

        Machine POST "/heartbeat" => heartbeat::beat;
        Machine POST "/heartbeat/ping" => heartbeat::ping;
        Public POST "/workers" => workers::register;
        ScopeOrOperator(Deploy) GET "/workers" => workers::list;
        ScopeOrOperator(Deploy) GET "/workers/{wallet}" => workers::show;
        ScopeOrOperator(Account) DELETE "/workers/{wallet}" => workers::revoke;
        ScopeOrOperator(Deploy) GET "/workers/{wallet}/status" => workers::status;
        ScopeOrOperator(Deploy) GET "/workers/{wallet}/uptime" => workers::uptime;
        ScopeOrOperator(Deploy) GET "/workers/{wallet}/containers" => workers::containers;
        ScopeOrOperator(Deploy) GET "/workers/{wallet}/metrics" => fleet::metrics::list;

        ScopeOrOperator(PaymentsWrite) POST "/payments" => payments::create;
        ScopeOrOperator(Deploy) GET "/payments" => payments::list;
        ScopeOrOperator(Deploy) GET "/payments/{id}" => payments::show;
        Operator POST "/payments/payouts" => payments::close;
    }
    gateway::dialect::ANTHROPIC {
        Scope(Gateway) POST "/v1/messages" => gateway::messages [gateway::account_of_token], large;
        Scope(Gateway) POST "/v1/messages/count_tokens" => gateway::count_tokens [gateway::account_of_token], large;
    }
    gateway::dialect::OPENAI {
        Scope(Gateway) POST "/v1/chat/completions" => gateway::chat [gateway::account_of_token], large;
        Scope(Gateway) GET "/v1/chat/completions" => stored::openai::list;
        Scope(Gateway) GET "/v1/chat/completions/{id}" => stored::openai::show;
        Scope(Gateway) POST "/v1/chat/completions/{id}" => stored::openai::update;
        Scope(Gateway) DELETE "/v1/chat/completions/{id}" => stored::openai::delete;
        Scope(Gateway) GET "/v1/chat/completions/{id}/messages" => stored::openai::messages;
        Scope(Gateway) POST "/chat/completions" => gateway::chat [gateway::account_of_token], large;
        Scope(Gateway) GET "/chat/completions" => stored::conversations::list;
        Scope(Gateway) DELETE "/chat/completions" => stored::conversations::delete_all;
        Scope(Gateway) GET "/chat/completions/{id}" => stored::conversations::show;
        Scope(Gateway) PUT "/chat/completions/{id}" => stored::conversations::rename;
        Scope(Gateway) DELETE "/chat/completions/{id}" => stored::conversations::delete;
        Scope(Gateway) POST "/chat/completions/{id}/generate-title" => stored::conversations::generate_title;
        Scope(Gateway) POST "/chat/completions/{id}/share" => stored::conversations::share;
        Scope(Gateway) DELETE "/chat/completions/{id}/share" => stored::conversations::unshare;
        Scope(Gateway) POST "/chat/completions/{id}/feedback" => stored::conversations::feedback;
        Scope(Gateway) POST "/chat/completions/{id}/check" => stored::conversations::check;
        Public GET "/chat/shared/{share_id}" => stored::conversations::shared;
        Scope(Gateway) POST "/v1/responses" => gateway::responses [gateway::account_of_token], large;
        Scope(Gateway) GET "/v1/responses/{id}" => gateway::stored::responses::show;
        Scope(Gateway) POST "/v1/responses/input_tokens" => gateway::input_tokens, large;
        Scope(Gateway) POST "/v1/responses/compact" => gateway::compact::create [gateway::account_of_token], large;
        Scope(Gateway) GET "/v1/responses/{id}/input_items" => gateway::stored::responses::input_items;
        Scope(Gateway) POST "/v1/responses/{id}/cancel" => gateway::stored::responses::cancel;
        Scope(Gateway) DELETE "/v1/responses/{id}" => gateway::stored::responses::delete;
        Scope(Gateway) POST "/v1/completions" => gateway::completions::create [gateway::account_of_token], large;
        Scope(Gateway) POST "/v1/embeddings" => gateway::embeddings::create [gateway::account_of_token], large;
        Scope(Gateway) POST "/v1/moderations" => gateway::moderations::create [gateway::account_of_token], large;
        Scope(Gateway) GET "/v1/usage" => gateway::usage::show;
        Scope(Gateway) GET "/v1/guardrails" => gateway::guardrails::show;
        Scope(Gateway) PUT "/v1/guardrails" => gateway::guardrails::put;
        Operator PUT "/admin/models" => gateway::models::refresh;
        Operator PUT "/admin/models/{*id}" => gateway::models::put;
    }
    gateway::dialect::EITHER {
        Scope(Gateway) GET "/v1/models" => gateway::models::list [gateway::account_of_token];
        Scope(Gateway) GET "/v1/models/{*id}" => gateway::models::show [gateway::account_of_token];
        Scope(Gateway) GET "/models" => gateway::models::map [gateway::account_of_token];
        Scope(Gateway) GET "/models/{*id}" => gateway::models::show [gateway::account_of_token];
    }
    generate::DIALECT {
        Scope(ProjectsWrite) POST "/api/generate" => generate::create;
        Scope(ProjectsWrite) POST "/api/generate/challenge" => generate::proof::challenge;
        Scope(ProjectsRead) GET "/api/generate" => generate::list;
        Scope(ProjectsWrite) POST "/api/generate/{job_id}/cancel" => generate::cancel;
        Scope(ProjectsWrite) POST "/api/generate/{job_id}/retry" => generate::retry;
        Scope(ProjectsRead) GET "/api/status/{job_id}" => generate::status;
        Scope(ProjectsRead) GET "/api/status/{job_id}/events" => generate::events;
        Scope(ProjectsRead) GET "/api/project/{id}" => generate::show;
        Scope(ProjectsRead) GET "/api/download/{id}" => generate::download::show;
        Scope(Deploy) POST "/api/deploy/{id}" => deploy::startup;
        Public GET "/decks/{token}" => generate::pitch_deck;
    }
};

/// The routes of a hosted app's own origin, where every path belongs to the app.
static APP_ORIGIN: &[Route] = routes! {
    PROBLEM {
        Public GET "{*path}" => deploy::hosting::own_origin, uncounted;
    }
};

/// What only the whole Worker knows about its modules.
pub(crate) static MODULES: Modules = Modules {
    jobs: &[deploy::job::KIND, deploy::undeploy::KIND, generate::job::KIND, apps::job::KIND],
    owned: &[
        &accounts::OWNED,
        &projects::OWNED,
        &chat::OWNED,
        &deploy::OWNED,
        &gateway::OWNED,
        &generate::OWNED,
        &apps::OWNED,
        &models::reservations::OWNED,
        &fleet::OWNED,
        &clouds::OWNED,
        &jobs::OWNED,
        &identity::OWNED,
        &http::idempotency::OWNED,
    ],
    settings: &[
        &[store::SETTINGS, identity::SETTINGS],
        &[chat::SETTINGS, generate::SETTINGS, fleet::SETTINGS, apps::SETTINGS],
        &[models::SETTINGS],
        clouds::SETTINGS,
        upstream::SETTINGS,
    ],
};

type Sweep = for<'a> fn(&'a Env) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// The sweeps of the clock, in order: they send overdue messages again, end stuck jobs and delete
/// expired rows.
static SWEEPS: &[Sweep] = &[
    |env| Box::pin(jobs::sweep::run(env, MODULES.jobs)),
    |env| Box::pin(chat::sweep(env)),
    |env| Box::pin(fleet::sweep(env)),
    |env| Box::pin(accounts::sweep(env)),
    |env| Box::pin(audit::sweep(env)),
    |env| Box::pin(http::idempotency::sweep(env)),
    |env| Box::pin(gateway::sweep(env)),
    |env| Box::pin(generate::proof::sweep(env)),
    |env| Box::pin(deploy::preview::sweep(env)),
    |env| Box::pin(models::reservations::sweep(env)),
    |env| Box::pin(store::files::sweep(env)),
];

pub(crate) async fn sweep(env: &Env) {
    for sweep in SWEEPS {
        sweep(env).await;
    }
}

/// Routes every request.
pub(crate) static ROUTER: LazyLock<Router> = LazyLock::new(|| {
    Router::new(ROUTES, APP_ORIGIN, deploy::hosting::slug_of_host, request_headers(), &MODULES)
});

/// The request headers that pages of other origins may send: those that our routes read, and those
/// that the original clients send with every request.
fn request_headers() -> String {
    let own: [&[&str]; 6] = [
        http::REQUEST_HEADERS,
        CHAT_HEADERS,
        &[apps::github::HEADER],
        FLEET_HEADERS,
        gateway::REQUEST_HEADERS,
        GATEWAY_HEADERS,
    ];
    own.concat().into_iter().chain(Cloud::headers()).collect::<Vec<_>>().join(", ")
}
const CHAT_HEADERS: &[&str] = &["Anthropic-Version"];
const FLEET_HEADERS: &[&str] = &["X-Wallet-Signature"];
/// No route reads these.
const GATEWAY_HEADERS: &[&str] = &["X-CSRF-Token", "X-Captcha-Token"];

/// The contract of every module, in the order of the document.
#[cfg(test)]
pub(crate) fn contracts() -> Vec<openapi::Module> {
    vec![
        root::openapi::module(),
        accounts::openapi::module(),
        projects::openapi::module(),
        chat::openapi::module(),
        deploy::openapi::module(),
        discovery::openapi::module(),
        skills::openapi::module(),
        generate::openapi::module(),
        apps::openapi::module(),
        fleet::openapi::module(),
        gateway::openapi::module(),
        admin::openapi::module(),
        docs::openapi::module(),
    ]
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        env, fs,
        path::{Path, PathBuf},
    };

    use super::*;

    #[test]
    fn every_pattern_is_in_the_router() {
        for Route { pattern, .. } in ROUTES {
            let path = pattern.replace(['{', '}', '*'], "");
            assert_eq!(ROUTER.pattern_at(&path), Some(*pattern), "{path}");
        }
    }

    #[test]
    fn a_pattern_has_each_method_once() {
        for (i, route) in ROUTES.iter().enumerate() {
            let again =
                ROUTES.iter().skip(i + 1).any(|r| (r.method, r.pattern) == (route.method, route.pattern));
            assert!(!again, "{} {} is there twice", route.method, route.pattern);
        }
    }

    /// The request headers that one of our files reads: the arguments of `request.header(…)`, and
    /// of `header(…)`, a local short form.
    fn headers_read(source: &str) -> Vec<&str> {
        let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let mut reads = Vec::new();
        for (at, call) in code.match_indices("header(") {
            let (before, after) = code.split_at(at);
            let is_of_a_request = match before.chars().next_back() {
                Some('.') => before.ends_with("request."),
                Some('_') => false,
                Some(c) => !c.is_alphanumeric() && !before.ends_with("fn "),
                None => false,
            };
            if is_of_a_request {
                let argument = after.strip_prefix(call).unwrap_or_default();
                reads.push(argument.split([')', ',']).next().unwrap_or_default().trim());
            }
        }
        reads
    }

    fn sources(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
    }

    /// A module that reads another header must add it to [`request_headers`], or pages of other
    /// origins cannot send it.
    #[test]
    fn pages_may_send_every_header_that_we_read() {
        let allowed: Vec<_> = ROUTER.request_headers.split(", ").map(str::to_ascii_lowercase).collect();
        // Browsers or proxies set these; every page may send `Accept`.
        let not_by_pages =
            ["origin", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "accept", "cf-connecting-ip"];
        // Variables: the closures' own argument, and the headers of clouds.
        let names = ["name", "cloud.token_header", "account.header"];
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        // These files read response headers.
        let is_ours = |path: &PathBuf| {
            !path.starts_with(root.join("upstream")) && path.extension().is_some_and(|e| e == "rs")
        };
        let mut literals = 0;
        for path in sources(&root).into_iter().filter(is_ours) {
            let source = fs::read_to_string(&path).unwrap();
            for argument in headers_read(&source) {
                let name = argument.trim_matches('"');
                literals += usize::from(name != argument);
                let is_known = match name == argument {
                    true => names.contains(&name),
                    false => not_by_pages.contains(&name) || allowed.contains(&name.to_ascii_lowercase()),
                };
                assert!(is_known, "{} reads {argument}, which is not in request_headers", path.display());
            }
        }
        assert!(literals > 10, "the sources are read otherwise than this test thinks");
        assert!(Cloud::headers().all(|name| allowed.contains(&name.to_ascii_lowercase())));
    }

    /// The tables in migrations/ with a column of one of these names.
    fn tables_with(columns: &[&str]) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let mut tables = BTreeSet::new();
        for file in files {
            let sql = fs::read_to_string(file).unwrap();
            for table in sql.split("CREATE TABLE ").skip(1) {
                let (name, rest) = table.split_once(" (").unwrap();
                let body = rest.split_once("\n)").unwrap().0;
                let has = |column: &&str| {
                    body.lines().any(|line| line.trim_start().starts_with(&format!("{column} ")))
                };
                if columns.iter().any(has) {
                    tables.insert(name.to_owned());
                }
            }
            for dropped in sql.split("DROP TABLE ").skip(1) {
                tables.remove(dropped.split_once(';').unwrap().0);
            }
        }
        tables
    }

    #[test]
    fn every_table_with_a_user_id_is_deleted_and_given_by_its_module() {
        let named: BTreeSet<String> =
            MODULES.owned.iter().flat_map(|owned| owned.tables).map(|table| (*table).to_owned()).collect();
        assert_eq!(named, tables_with(&["user_id", "tenant"]));
        let sql = |statements: Vec<store::Statement>| {
            statements.iter().map(|statement| statement.sql).collect::<Vec<_>>().join("\n")
        };
        // They are deleted with their project, or stay as part of the ledger.
        let not_deleted = [
            "chat_messages",
            "deployments",
            "sites",
            "cloud_apps",
            "payments",
            "daily_counters",
            "custom_message_limits",
        ];
        for owned in MODULES.owned {
            let (deleted, given) = (sql((owned.delete)("u")), sql((owned.give)("u", "v")));
            for table in owned.tables {
                assert!(deleted.contains(table) || not_deleted.contains(table), "{table} stays");
                assert!(given.contains(table) || *table == "proof_challenges", "{table} is lost");
            }
        }
    }

    #[test]
    fn an_unknown_path_is_reported_in_the_dialect_of_its_prefix() {
        let is = |path, dialect| std::ptr::eq(ROUTER.dialect_of(path), dialect);
        assert!(is("/api/generate/nothing/here", &raw const generate::DIALECT));
        assert!(is("/api/status", &raw const generate::DIALECT));
        for path in ["/api/generated", "/api/projects/x/y", "/nothing"] {
            assert!(is(path, &raw const PROBLEM), "{path}");
        }
    }

    #[test]
    fn allow_lists_head_with_get() {
        assert_eq!(ROUTER.allow("/api/projects"), "GET, HEAD, OPTIONS, POST");
    }
}
