//! Asks for an answer on behalf of a job, within the budgets of whoever pays:
//! chooses the model, reserves the most that the answer can cost, reads the
//! answer to its end, and computes its cost. The agent and the startup
//! generator ask models this way.

use std::cell::{Cell, RefCell};

use hatch_dialects::{Dialect, Reader, Reply, Request, Response, Usage, estimate_prompt, request::Format};
use hatch_wire::anthropic::Message;

use super::{
    ask::{self, Live, ModelResponse, Question},
    catalogue::Catalogue,
    failover::FailedCall,
    failure::described,
    keys::Keys,
    reservations::{Payer, Reservation},
    routing::{self, Candidate, Preference, RouteQuery},
    settings::Providers,
};
use crate::{
    error::{Error, UpstreamKind},
    platform::{
        clock::now_ms,
        pump::{Deadlines, End},
    },
    settings::{FromVars as _, Settings},
    store::{Database, Statement},
};

/// The longest answer; a consumer of a queue has a quarter of an hour.
const ANSWER_MS: i64 = 10 * 60_000;
/// The lengths of answers, in tokens. If the budget does not suffice for a long
/// answer, a shorter one is requested.
const LENGTHS: [u64; 5] = [32_000, 16_000, 8_000, 4_000, 2_000];

/// What decides who answers, and who pays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerRules<'a> {
    pub(crate) payer: Payer<'a>,
    /// The user's own keys. Answers by them cost the user's own money.
    pub(crate) keys: &'a Keys,
    pub(crate) settings: &'a Settings,
    pub(crate) database: &'a Database,
}

/// What an answer may cost.
#[derive(Debug)]
pub(crate) struct Allowance {
    max_tokens: u64,
    pub(crate) reservation: Reservation,
}

/// Books the cost of an answer while it arrives, so that also a stopped or
/// killed consumer pays for what it got. `spend` makes the statement by which
/// the work itself counts a part of the cost.
#[derive(Debug)]
pub(crate) struct Booking<'a> {
    reservation: &'a Reservation,
    database: &'a Database,
    booked: Cell<i64>,
}

impl<'a> Booking<'a> {
    pub(crate) fn new(reservation: &'a Reservation, database: &'a Database) -> Self {
        Self { reservation, database, booked: Cell::new(0) }
    }

    /// Books what has arrived so far and has cost `cost`. A booking that fails
    /// is made up for by the next one.
    pub(crate) async fn book(&self, cost: i64, spend: impl Fn(i64) -> Statement) {
        let more = cost - self.booked.get();
        if more <= 0 {
            return;
        }
        let mut batch = vec![spend(more)];
        let draw = self.reservation.draw(cost);
        let draws = draw.is_some();
        batch.extend(draw);
        let Ok(rows) = self.database.batch_all(batch).await else { return };
        if draws && rows.last().is_some_and(|rows| !rows.is_empty()) {
            self.reservation.has_drawn(cost);
        }
        self.booked.set(cost);
    }

    /// Books what the whole answer has cost, and returns the rest of the reservation.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn finish(&self, cost: i64, spend: impl Fn(i64) -> Statement) -> Result<(), Error> {
        let mut batch = vec![spend(cost - self.booked.get())];
        batch.extend(self.reservation.reconcile(cost)?);
        self.database.batch_all(batch).await.map(drop)
    }
}

/// An answer of a model, or its error, and its cost.
#[derive(Debug)]
pub(crate) struct PaidAnswer {
    pub(crate) answer: Result<Response, Error>,
    /// The model that has answered.
    pub(crate) model: String,
    pub(crate) usage: Usage,
    /// 0 if the user's own key paid.
    pub(crate) cost_micro_usd: i64,
}

/// Whether any model can be asked for a user: with a key of the Worker, with
/// the user's own, or the sandbox model of a development Worker.
pub(crate) async fn is_any_open(user: &str, settings: &Settings, database: &Database) -> Result<bool, Error> {
    let is_open = |keys: &Keys| {
        Providers::of(settings)
            .map(|providers| providers.all.iter().any(|provider| provider.is_open_to(keys)))
    };
    Ok(is_open(&Keys::default())? || is_open(&Keys::of_user(user, settings, database).await?)?)
}

