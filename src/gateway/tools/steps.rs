//! A chat whose model calls tools that the gateway runs: step by step, until the
//! model has answered. A stream shows the text of each step while it arrives.

use futures::future::join_all;
use hatch_dialects::{
    ChatForm, Dialect, Reply, Response as DialectResponse, Stream, filtered_stream_of,
    request::{Content, Message, Part, Role, ToolCall, ToolChoice, ToolResult},
    response::ChatMembers,
    stream_of,
};
use serde_json::{Map, Value, json};

use super::{
    Tool,
    join::{MOST_STEPS, Step, stop_without_calls},
};
use crate::{
    error::{Error, rfc3339},
    gateway::{
        call::{self, Begun, Whole},
        dialect, live,
        request::GatewayRequest,
        response,
        stored::{
            Keep,
            large::{self, Unstored},
        },
    },
    http::RequestContext,
    platform::{
        clock::now_ms,
        response::{Response, ResponseKind},
        stream::{self, Writer},
    },
    settings::Settings,
    store::Database,
};

/// The tools that a chat enables and that this Worker can run. A tool that the
/// client offers by the same name is left to the client.
pub(in crate::gateway) fn enabled(
    inbound: &GatewayRequest,
    settings: &Settings,
) -> Result<Vec<&'static Tool>, Error> {
    if inbound.ours.enabled_tools.is_empty() || inbound.request.n.is_some_and(|n| n > 1) {
        return Ok(Vec::new());
    }
    let is_wanted = |tool: &&Tool| {
        let is_clients = inbound.request.tools.iter().any(|known| known.name == tool.name);
        inbound.ours.enabled_tools.iter().any(|name| name == tool.name) && !is_clients
    };
    Ok(super::available(settings)?.into_iter().filter(is_wanted).collect())
}

/// Answers a chat whose model may call these tools.
pub(in crate::gateway) async fn answer(
    mut inbound: GatewayRequest,
    tools: Vec<&'static Tool>,
    context: RequestContext,
) -> Result<Response, Error> {
    let database = context.database()?;
    let keep = match inbound.ours.is_stored {
        true => call::keep(&inbound, &call::guards(&context).await?, &context.env),
        false => Keep::Nothing,
    };
    inbound.request.tools.extend(tools.iter().map(|tool| tool.definition()));
    let is_live = inbound.request.stream && !inbound.options.is_buffered;
    let step = Step::first(tools.iter().map(|tool| tool.name).collect());
    let mut chat = Chat { inbound, tools, step, parts: Vec::new(), keep, context, database };
    let first = chat.ask(is_live).await?;
    if !is_live {
        return chat.finish(first).await;
    }
    let (headers, reply) = match &first {
        Begun::Live { call, headers, .. } => (headers.clone(), call.reply.clone()),
        Begun::Whole(whole) => (whole.headers.clone(), whole.reply.clone()),
    };
    let (writer, body) = stream::channel()?;
    let response = response::with(Response::events(body), headers, &reply.request_id);
    let background = chat.context.background.clone();
    background.run(chat.stream(first, writer, reply));
    Ok(response)
}

/// A chat between two steps.
struct Chat {
    inbound: GatewayRequest,
    tools: Vec<&'static Tool>,
    step: Step,
    /// The texts of the steps before.
    parts: Vec<Part>,
    keep: Keep,
    context: RequestContext,
    database: Database,
}

/// A call of a tool, and its result.
type Run = (ToolCall, ToolResult);

impl Chat {
    async fn ask(&mut self, is_live: bool) -> Result<Begun, Error> {
        call::step(&mut self.inbound, self.step.clone(), is_live, &self.context, &self.database).await
    }

    /// Runs the tools that the model has called, and prepares the next step. Without
    /// runs the chat is over.
    async fn run_tools(&mut self, answer: &DialectResponse, reply: &Reply) -> Vec<Run> {
        let calls = self.step.calls(answer);
        if calls.is_empty() {
            return Vec::new();
        }
        let results = join_all(calls.iter().map(|call| self.run(call))).await;
        let is_text = |part: &Part| matches!(part.content, Content::Text(_));
        self.parts.extend(self.step.visible(answer).into_iter().filter(is_text));
        self.step = self.step.next(answer, reply);
        let said = answer.choices.first().map(|choice| choice.parts.clone()).unwrap_or_default();
        let found = results.iter().cloned().map(|result| Content::ToolResult(result).into()).collect();
        let request = &mut self.inbound.request;
        request.messages.push(Message::new(Role::Assistant, said));
        request.messages.push(Message::new(Role::Tool, found));
        // The model has called a tool, as `required` demands. After the last step no tool runs.
        request.tool_choice = (self.step.number == MOST_STEPS).then_some(ToolChoice::None);
        calls.into_iter().zip(results).collect()
    }

    /// The result of a tool, or the reason why it has none.
    async fn run(&self, call: &ToolCall) -> ToolResult {
        let arguments: Option<Map<String, Value>> = hatch_json::from_str(&call.arguments).ok();
        let ran = match (self.tools.iter().find(|tool| tool.name == call.name), arguments) {
            (Some(tool), Some(input)) => {
                tool.run(&input, &self.context, &self.database).await.map_err(|error| error.detail())
            }
            _ => Err("The arguments are not a JSON object".to_owned()),
        };
        let is_error = ran.is_err();
        let text = ran.map_or_else(|error| error, |found| found.to_string());
        ToolResult { call_id: call.id.clone(), parts: vec![Part::text(text)], is_error, is_custom: false }
    }

