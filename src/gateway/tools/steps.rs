//! A chat whose model calls tools that are run here: step by step, until it
//! has answered.

use futures::future::join_all;
use hatch_dialects::{
    Dialect, Response as DialectResponse, Usage,
    request::{Content, Message, Part, Role, ToolCall, ToolChoice, ToolResult},
    stream_of,
};
use serde_json::{Map, Value, json};

use super::Tool;
use crate::{
    error::{Error, rfc3339},
    gateway::{
        call::{self, Whole},
        request::GatewayRequest,
        response,
        stored_responses::Keep,
    },
    http::RequestContext,
    platform::{
        clock::now_ms,
        log,
        response::{Response, ResponseKind},
    },
    settings::Settings,
    store::Database,
};

/// How often a model is asked for one answer.
const MOST_STEPS: u32 = 5;
/// How many tools run for one step.
const MOST_CALLS: usize = 8;

/// The tools that a chat enables and that can be run here. What its client
/// offers by the same name is the client's.
pub(in crate::gateway) fn enabled(
    asked: &GatewayRequest,
    settings: &Settings,
) -> Result<Vec<&'static Tool>, Error> {
    if asked.ours.enabled_tools.is_empty() || asked.request.n.is_some_and(|n| n > 1) {
        return Ok(Vec::new());
    }
    let is_wanted = |tool: &&Tool| {
        let is_clients = asked.request.tools.iter().any(|known| known.name == tool.name);
        asked.ours.enabled_tools.iter().any(|name| name == tool.name) && !is_clients
    };
    Ok(super::here(settings)?.into_iter().filter(is_wanted).collect())
}

/// Answers a chat whose model may call these tools.
pub(in crate::gateway) async fn answer(
    mut asked: GatewayRequest,
    tools: Vec<&'static Tool>,
    context: &RequestContext,
) -> Result<Response, Error> {
    let database = context.database()?;
    let keep = match asked.ours.is_stored {
        true => call::keep(&asked, &call::guards(context).await?),
        false => Keep::Nothing,
    };
    asked.request.tools.extend(tools.iter().map(|tool| tool.offered()));
    let (mut usage, mut runs) = (Usage::default(), Vec::new());
    let mut step = 1;
    let whole = loop {
        let mut whole = call::whole(&mut asked, &Keep::Nothing, context, &database).await?;
        usage = sum(&usage, &whole.answer.usage.unwrap_or_default());
        let calls = calls_of(&whole.answer, &tools);
        if calls.is_empty() || step == MOST_STEPS {
            without_calls(&mut whole.answer, &tools);
            break whole;
        }
        step += 1;
        let results = join_all(calls.iter().map(|call| run(call, &tools, context, &database))).await;
        go_on(&mut asked, &whole.answer, &results, step);
        runs.extend(calls.into_iter().zip(results));
    };
    let answer = DialectResponse { usage: Some(usage), ..whole.answer };
    let whole = Whole { answer, ..whole };
    let kept = keep.statements(context.caller.user_id()?, Some(&whole.answer), &whole.reply);
    if !kept.is_empty()
        && let Err(error) = database.batch_all(kept).await
    {
        log::failure("gateway.store", &error);
    }
    Ok(tell(whole, &asked, &runs))
}

/// The calls of tools of ours; none where the client has to answer one of its
/// own first.
fn calls_of(answer: &DialectResponse, tools: &[&Tool]) -> Vec<ToolCall> {
    let parts = answer.choices.first().map(|choice| choice.parts.as_slice()).unwrap_or_default();
    let calls: Vec<&ToolCall> = parts.iter().filter_map(call_in).collect();
    let is_ours = |call: &&ToolCall| tools.iter().any(|tool| tool.name == call.name);
    if calls.len() > MOST_CALLS || !calls.iter().all(is_ours) {
        return Vec::new();
    }
    calls.into_iter().cloned().collect()
}

fn call_in(part: &Part) -> Option<&ToolCall> {
    match &part.content {
        Content::ToolCall(call) => Some(call),
        _ => None,
    }
}

