//! The ledger: payments, and what machines are owed.

use serde_json::{Map, Value, json};

use super::{
    amount::Amount,
    fields::{self, Fields},
    heartbeat::WALLET_FIELDS,
    owner,
    settings::Fleet,
    store,
    window::SETTLED_MS,
};
use crate::settings::FromVars as _;
use crate::{
    error::{Error, Resource, rfc3339},
    http::{RequestContext, body, page},
    platform::{clock::now_ms, response::Response},
};

pub(super) const NOT_FOUND: Error = Error::NotFound(Resource::Fleet);

/// The body of `POST /payments`.
#[derive(Debug)]
pub(super) struct NewPayment {
    name: String,
    amount: Amount,
    creator: String,
    tx_hash: Option<String>,
}

impl NewPayment {
    pub(super) fn read(body: Map<String, Value>) -> Result<Self, Error> {
        let mut fields = Fields::new(body);
        let name = fields.required(&["name"], fields::text(255, |_| true, "text of 1 to 255 characters"));
        let amount = fields.required(&["amount"], amount);
        let creator = fields.required(&["creator"], fields::wallet);
        let tx_hash = fields.optional(&TX_FIELDS, tx_hash);
        fields.finish(|| Some(Self { name: name?, amount: amount?, creator: creator?, tx_hash }))
    }
}

/// The names of each field in a body; responses use the first one.
pub(super) const TX_FIELDS: [&str; 2] = ["txHash", "tx_hash"];

/// `POST /payments`
pub(crate) async fn create(context: RequestContext) -> Result<Response, Error> {
    let NewPayment { name, amount, creator, tx_hash } = NewPayment::read(body::object(&context).await?)?;

    let payer = context.caller.name().unwrap_or_default();
    let new = store::payments::NewPayment {
        user: payer,
        name: &name,
        amount: &amount.to_string(),
        creator: &creator,
        tx_hash: tx_hash.as_deref(),
    };
    let (database, entry) = (context.database()?, context.new_id("payment")?);
    if let Some(entered) = database.query(store::payments::pay(&new, &entry, now_ms())).await?.first()? {
        return Ok(payment_response(201, &entered));
    }
    // A transaction counts once. A repetition with the same values returns its
    // entry, and so does a retry of the request that entered it.
    let same = database.query(store::payments::payment_of(&entry, new.tx_hash, payer)).await?;
    let message: Option<Value> = same.first()?;
    let is_same = |message: &Value| {
        message.get("amount") == Some(&json!(new.amount)) && message.get("creator") == Some(&json!(creator))
    };
    match message.filter(is_same) {
        Some(message) if context.is_again() => {
            context.mark_replay();
            Ok(payment_response(201, &message))
        }
        Some(message) => Ok(payment_response(200, &message)),
        None => Err(transaction_entered()),
    }
}

fn payment_response(status: u16, payment: &Value) -> Response {
    let id = payment.get("id").and_then(Value::as_i64).unwrap_or_default();
    Response::json(status, payment.to_string()).with("location", format!("/payments/{id}"))
}

pub(super) fn transaction_entered() -> Error {
    Error::Conflict {
        code: "transaction_entered",
        detail: "This txHash is entered already, with another payment".into(),
    }
}

pub(super) fn overlap() -> Error {
    Error::Conflict {
        code: "period_overlaps",
        detail: "Another period of this machine that is closed already overlaps this one".into(),
    }
}

pub(super) fn not_settled() -> Error {
    Error::Conflict {
        code: "period_not_settled",
        detail: "A period can be closed from 25 hours after its end: until then machines may send late beats of it"
            .into(),
    }
}

pub(super) fn no_rate() -> Error {
    Error::NotConfigured {
        variable: "PAYOUT_RATE",
        detail: "Set PAYOUT_RATE, what a second of uptime is worth in the token's smallest unit".to_owned(),
    }
}