    /// The answer of the last step, with the texts of the steps before.
    fn join(&mut self, answer: &DialectResponse) -> DialectResponse {
        let mut joined = answer.clone();
        joined.usage = Some(self.step.total(&answer.usage.unwrap_or_default()));
        if !self.step.is_first() {
            // These are the last step's alone.
            joined.chat = ChatMembers::default();
        }
        if let Some(choice) = joined.choices.first_mut() {
            let last = self.step.visible(answer);
            let has_calls = last.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
            choice.parts = std::mem::take(&mut self.parts);
            choice.parts.extend(last);
            choice.stop = stop_without_calls(std::mem::take(&mut choice.stop), has_calls);
        }
        joined
    }

    /// Stores the answer of the last step if the client asked for that.
    async fn store(&mut self, answer: &DialectResponse, reply: &Reply) -> Result<(), Unstored> {
        let Ok(user) = self.context.caller.user_id() else { return Ok(()) };
        let keep = std::mem::replace(&mut self.keep, Keep::Nothing);
        let statements = keep.statements(user, Some(answer), reply, &self.database).await?;
        if statements.is_empty() {
            return Ok(());
        }
        self.database.batch_all(statements).await.map(drop).map_err(|error| large::failed(&error))
    }

    /// Takes all steps, also if the client leaves, and then responds.
    async fn finish(mut self, mut asked: Begun) -> Result<Response, Error> {
        let mut all = Vec::new();
        let (answer, reply, mut headers) = loop {
            let Begun::Whole(whole) = asked else {
                return Err(Error::Internal("a whole answer arrived as a stream".to_owned()));
            };
            let Whole { answer, reply, headers, .. } = *whole;
            let runs = self.run_tools(&answer, &reply).await;
            if runs.is_empty() {
                // All steps are sent at once, as one stream that begins with a role.
                break (self.join(&answer), Reply { continues: None, ..reply }, headers);
            }
            all.extend(runs);
            asked = self.ask(false).await?;
        };
        if let Err(unstored) = self.store(&answer, &reply).await {
            response::warn(&mut headers, &[unstored.warning()]);
        }
        Ok(self.respond(&answer, &reply, headers, &all))
    }

    fn respond(
        &self,
        answer: &DialectResponse,
        reply: &Reply,
        headers: response::Headers,
        runs: &[Run],
    ) -> Response {
        let is_stream = self.inbound.request.stream;
        if !(self.is_for_original() && is_stream) {
            return response::whole(answer, None, Dialect::Chat, is_stream, reply, headers);
        }
        let text = events(runs) + &stream_of(answer, Dialect::Chat, reply);
        let response = Response::bytes(ResponseKind::Api, 200, response::EVENT_STREAM, text.into_bytes());
        response::with(response, headers, &reply.request_id)
    }

    /// Sends each step while it arrives. `reply` is that of the first step.
    async fn stream(mut self, mut asked: Begun, mut client: Writer, reply: Reply) {
        loop {
            let (left, answer) = self.send(asked, client).await;
            let runs = match &answer {
                Some(answer) if self.step.calls(answer).is_empty() => {
                    let joined = self.join(answer);
                    // The headers, which could say that it is not stored, are sent.
                    let _ = self.store(&joined, &reply).await;
                    Vec::new()
                }
                // No tool runs for a client that has left.
                Some(answer) if left.is_some() => self.run_tools(answer, &reply).await,
                _ => Vec::new(),
            };
            let Some(writer) = left else { return };
            if runs.is_empty() {
                return writer.close().await;
            }
            client = writer;
            if client.write(self.progress(&runs).as_bytes()).await.is_err() {
                return;
            }
            asked = match self.ask(true).await {
                Ok(asked) => asked,
                Err(error) => return fail(client, &error, &reply).await,
            };
        }
    }

    fn is_for_original(&self) -> bool {
        self.inbound.ours.form == ChatForm::Original
    }

    /// What a stream has between two steps. The comment, which clients skip, shows
    /// whether the client is still there before another model is paid.
    fn progress(&self, runs: &[Run]) -> String {
        match self.is_for_original() {
            true => events(runs),
            false => ": tools have run\n\n".to_owned(),
        }
    }

    /// Sends one step. Returns the client's end, unless the client has left, and the
    /// step's answer, if it is whole.
    async fn send(&self, asked: Begun, client: Writer) -> (Option<Writer>, Option<DialectResponse>) {
        match asked {
            Begun::Live { stream, call, .. } => {
                live::forward_step(*stream, client, *call, &self.database).await
            }
            Begun::Whole(whole) => {
                let Whole { answer, reply, .. } = *whole;
                let mut filter = self.step.filter(None);
                let text = filtered_stream_of(&answer, Dialect::Chat, &reply, &mut filter);
                let written = client.write(text.as_bytes()).await;
                (written.is_ok().then_some(client), Some(answer))
            }
        }
    }
}

/// Ends a stream whose next step has failed.
async fn fail(client: Writer, error: &Error, reply: &Reply) {
    let mut last = Vec::new();
    Stream::new(Dialect::Chat, Dialect::Chat, reply).fail(dialect::convert(error), &mut last);
    let _ = client.write(&last).await;
    client.close().await;
}

/// Runs of tools in the original client's events.
fn events(runs: &[Run]) -> String {
    runs.iter().map(|(call, result)| events_of(call, result)).collect()
}

fn events_of(call: &ToolCall, result: &ToolResult) -> String {
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