/// The default model: `preferred`, else Claude if there is a key, else any model that can do it.
pub(crate) fn default_name(
    preferred: Option<&str>,
    keys: &Keys,
    settings: &Settings,
) -> Result<String, Error> {
    let providers = Providers::of(settings)?;
    Ok(match preferred {
        Some(model) => model.to_owned(),
        None if providers.open_to(keys, "anthropic").is_some() => {
            format!("anthropic/{}", providers.claude_model)
        }
        None => routing::AUTO.to_owned(),
    })
}

/// The tokens of an answer in Claude's events. Those that the provider has not counted, as in an interrupted
/// answer, are estimated: those of the answer from its text and thoughts, those of the question are `prompt_tokens`.
pub(crate) fn counted(message: &Message, prompt_tokens: u64) -> Usage {
    let by_provider = &message.usage;
    let mut usage = Usage {
        input: by_provider.input_tokens,
        cache_read: by_provider.cache_read_input_tokens,
        cache_write: by_provider.cache_creation_input_tokens,
        output: by_provider.output_tokens,
        web_searches: message.web_searches,
        ..Usage::default()
    };
    if !message.is_complete() || !message.has_output_count() {
        // About four bytes of a thought are a token.
        let arrived = hatch_code::tokens(&message.text).saturating_add(message.thinking_bytes / 4);
        usage.output = usage.output.max(arrived);
    }
    if usage.prompt() == 0 {
        usage.input = prompt_tokens;
    }
    usage
}

/// The ability that a request needs, if any, and its words in an error.
fn needed(request: &Request) -> Option<(&'static str, &'static str)> {
    match request.format {
        Some(Format::JsonSchema { .. }) => Some(("structured_output", "answer in a given form")),
        _ if request.tools.is_empty() => None,
        _ => Some(("tools", "use tools")),
    }
}

/// The candidates of this name that can serve the request. Empty if none of them can.
pub(crate) async fn named(
    name: &str,
    request: &Request,
    allowed: Option<&[String]>,
    keys: &Keys,
    settings: &Settings,
    database: &Database,
) -> Result<Result<Vec<Candidate>, hatch_dialects::Error>, Error> {
    let (providers, catalogue) = (Providers::of(settings)?, Catalogue::of(settings, database).await?);
    let (names, preference) = (vec![name], Preference::default());
    let query = RouteQuery { names, preference, prompt_tokens: 0, allowed, keys };
    let found = routing::candidates(&query, request, &catalogue, providers);
    Ok(found.map(|mut found| {
        // The sandbox model answers only if no other can.
        if found.iter().any(|candidate| !candidate.provider.is_sandbox()) {
            found.retain(|candidate| !candidate.provider.is_sandbox());
        }
        if let Some((ability, _)) = needed(request) {
            found.retain(|candidate| candidate.model.can(ability) || candidate.provider.is_sandbox());
        }
        found
    }))
}

/// The candidates for a request, in their order: of the model that the user
/// chose, or of the default one.
///
/// # Errors
/// If none can serve the request, or a budget pays and none has a price.
pub(crate) async fn choose(
    chosen: Option<&str>,
    preferred: Option<&str>,
    request: &Request,
    rules: &AnswerRules<'_>,
) -> Result<Vec<Candidate>, Error> {
    let AnswerRules { payer, keys, settings, database } = *rules;
    let allowed = payer.key.and_then(|(_, limits)| limits.models.as_deref());
    let name = match chosen {
        Some(name) => name.to_owned(),
        None => default_name(preferred, keys, settings)?,
    };
    let mut found = match named(&name, request, allowed, keys, settings, database).await? {
        // A key that may not ask the operator's choice asks one that it may.
        Err(_) if chosen.is_none() && allowed.is_some() => {
            named(routing::AUTO, request, allowed, keys, settings, database).await?
        }
        found => found,
    }?;
    if found.is_empty() {
        let (_, ability) = needed(request).unwrap_or_default();
        let words = format!("The model {name} cannot {ability}, so it cannot do this work");
        return Err(Error::upstream(UpstreamKind::Rejected, words));
    }
    if payer.is_bounded(settings)? {
        let first = found.first().map(|candidate| candidate.model.id.clone());
        found.retain(|candidate| candidate.model.prices.is_some() || is_own(candidate, keys));
        if let (true, Some(first)) = (found.is_empty(), first) {
            return Err(without_price(&first));
        }
    }
    Ok(found)
}