/// Takes the calls of tools that the client does not know out of an answer.
fn without_calls(answer: &mut DialectResponse, tools: &[&Tool]) {
    let is_ours =
        |part: &Part| call_in(part).is_some_and(|call| tools.iter().any(|tool| tool.name == call.name));
    for choice in &mut answer.choices {
        choice.parts.retain(|part| !is_ours(part));
    }
}

/// What a tool has found, or why it has not.
async fn run(
    call: &ToolCall,
    tools: &[&'static Tool],
    context: &RequestContext,
    database: &Database,
) -> ToolResult {
    let ran = match (tools.iter().find(|tool| tool.name == call.name), arguments(call)) {
        (Some(tool), Some(input)) => {
            tool.run(&input, context, database).await.map_err(|error| error.detail())
        }
        _ => Err("The arguments are no JSON object".to_owned()),
    };
    let is_error = ran.is_err();
    let text = ran.map_or_else(|error| error, |found| found.to_string());
    ToolResult { call_id: call.id.clone(), parts: vec![Part::text(text)], is_error, is_custom: false }
}

fn arguments(call: &ToolCall) -> Option<Map<String, Value>> {
    serde_json::from_str(&call.arguments).ok()
}

/// Asks again, with what the model has said and what its tools have found.
fn go_on(asked: &mut GatewayRequest, answer: &DialectResponse, results: &[ToolResult], step: u32) {
    let said = answer.choices.first().map(|choice| choice.parts.clone()).unwrap_or_default();
    let found = results.iter().cloned().map(|result| Content::ToolResult(result).into()).collect();
    asked.request.messages.push(Message::new(Role::Assistant, said));
    asked.request.messages.push(Message::new(Role::Tool, found));
    // Who must call a tool has called one; in the last step no more are called.
    asked.request.tool_choice = match step {
        MOST_STEPS => Some(ToolChoice::None),
        _ => None,
    };
}

fn sum(a: &Usage, b: &Usage) -> Usage {
    Usage {
        input: a.input.saturating_add(b.input),
        cache_read: a.cache_read.saturating_add(b.cache_read),
        cache_write: a.cache_write.saturating_add(b.cache_write),
        cache_write_long: a.cache_write_long.saturating_add(b.cache_write_long),
        output: a.output.saturating_add(b.output),
        reasoning: a.reasoning.saturating_add(b.reasoning),
        web_searches: a.web_searches.saturating_add(b.web_searches),
    }
}

fn tell(whole: Whole, asked: &GatewayRequest, runs: &[(ToolCall, ToolResult)]) -> Response {
    let Whole { answer, reply, headers } = whole;
    if !(asked.ours.is_polychat && asked.request.stream) {
        return response::whole(&answer, None, Dialect::Chat, asked.request.stream, &reply, headers);
    }
    let ran: String = runs.iter().map(|(call, result)| events(call, result)).collect();
    let text = ran + &stream_of(&answer, Dialect::Chat, &reply);
    let response = Response::bytes(ResponseKind::Api, 200, response::EVENT_STREAM, text.into_bytes());
    response::with(response, headers, &reply.request_id)
}

/// A tool's run, in Polychat's events.
fn events(call: &ToolCall, result: &ToolResult) -> String {
    let content: String = result.parts.iter().filter_map(Part::as_text).collect();
    let status = if result.is_error { "error" } else { "success" };
    let events = [
        json!({ "type": "tool_use_start", "tool_id": call.id, "tool_name": call.name }),
        json!({ "type": "tool_use_delta", "tool_id": call.id, "parameters": call.arguments }),
        json!({ "type": "tool_use_stop", "tool_id": call.id }),
        json!({ "type": "tool_response", "tool_id": call.id, "result": {
            "id": call.id, "role": "tool", "name": call.name, "tool_call_id": call.id, "content": content, "status": status,
            "timestamp": rfc3339(now_ms()) } }),
    ];
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}
