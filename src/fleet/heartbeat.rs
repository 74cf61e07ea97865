//! Beats: the reports by which a machine shows that it runs.

use hatch_credentials::wallet::Address;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use worker::Env;

use super::{
    fields::{self, Fields},
    settings::Fleet,
    store,
    window::{AHEAD_MS, LATE_MS, Window},
};
use crate::settings::FromVars as _;
use crate::{
    error::{Error, rfc3339},
    http::{RequestContext, body, caller::Caller},
    platform::{clock::now_ms, log, response::Response},
    settings::binding,
    store::shared::BEATS,
};

const MOST_CONTAINERS: usize = 500;
/// The longest report of a machine about its system, as JSON.
const MOST_SYSTEM_BYTES: usize = 4 * 1024;

/// A container, as the worker's script or the original front end reports it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    #[serde(alias = "name")]
    container_name: String,
    #[serde(default)]
    port: Option<Value>,
    #[serde(default)]
    cpu_percent: Option<f64>,
    #[serde(default)]
    mem_usage_mb: Option<f64>,
}

/// The body of a beat.
#[derive(Debug)]
pub(super) struct Beat {
    wallet: String,
    at: i64,
    containers: Option<String>,
    system: Option<String>,
    hostname: Option<String>,
    tailscale_ip: Option<String>,
}

impl Beat {
    /// Returns the beat or its violations, and also the wallet of an invalid beat.
    pub(super) fn read(body: Map<String, Value>, is_full: bool) -> (Option<String>, Result<Self, Error>) {
        let mut fields = Fields::new(body);
        let wallet = fields.required(&WALLET_FIELDS, fields::wallet);
        let at = fields.required(&["timestamp"], fields::time);
        let containers = if is_full { fields.required(&["containers"], containers) } else { None };
        let system = fields.optional(&["system"], system);
        let hostname = fields.optional(&["hostname"], fields::text(253, |_| true, "a host's name"));
        let tailscale_ip = fields.optional(&TAILSCALE_FIELDS, tailscale_ip).flatten();
        let named = wallet.clone();
        let beat = fields
            .finish(|| Some(Self { wallet: wallet?, at: at?, containers, system, hostname, tailscale_ip }));
        (named, beat)
    }
}

/// The names of each field in a body; responses use the first one.
pub(super) const WALLET_FIELDS: [&str; 2] = ["walletAddress", "wallet_address"];
pub(super) const TAILSCALE_FIELDS: [&str; 2] = ["tailscaleIp", "tailscale_ip"];

/// `POST /heartbeat`
pub(crate) async fn beat(context: RequestContext) -> Result<Response, Error> {
    take(context, true).await
}

/// `POST /heartbeat/ping`: a beat without a list of containers.
pub(crate) async fn ping(context: RequestContext) -> Result<Response, Error> {
    take(context, false).await
}

async fn take(context: RequestContext, is_full: bool) -> Result<Response, Error> {
    let proof = Proof::of(&context)?;
    let (bytes, object) = body::object_with_bytes(&context).await?;
    let stamp = object.get("timestamp").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (wallet, beat) = Beat::read(object, is_full);
    proof.check_signature(wallet.as_deref(), &stamp, &bytes)?;
    let Beat { wallet, at, containers, system, hostname, tailscale_ip } = beat?;
    proof.check_wallet(&wallet)?;

    let now = now_ms();
    if at > now + AHEAD_MS {
        return Err(AHEAD);
    }
    if at < now - LATE_MS {
        return Err(TOO_LATE);
    }
    let beat = store::beats::Beat {
        wallet: &wallet,
        at,
        containers: containers.as_deref(),
        system: system.as_deref(),
        hostname: hostname.as_deref(),
        tailscale_ip: tailscale_ip.as_deref(),
    };
    let database = context.database()?;
    let fleet = Fleet::of(&context.settings)?;
    let beat = store::beats::beat(&beat, now, fleet.mirror_ms.unwrap_or_default());
    let beaten = database.query_shared(&BEATS, beat).await?;
    let open: Option<store::beats::OpenWindow> = match beaten.first()? {
        Some(open) => Some(open),
        None => database.query(store::beats::window(&wallet, at, now)).await?.first()?,
    };
    let open = open.ok_or_else(|| Error::Internal("a beat left no window".to_owned()))?;
    let answer = beat_response_json((&open).into(), open.is_stale, fleet.heartbeat_seconds);
    if fleet.mirror_ms.is_some() {
        mirror(&context, wallet, &open, containers);
    }
    Ok(Response::json(200, answer))
}