/// No budget pays for a model without a price.
pub(crate) fn without_price(model: &str) -> Error {
    let detail = format!(
        "The price of {model} is not known here, so no budget can pay for it; ask another model, or with a key of your \
         own for its provider: PUT /auth/credentials/{{provider}}"
    );
    Error::Forbidden { code: "model_without_price", detail: detail.into() }
}

/// Whether the user's own key pays for a candidate's answer.
fn is_own(candidate: &Candidate, keys: &Keys) -> bool {
    keys.has(&candidate.provider.name)
}

/// Reserves the most that an answer of at most `longest` tokens can cost, or of
/// fewer if the budgets do not suffice. None if `left`, the bound of the work
/// itself, does not suffice.
///
/// # Errors
/// [`Error::TooManyRequests`] if the budget of the payer is spent.
pub(crate) async fn afford(
    request: &Request,
    longest: Option<u64>,
    candidates: &[Candidate],
    left: i64,
    rules: &AnswerRules<'_>,
) -> Result<Option<Allowance>, Error> {
    let prompt = estimate_prompt(request);
    let ours = candidates.iter().filter(|candidate| !is_own(candidate, rules.keys));
    let ours: Vec<&Candidate> = ours.collect();
    let [first, ..] = LENGTHS;
    let longest = longest.unwrap_or(first);
    if ours.is_empty() {
        return Ok(Some(Allowance { max_tokens: longest, reservation: Reservation::none(&rules.payer) }));
    }
    let mut refused = None;
    let shorter = LENGTHS.into_iter().filter(|length| *length < longest);
    for max_tokens in [longest].into_iter().chain(shorter) {
        let most = |candidate: &&Candidate| {
            let limit = u64::try_from(candidate.model.max_output).ok().filter(|tokens| *tokens > 0);
            let output = limit.map_or(max_tokens, |limit| limit.min(max_tokens));
            candidate.model.most_micro_usd(prompt, output)
        };
        let most = ours.iter().filter_map(most).max().unwrap_or_default();
        if most > left {
            continue;
        }
        match rules.payer.reserve(most, rules.settings, rules.database).await {
            Err(error @ Error::TooManyRequests(_)) => refused = Some(error),
            other => return other.map(|reservation| Some(Allowance { max_tokens, reservation })),
        }
    }
    refused.map_or(Ok(None), Err)
}

