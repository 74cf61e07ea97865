//! Dynamic apps: the tools of `super::tools` with a form for people.
//! Every row of the table of tools is one. Their responses are stored for the
//! user who ran them.

#[cfg(test)]
pub(in crate::gateway) mod openapi;
pub(in crate::gateway) mod store;

use serde_json::{Map, Value, json};

use super::{
    ledger::Budgets,
    tools::{self, Tool},
};
use crate::{
    error::{Error, Resource, rfc3339},
    http::{RequestContext, body, page},
    models::KeyLimits,
    platform::{clock::now_ms, response::Response},
};

const DEFAULT_LIMIT: u32 = 50;
const MOST_LIMIT: u32 = 100;

/// `GET /dynamic-apps`
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let apps: Vec<Value> = tools::available(&context.settings)?.into_iter().map(described).collect();
    Ok(Response::json(200, json!(apps).to_string()))
}

/// `GET /dynamic-apps/{id}`: with its form.
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let tool = tool(&context)?;
    let field = &tool.field;
    let mut app = described(tool);
    if let Some(members) = app.as_object_mut() {
        let form = json!({
            "id": field.name, "type": "text", "label": field.title, "description": field.about, "required": true,
            "validation": { "minLength": 1, "maxLength": field.most_chars },
        });
        let steps = json!([{ "id": "input", "title": tool.title, "fields": [form] }]);
        members.insert("formSchema".to_owned(), json!({ "steps": steps }));
        members.insert("responseSchema".to_owned(), json!({ "type": "json", "display": {} }));
    }
    Ok(Response::json(200, app.to_string()))
}

/// `POST /dynamic-apps/{id}/execute`: the body has the values of the form.
pub(crate) async fn execute(context: RequestContext) -> Result<Response, Error> {
    let (tool, input) = (tool(&context)?, body::object(&context).await?);
    let (user, database) = (context.caller.user_id()?, context.database()?);
    let limits = KeyLimits::parse(context.caller.user()?.gateway.as_deref())?;
    Budgets::of(&limits, &context)?.count_request(&database).await?;
    let outcome = tool.run(&input, &context, &database).await;
    let (result, message) = match outcome {
        Ok(result) => (result, "Done".to_owned()),
        // The app's page shows the message to its user.
        Err(Error::Upstream { detail, .. }) => {
            return Ok(executed(None, &data(tool, &input, &Value::Null, &detail)));
        }
        Err(error) => return Err(error),
    };
    let (id, data) = (context.new_id("response")?, data(tool, &input, &result, &message));
    database.batch_all(store::insert(&id, user, tool.name, &data.to_string(), now_ms())).await?;
    Ok(executed(Some(&id), &data))
}

/// `GET /dynamic-apps/responses?appId=&limit=`
pub(crate) async fn responses(context: RequestContext) -> Result<Response, Error> {
    let limit = page::number(&context, "limit", DEFAULT_LIMIT, MOST_LIMIT)?;
    let app = context.query("appId");
    let rows =
        context.database()?.query(store::list(context.caller.user_id()?, app.as_deref(), limit)).await?;
    Ok(Response::json(200, format!("[{}]", rows.0.join(","))))
}

/// `GET /dynamic-apps/responses/{id}`
pub(crate) async fn response(context: RequestContext) -> Result<Response, Error> {
    let found =
        context.database()?.query_json(store::show(context.param("id"), context.caller.user_id()?)).await?;
    let found = found.ok_or(Error::NotFound(Resource::Path))?;
    Ok(Response::json(200, format!(r#"{{"response":{found}}}"#)))
}

fn described(tool: &Tool) -> Value {
    json!({ "id": tool.name, "name": tool.title, "description": tool.about, "category": "Tools" })
}

/// The tool that the path names, if it can be run here.
fn tool(context: &RequestContext) -> Result<&'static Tool, Error> {
    let id = context.param("id");
    let found = tools::available(&context.settings)?.into_iter().find(|tool| tool.name == id);
    found.ok_or(Error::NotFound(Resource::App))
}

fn data(tool: &Tool, input: &Map<String, Value>, result: &Value, message: &str) -> Value {
    // Members that the form does not have are not stored.
    let input = json!({ tool.field.name: input.get(tool.field.name) });
    json!({ "message": message, "timestamp": rfc3339(now_ms()), "input": input, "result": result })
}

fn executed(id: Option<&str>, data: &Value) -> Response {
    let body = match id {
        Some(id) => json!({ "success": true, "response_id": id, "data": data }),
        None => json!({ "success": false, "data": data }),
    };
    Response::json(200, body.to_string())
}