fn beat_response_json(window: Window, is_stale: bool, next_s: u32) -> String {
    let mut answer = json!({ "success": true, "window": window_json(window), "nextBeatSeconds": next_s });
    if let (true, Some(answer)) = (is_stale, answer.as_object_mut()) {
        answer.insert("stale".to_owned(), Value::Bool(true));
    }
    answer.to_string()
}

fn window_json(window: Window) -> Value {
    json!({ "startTime": rfc3339(window.start), "endTime": rfc3339(window.end) })
}

/// How a beat proves that it comes from its machine.
enum Proof {
    /// By the token of the machine of this wallet.
    Token(String),
    /// By its wallet's signature over the beat.
    Signature(String),
    /// Not at all: `HEARTBEAT_AUTH=open`.
    Unproved,
}

impl Proof {
    /// The proof in a request. It is checked first, so that a stranger does not
    /// learn what else is wrong with the beat.
    fn of(context: &RequestContext) -> Result<Self, Error> {
        if let Caller::Machine { wallet } = &context.caller {
            return Ok(Self::Token(wallet.clone()));
        }
        match context.request.header("x-wallet-signature") {
            Some(signature) => Ok(Self::Signature(signature)),
            None if Fleet::of(&context.settings)?.heartbeats_are_open => Ok(Self::Unproved),
            None => Err(missing_proof()),
        }
    }

    /// Checks the signature, before any violation in the body is reported.
    fn check_signature(&self, wallet: Option<&str>, stamp: &str, body: &[u8]) -> Result<(), Error> {
        let Self::Signature(signature) = self else { return Ok(()) };
        let refused = |detail: String| Error::Unauthorized(format!("X-Wallet-Signature: {detail}").into());
        let wallet =
            wallet.ok_or_else(|| refused("the beat has no walletAddress to hold it against".to_owned()))?;
        let digest = base16ct::lower::encode_string(&Sha256::digest(body));
        let signed = format!("hatch-heartbeat\n{wallet}\n{stamp}\n{digest}");
        let address: Address = wallet.parse().map_err(|error| refused(format!("{error}")))?;
        match address.has_signed(signed.as_bytes(), signature) {
            Ok(true) => Ok(()),
            Ok(false) => Err(refused("the signature is of another wallet, or over another beat".to_owned())),
            Err(error) => Err(refused(error.to_string())),
        }
    }

    fn check_wallet(&self, wallet: &str) -> Result<(), Error> {
        match self {
            Self::Token(own) if own != wallet => Err(not_your_machine()),
            _ => Ok(()),
        }
    }
}

pub(super) const AHEAD: Error = Error::Unprocessable {
    code: "timestamp_ahead",
    detail: "The timestamp is more than five minutes ahead of our clock; set the machine's clock",
};

pub(super) const TOO_LATE: Error = Error::Unprocessable {
    code: "timestamp_too_late",
    detail: "The timestamp is more than 24 hours old; beats that are late by less are taken",
};

pub(super) fn missing_proof() -> Error {
    Error::Unauthorized("A beat needs the machine's token, or X-Wallet-Signature".into())
}

pub(super) fn not_your_machine() -> Error {
    Error::Forbidden {
        code: "not_your_machine",
        detail: "This token is of another machine than `walletAddress`".into(),
    }
}

/// Copies the state to the two KV keys that existing readers use: at most two
/// operations for a beat, and none without news. Only the database decides, so
/// it does no harm that KV is late, or loses one of two writes within a second.
fn mirror(
    context: &RequestContext,
    wallet: String,
    open: &store::beats::OpenWindow,
    containers: Option<String>,
) {
    let window = open.mirrors_time.then(|| Window::from(open));
    let containers = containers.filter(|_| open.mirrors_containers);
    if window.is_none() && containers.is_none() {
        return;
    }
    let env = context.env.clone();
    context.background.run(async move {
        if let Err(error) = write_mirror(&env, &wallet, window, containers).await {
            log::line(&json!({ "level": "info", "event": "fleet.mirror", "detail": error.to_string() }));
        }
    });
}