/// `GET /payments`
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let page = page::of(&context)?;
    let creator = context.query("creator").map(|wallet| super::wallet(&wallet, "creator")).transpose()?;
    let list = store::payments::payments(owner(&context), creator.as_deref(), &page);
    let answer = context.database()?.query_json(list).await?;
    Ok(page::response(answer.as_deref(), &context))
}

/// `GET /payments/:id`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let id = context.param("id").parse().ok().filter(|id| (1..=1 << 53).contains(id)).ok_or(NOT_FOUND)?;
    let payment = context.database()?.query_json(store::payments::payment(id, owner(&context))).await?;
    Ok(Response::json(200, payment.ok_or(NOT_FOUND)?))
}

/// The body of `POST /payments/payouts`: a period of a machine.
#[derive(Debug)]
pub(super) struct Period {
    wallet: String,
    from: i64,
    to: i64,
}

impl Period {
    pub(super) fn read(body: Map<String, Value>) -> Result<Self, Error> {
        let mut fields = Fields::new(body);
        let wallet = fields.required(&WALLET_FIELDS, fields::wallet);
        let from = fields.required(&["from"], fields::time);
        let to = fields.required(&["to"], fields::time);
        let period = fields.finish(|| Some(Self { wallet: wallet?, from: from?, to: to? }))?;
        if period.from < period.to { Ok(period) } else { Err(Error::invalid("/to", "must be after `from`")) }
    }
}

/// `POST /payments/payouts`: closes a period of a machine. The machine is owed
/// `PAYOUT_RATE` for each whole second of uptime since we know it, which is by
/// our clock never more time than has passed. The amount is entered into the
/// ledger once, however often the period is closed. A period can be closed only
/// after no beat can change its uptime any more, so no second is paid twice or
/// missed.
pub(crate) async fn close(context: RequestContext) -> Result<Response, Error> {
    let Period { wallet, from, to } = Period::read(body::object(&context).await?)?;
    let now = now_ms();
    if to > now - SETTLED_MS {
        return Err(not_settled());
    }
    let rate =
        Fleet::of(&context.settings)?.payout_rate.as_deref().and_then(|rate| rate.parse::<Amount>().ok());
    let rate = rate.ok_or_else(no_rate)?;

    let database = context.database()?;
    let [machine, seconds] = database
        .batch([store::machines::worker(&wallet, None), store::uptime::paid_seconds(&wallet, from, to)])
        .await?;
    if machine.is_empty() {
        return Err(Error::invalid("/walletAddress", "is not the wallet of a known machine"));
    }
    let seconds: u64 = seconds.first()?.unwrap_or_default();
    let amount =
        rate.times(seconds).ok_or_else(|| Error::invalid("/to", "makes an amount beyond 2^256 - 1"))?;
    let name = format!("Uptime of {} to {}", rfc3339(from), rfc3339(to));
    let payout = store::payouts::NewPayout {
        wallet: &wallet,
        from,
        to,
        seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        payment: store::payments::NewPayment {
            user: context.caller.name().unwrap_or_default(),
            name: &name,
            amount: &amount.to_string(),
            creator: &wallet,
            tx_hash: None,
        },
    };
    let [entered, _, known] = database.batch(store::payouts::close(&payout, now)).await?;
    let known = known.into_json().ok_or_else(overlap)?;
    Ok(Response::json(if entered.is_empty() { 200 } else { 201 }, known))
}

fn amount(value: &Value) -> Result<Amount, String> {
    value.as_str().unwrap_or_default().parse().map_err(|error: super::amount::NotAnAmount| error.to_string())
}

/// A transaction's hash: 64 hex digits, after `0x` on Ethereum and alone on
/// Stellar. Both are stored in one form, so that the hash is unique.
fn tx_hash(value: &Value) -> Result<String, String> {
    let text = value.as_str().unwrap_or_default();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    match digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => Ok(format!("0x{}", digits.to_ascii_lowercase())),
        false => Err("must be 64 hexadecimal digits, after 0x on Ethereum".to_owned()),
    }
}