/// Asks for an answer and reads it to its end. `so_far` gets the text that has
/// arrived and its estimated cost, when the answer begins and then every few
/// seconds. The caller books the cost.
pub(crate) async fn answer(
    mut request: Request,
    candidates: Vec<Candidate>,
    allowance: &Allowance,
    who: &str,
    rules: &AnswerRules<'_>,
    so_far: impl AsyncFn(&str, i64),
) -> Result<PaidAnswer, Error> {
    request.max_tokens = Some(allowance.max_tokens);
    request.stream = true;
    let seconds = u64::try_from(now_ms() / 1_000).unwrap_or_default();
    let question = Question {
        request: &request,
        body: None,
        client: Dialect::Messages,
        reply: Reply::new(&request, rules.payer.subject.replace('-', ""), seconds),
        // A stream shows what an interrupted answer has cost.
        is_live: true,
        is_lenient: true,
        keys: rules.keys,
        anthropic: None,
        watched: None,
        within_ms: ask::WHOLE_MS,
        filter: &|| None,
    };
    let asked = ask::ask(&question, candidates, Providers::of(rules.settings)?).await;
    let (answer, answered) = match asked {
        Ok(answered) => answered,
        Err(FailedCall { error, retry_after_s, model, .. }) => {
            return Ok(PaidAnswer {
                answer: Err(described(&error, retry_after_s, who)),
                model: model.unwrap_or_default(),
                usage: Usage::default(),
                cost_micro_usd: 0,
            });
        }
    };
    let candidate = &answered.candidate;
    let cost = |usage: &Usage| match is_own(candidate, rules.keys) {
        true => 0,
        false => candidate.model.cost_micro_usd(usage).unwrap_or_default(),
    };
    let prompt = estimate_prompt(&request);
    let (answer, usage) = match answer {
        ModelResponse::Whole { response, .. } => {
            let usage = response.usage.unwrap_or(Usage { input: prompt, ..Usage::default() });
            (Ok(*response), usage)
        }
        ModelResponse::Live(live) => {
            let stream = Arriving { live: *live, upstream: answered.upstream, prompt };
            let so_far = async |text: &str, usage: &Usage| so_far(text, cost(usage)).await;
            stream.collect(rules.settings, who, so_far).await
        }
    };
    Ok(PaidAnswer { answer, cost_micro_usd: cost(&usage), usage, model: candidate.model.id.clone() })
}

/// An answer while it arrives.
struct Arriving {
    live: Live,
    upstream: Dialect,
    /// The estimated tokens of the prompt.
    prompt: u64,
}

impl Arriving {
    async fn collect(
        self,
        settings: &Settings,
        who: &str,
        so_far: impl AsyncFn(&str, &Usage),
    ) -> (Result<Response, Error>, Usage) {
        let source = self.live.source;
        let report = async |reader: &RefCell<Reader>, new: &[u8]| {
            reader.borrow_mut().push(new);
            let (text, usage) = {
                let reader = reader.borrow();
                (reader.text(), reader.meter().charged(self.prompt).0)
            };
            so_far(&text, &usage).await;
        };
        report(&RefCell::new(Reader::new(self.upstream)), source.first()).await;
        let arriving = RefCell::new(Reader::new(self.upstream));
        let deadlines = Deadlines { idle_ms: settings.timeouts.idle_ms, after_client_ms: ANSWER_MS };
        let outcome = source.collect(deadlines, async |new| report(&arriving, &new).await).await;
        let mut reader = Reader::new(self.upstream);
        reader.push(&outcome.received);
        let (usage, _) = reader.meter().charged(self.prompt);
        let answer = reader.finish().map_err(|error| match outcome.end {
            End::Stalled => {
                let words = format!("{who} fell silent in the middle of the answer");
                Error::upstream(UpstreamKind::Timeout, words)
            }
            End::Abandoned => {
                Error::upstream(UpstreamKind::Timeout, format!("{who} did not come to an end in time"))
            }
            _ => described(&error, None, who),
        });
        (answer, usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_are_not_counted_are_estimated_and_never_free() {
        let answer = |usage: &str| {
            let text = "x".repeat(30_000);
            let start = format!(r#"data: {{"type":"message_start","message":{{"model":"claude"{usage}}}}}"#);
            let delta = format!(
                r#"data: {{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#
            );
            let end = r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":null}"#;
            let stop = r#"data: {"type":"message_stop"}"#;
            Message::of(format!("{start}\n\n{delta}\n\n{end}\n\n{stop}\n\n").as_bytes())
        };
        for usage in ["", r#","usage":null"#, r#","usage":{"output_tokens":1}"#] {
            let usage = counted(&answer(usage), 1_000);
            assert!(usage.input == 1_000 && usage.output > 30_000 / 5, "{usage:?}");
        }
    }

    #[test]
    fn thoughts_without_a_word_of_the_answer_are_not_free() {
        let thought = r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Well, well."}}"#;
        let message = Message::of(format!("{thought}\n\n").repeat(1_000).as_bytes());
        assert!(message.text.is_empty() && !message.is_empty());
        assert!(counted(&message, 10).output > 2_000);
    }
}
