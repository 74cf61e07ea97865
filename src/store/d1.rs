//! Cloudflare D1 through its JavaScript API. The database object and prepared statements cross the
//! boundary once per isolate and are reused.

use std::{
    borrow::Borrow,
    cell::RefCell,
    collections::{HashMap, hash_map::Entry},
};

use worker::{
    Env, EnvBinding,
    js_sys::{self, Array, Promise, futures::JsFuture},
    wasm_bindgen::{self, JsCast as _, JsValue, prelude::wasm_bindgen},
};

use super::{Rows, Statement, Value, statement::GUARD};
use crate::{error::Error, settings::binding};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = D1Database)]
    #[derive(Debug, Clone)]
    pub(crate) type D1;

    #[wasm_bindgen(method)]
    fn prepare(this: &D1, sql: &str) -> Prepared;

    #[wasm_bindgen(method, catch)]
    fn batch(this: &D1, statements: &Array) -> Result<Promise, JsValue>;

    #[derive(Debug, Clone)]
    type Prepared;

    /// A copy of the statement with bound values.
    #[wasm_bindgen(method, variadic, catch)]
    fn bind(this: &Prepared, values: &Array) -> Result<Prepared, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn run(this: &Prepared) -> Result<Promise, JsValue>;

    type QueryResult;

    #[wasm_bindgen(method, getter)]
    fn results(this: &QueryResult) -> Option<Array>;

    type Row;

    /// Every statement that returns rows has one column with this name.
    #[wasm_bindgen(method, getter)]
    fn json(this: &Row) -> Option<String>;
}

impl EnvBinding for D1 {
    const TYPE_NAME: &'static str = "D1Database";
}

/// Messages of errors that pass by themselves contain these texts
/// (developers.cloudflare.com/d1/observability/debug-d1).
const TRANSIENT: &[&str] = &[
    "Network connection lost",
    "storage caused object to be reset",
    "reset because its code was updated",
    "overloaded",
    "Too many requests queued",
    "Internal error",
    "database is locked",
];

thread_local! {
    static DATABASE: RefCell<Option<D1>> = const { RefCell::new(None) };
    /// By the address and length of their static text, which never change.
    static PREPARED: RefCell<HashMap<*const str, Prepared>> = RefCell::default();
}

/// The database of this isolate, whose environment never changes.
pub(super) fn open(env: &Env) -> Result<D1, Error> {
    if let Some(database) = DATABASE.with_borrow(Clone::clone) {
        return Ok(database);
    }
    let database: D1 = env.get_binding(binding::DATABASE).map_err(|_| Error::NotConfigured {
        variable: binding::DATABASE,
        detail: "The D1 binding DB is missing from wrangler.toml".to_owned(),
    })?;
    DATABASE.set(Some(database.clone()));
    Ok(database)
}

pub(super) async fn query(database: &D1, statement: &Statement) -> Result<Rows, Error> {
    let running = prepare(database, statement).and_then(|prepared| prepared.run());
    let answer = JsFuture::from(running.map_err(|e| failed(&e))?).await;
    answer.map(|answer| rows(&answer.unchecked_into())).map_err(|e| failed(&e))
}

pub(super) async fn batch(database: &D1, statements: &[impl Borrow<Statement>]) -> Result<Vec<Rows>, Error> {
    let prepared: Result<Array, JsValue> = statements.iter().map(|s| prepare(database, s.borrow())).collect();
    let running = prepared.and_then(|prepared| database.batch(&prepared)).map_err(|e| failed(&e))?;
    let answers = JsFuture::from(running).await.map_err(|e| failed(&e))?;
    Ok(answers.unchecked_into::<Array>().iter().map(|answer| rows(&answer.unchecked_into())).collect())
}

fn prepare(database: &D1, statement: &Statement) -> Result<Prepared, JsValue> {
    let values: Array = statement.values.iter().map(bound).collect();
    PREPARED.with_borrow_mut(|known| {
        let prepared = match known.entry(std::ptr::from_ref(statement.sql)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(database.prepare(statement.sql)),
        };
        prepared.bind(&values)
    })
}

/// D1 stores a whole JavaScript number as an INTEGER.
fn bound(value: &Value) -> JsValue {
    match value {
        Value::Null => JsValue::NULL,
        #[expect(clippy::cast_precision_loss, reason = "integers are bounded by 2^53, see Value")]
        Value::Integer(number) => JsValue::from_f64(*number as f64),
        Value::Text(text) => JsValue::from_str(text),
    }
}

fn rows(answer: &QueryResult) -> Rows {
    let rows = answer.results().unwrap_or_default();
    Rows(rows.iter().filter_map(|row| row.unchecked_into::<Row>().json()).collect())
}

fn failed(error: &JsValue) -> Error {
    let message = message(error);
    if message.contains(GUARD) {
        return Error::GuardFailed;
    }
    let message = format!("D1: {message}");
    if TRANSIENT.iter().any(|part| message.contains(part)) {
        return Error::database(message);
    }
    Error::Internal(message)
}

/// The message of D1's error, which includes the cause.
fn message(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => format!("{error:?}"),
    }
}