async fn write_mirror(
    env: &Env,
    wallet: &str,
    window: Option<Window>,
    containers: Option<String>,
) -> Result<(), worker::Error> {
    let kv = env.kv(binding::HEARTBEATS)?;
    if let Some(window) = window {
        let metadata = json!({ "s": window.start, "e": window.end });
        kv.put(&format!("{wallet}:time"), window_json(window).to_string())?
            .metadata(metadata)?
            .execute()
            .await?;
    }
    if let Some(containers) = containers {
        kv.put(&format!("{wallet}:containers"), containers)?.execute().await?;
    }
    Ok(())
}

/// Reads the containers, and returns them in the form of the KV key, with their further figures.
fn containers(value: &Value) -> Result<String, String> {
    let given = value.as_array().ok_or("must be a list of containers")?;
    if given.len() > MOST_CONTAINERS {
        return Err(format!("must be at most {MOST_CONTAINERS} containers"));
    }
    let containers: Result<Vec<Value>, String> = given.iter().map(container).collect();
    Ok(json!(containers?).to_string())
}

fn container(value: &Value) -> Result<Value, String> {
    let container: Container = hatch_json::from_value(value)
        .map_err(|_| "must be containers of {containerName, port} or {name, cpuPercent, memUsageMb}")?;
    if !(1..=255).contains(&container.container_name.chars().count())
        || container.container_name.contains('\0')
    {
        return Err("must be containers whose names have 1 to 255 characters".to_owned());
    }
    let mut shown = Map::new();
    shown.insert("containerName".to_owned(), json!(container.container_name));
    if let Some(port) = container.port.filter(|port| !port.is_null()) {
        let port = match &port {
            Value::String(text) if text.chars().count() <= 100 && !text.contains('\0') => text.clone(),
            other => match body::integer(other) {
                Ok(number @ 0..=65_535) => number.to_string(),
                _ => return Err("must be containers whose ports are texts or numbers".to_owned()),
            },
        };
        shown.insert("port".to_owned(), json!(port));
    }
    for (name, figure) in [("cpuPercent", container.cpu_percent), ("memUsageMb", container.mem_usage_mb)] {
        if let Some(figure) = figure {
            shown.insert(name.to_owned(), json!(figure));
        }
    }
    Ok(Value::Object(shown))
}

fn system(value: &Value) -> Result<String, String> {
    let text = value.to_string();
    match value.is_object() && text.len() <= MOST_SYSTEM_BYTES && !text.contains("\\u0000") {
        true => Ok(text),
        false => Err(format!("must be an object of at most {MOST_SYSTEM_BYTES} bytes")),
    }
}

/// A machine outside of such a network sends an empty text.
fn tailscale_ip(value: &Value) -> Result<Option<String>, String> {
    match value.as_str() {
        Some("") => Ok(None),
        Some(text) if text.chars().count() <= 64 => Ok(Some(text.to_owned())),
        _ => Err("must be text of at most 64 characters".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_container_are_saved_in_one_form() {
        let given = json!([
            { "containerName": "web", "port": "80" }, { "name": "db", "cpuPercent": 1.5, "memUsageMb": 20 },
            { "containerName": "x", "port": 8080 }, { "containerName": "y", "port": null },
        ]);
        let kept: Value = hatch_json::from_str(&containers(&given).unwrap()).unwrap();
        assert_eq!(
            kept,
            json!([
                { "containerName": "web", "port": "80" }, { "containerName": "db", "cpuPercent": 1.5, "memUsageMb": 20.0 },
                { "containerName": "x", "port": "8080" }, { "containerName": "y" },
            ])
        );
        for bad in [
            json!({}),
            json!([1]),
            json!([{}]),
            json!([{ "containerName": "" }]),
            json!([{ "name": "a", "port": {} }]),
        ] {
            assert!(containers(&bad).is_err(), "{bad}");
        }
    }
}
