//! Turns a model name, or `auto`, into an ordered list of candidates.

use std::cmp::Reverse;

use hatch_dialects::{
    Abilities, Class, Dialect, Error, Request,
    request::{Content, Format, Message, Part, Role, ToolChoice, ToolKind},
};

use super::{
    catalogue::Catalogue, health, keys::Keys, model::Model, providers::Provider, settings::Providers,
};

/// What `auto` prefers (`x-gateway-route`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Preference {
    #[default]
    Balanced,
    Cost,
    Speed,
    Quality,
}

impl Preference {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "cost" => Some(Self::Cost),
            "speed" => Some(Self::Speed),
            "quality" => Some(Self::Quality),
            "balanced" => Some(Self::Balanced),
            _ => None,
        }
    }
}

/// What the caller asks for, and what bounds the choice of models.
#[derive(Debug)]
pub(crate) struct RouteQuery<'a> {
    /// The names of models, in the caller's order.
    pub(crate) names: Vec<&'a str>,
    pub(crate) preference: Preference,
    /// The estimated length of the prompt.
    pub(crate) prompt_tokens: u64,
    /// The ids and patterns (`openai/*`) that the caller's key allows. None allows all.
    pub(crate) allowed: Option<&'a [String]>,
    /// The caller's own keys.
    pub(crate) keys: &'a Keys,
}

/// A model and its provider.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) provider: &'static Provider,
    pub(crate) model: Model,
    /// The client has not written its request for it: it is asked in place of another, or chosen by `auto`.
    pub(crate) is_substitute: bool,
}

/// The model name that leaves the choice to the router.
pub(crate) const AUTO: &str = "auto";

/// The models to ask, in their order.
///
/// # Errors
/// 404 for an unknown name, 403 if the key allows none of the models, 400 if no
/// model of `auto` can serve the request.
pub(crate) fn candidates(
    query: &RouteQuery<'_>,
    request: &Request,
    catalogue: &Catalogue,
    providers: &'static Providers,
) -> Result<Vec<Candidate>, Error> {
    let mut found: Vec<Candidate> = Vec::new();
    for (place, name) in query.names.iter().enumerate() {
        let named = match *name {
            AUTO => automatic(query, request, catalogue, providers)?,
            name => vec![resolve(name, catalogue, providers, query.keys)?],
        };
        for mut candidate in named {
            candidate.is_substitute |= place > 0;
            if found.iter().all(|known| known.model.id != candidate.model.id) {
                found.push(candidate);
            }
        }
    }
    found.retain(|candidate| is_allowed(&candidate.model.id, query.allowed));
    if found.is_empty() {
        let names = query.names.join(", ");
        return Err(Error::new(Class::Permission, format!("This API key may not ask {names}")));
    }
    Ok(found)
}

/// Whether these patterns of a key allow a model.
pub(crate) fn is_allowed(id: &str, allowed: Option<&[String]>) -> bool {
    let fits = |pattern: &String| match pattern.strip_suffix('*') {
        Some(start) => id.starts_with(start),
        None => id == pattern || id.split_once('/').is_some_and(|(_, name)| name == pattern),
    };
    allowed.is_none_or(|patterns| patterns.iter().any(fits))
}

/// Finds the model of `provider/name`, or of a name in the catalogue.
pub(crate) fn resolve(
    name: &str,
    catalogue: &Catalogue,
    providers: &'static Providers,
    keys: &Keys,
) -> Result<Candidate, Error> {
    let with_provider = |model: &Model| {
        providers.open_to(keys, &model.provider).map(|provider| Candidate::named(provider, model.clone()))
    };
    let known = |wanted: &str| {
        let is_it = |model: &&Model| model.id == wanted || model.name == wanted;
        catalogue.models.iter().filter(is_it).find_map(with_provider)
    };
    // A name with a date is one edition of the model without it, or of what is called the latest.
    let edition = |rest: &str| known(rest).or_else(|| known(&format!("{rest}-latest")));
    if let Some(candidate) = known(name).or_else(|| undated(name).and_then(edition)) {
        // The provider gets a dated name as the caller wrote it.
        let is_dated = candidate.model.id != name && candidate.model.name != name;
        let wanted = name.split_once('/').map_or(name, |(_, name)| name);
        return Ok(if is_dated { candidate.called(wanted) } else { candidate });
    }
    if let Some((provider, rest)) = name.split_once('/')
        && let Some(provider) = providers.open_to(keys, provider)
        && !rest.is_empty()
    {
        return Ok(Candidate::named(provider, provider.unknown_model(rest)));
    }
    Err(not_found(name, providers, keys))
}

/// Cuts off a date: `claude-haiku-4-5-20251001`, `gpt-6-2026-10-01`.
fn undated(name: &str) -> Option<&str> {
    ["-dddddddd", "-dddd-dd-dd"].into_iter().find_map(|date| {
        let (rest, end) = name.split_at_checked(name.len().checked_sub(date.len())?)?;
        let is_date = end.bytes().zip(date.bytes()).all(|(byte, of)| match of {
            b'd' => byte.is_ascii_digit(),
            mark => byte == mark,
        });
        (is_date && !rest.is_empty()).then_some(rest)
    })
}

fn not_found(name: &str, providers: &Providers, keys: &Keys) -> Error {
    let shown: String = name.chars().take(100).collect();
    let open = providers.all.iter().filter(|provider| provider.is_open_to(keys));
    let names: Vec<&str> = open.map(|provider| provider.name.as_str()).collect();
    let hint = match names.as_slice() {
        [] => "no provider is set up here; set CLAUDE_API_KEY, OPENAI_API_KEY or PROVIDERS".to_owned(),
        names => format!("GET /v1/models lists what there is; the providers here are {}", names.join(", ")),
    };
    Error::new(Class::NotFound, format!("The model '{shown}' does not exist here: {hint}"))
        .with_code("model_not_found")
}

impl Candidate {
    pub(crate) fn named(provider: &'static Provider, model: Model) -> Self {
        Self { provider, model, is_substitute: false }
    }

    /// The name in an answer to who asked for this one: the same, unless the client has not named this model.
    pub(super) fn name_for<'a>(&'a self, asked: &'a str) -> &'a str {
        if self.model.id == asked || self.model.name == asked { asked } else { &self.model.id }
    }

    fn called(mut self, name: &str) -> Self {
        name.clone_into(&mut self.model.name);
        self
    }

    /// Whether it has to be asked by Responses: OpenAI's models that think call functions by it alone, whatever the
    /// effort is (`Function tools with reasoning_effort are not supported … in /v1/chat/completions`).
    pub(super) fn needs_responses(&self, request: &Request) -> bool {
        let calls_functions = request.tools.iter().any(|tool| matches!(tool.kind, ToolKind::Function { .. }));
        calls_functions
            && self.model.can("reasoning")
            && self.provider.dialect_for(Dialect::Responses) == Dialect::Responses
    }

    /// Whether it is asked in place of another, and Anthropic's API would refuse for it what the client has written for
    /// that one, such as Claude Code's instructions in the middle: the request has to be written anew.
    pub(super) fn refuses_as_written(&self, request: &Request) -> bool {
        self.is_substitute
            && request.dialect == Some(Dialect::Messages)
            && self.provider.dialect_for(Dialect::Messages) == Dialect::Messages
            && (self.thinks_too_long(request)
                || refuses_own_body(request, &self.provider.target(&self.model, false, false).can))
    }

    /// Whether the budget for thinking is as long as the longest answer, of which it has to be a part.
    fn thinks_too_long(&self, request: &Request) -> bool {
        let budget = request.reasoning.as_ref().and_then(|reasoning| reasoning.budget_tokens);
        self.model.longest_answer().is_some_and(|most| budget.is_some_and(|budget| budget >= most))
    }

    /// Whether it refuses one of the request's `settings`, a tool that it has to call, or what only Chat Completions
    /// has: several answers, and stop sequences where it is asked by Responses.
    fn refuses(&self, request: &Request, settings: &[&str]) -> bool {
        let is_forced = request.tool_choice.as_ref().is_some_and(ToolChoice::is_forced);
        let can = self.provider.target(&self.model, false, false).can;
        let needs_responses = self.needs_responses(request);
        let is_by_chat = !needs_responses && self.provider.dialect_for(Dialect::Chat) == Dialect::Chat;
        settings.iter().any(|name| self.provider.refuses(&self.model, name))
            || is_forced && !can.forced_tools
            || request.n > Some(1) && !is_by_chat
            || !request.stop.is_empty() && needs_responses
            || self.provider.dialect_for(request.dialect.unwrap_or(Dialect::Chat)) == Dialect::Messages
                && (request.has_prefill() && !can.prefill || refuses_own_body(request, &can))
    }
}

/// Whether Anthropic's API refuses for a model of these abilities what its own client has written. The body passes as it is:
/// with a setting that only says the default, with one form of thinking, and with instructions in the middle.
fn refuses_own_body(request: &Request, can: &Abilities) -> bool {
    if request.dialect != Some(Dialect::Messages) {
        return false;
    }
    let has_sampling = request.temperature.is_some() || request.top_p.is_some() || request.top_k.is_some();
    let reasoning = request.reasoning.as_ref();
    let mode = reasoning.and_then(|reasoning| reasoning.mode);
    let has_effort = reasoning.is_some_and(|reasoning| reasoning.effort.is_some());
    let is_instruction = |message: &&Message| message.role == Role::System;
    let has_late_instruction =
        request.messages.iter().skip_while(is_instruction).any(|one| is_instruction(&one));
    has_sampling && !can.sampling
        || mode.is_some_and(|mode| !can.takes_thinking(mode))
        || has_effort && !can.adaptive_thinking
        || has_late_instruction && !can.mid_system
}

/// All models that can serve the request, the best first. Those that refuse one of its settings come last: they
/// are for clients that let it be left out.
fn automatic(
    query: &RouteQuery<'_>,
    request: &Request,
    catalogue: &Catalogue,
    providers: &'static Providers,
) -> Result<Vec<Candidate>, Error> {
    let needed = needs(request);
    let can = |model: &&Model| {
        let room = u64::try_from(model.context).unwrap_or_default();
        model.is_for_auto()
            && query.prompt_tokens <= room
            && needed.iter().all(|need| model.can(need))
            && is_allowed(&model.id, query.allowed)
    };
    let settings = request.refused_by_thinking();
    let mut found: Vec<((bool, Reverse<i64>), Candidate)> = Vec::new();
    for model in catalogue.models.iter().filter(can) {
        if let Some(provider) = providers.open_to(query.keys, &model.provider) {
            let score = score(model, query.preference, health::first_token_ms(&model.id));
            let candidate = Candidate { is_substitute: true, ..Candidate::named(provider, model.clone()) };
            found.push(((candidate.refuses(request, &settings), Reverse(score)), candidate));
        }
    }
    found.sort_by(|(rank, one), (of_other, other)| {
        rank.cmp(of_other).then_with(|| one.model.id.cmp(&other.model.id))
    });
    if found.is_empty() {
        let needs = if needed.is_empty() { "a prompt of this length".to_owned() } else { needed.join(", ") };
        let words =
            format!("no model that `auto` may choose can do what is asked ({needs}): name a model that can");
        return Err(Error::unsupported("model", words));
    }
    Ok(found.into_iter().map(|(_, candidate)| candidate).take(MOST_AUTOMATIC).collect())
}

/// The most candidates that `auto` yields.
const MOST_AUTOMATIC: usize = 4;

/// The abilities that the request needs.
fn needs(request: &Request) -> Vec<&'static str> {
    let parts = || request.messages.iter().flat_map(|message| &message.parts);
    let any = |is: fn(&Content) -> bool| {
        parts().any(|part: &Part| match &part.content {
            Content::ToolResult(result) => result.parts.iter().any(|part| is(&part.content)),
            content => is(content),
        })
    };
    let mut needs = Vec::new();
    if !request.tools.is_empty() {
        needs.push("tools");
    }
    if any(|content| matches!(content, Content::Image(_))) {
        needs.push("images");
    }
    if any(|content| matches!(content, Content::Document(_))) {
        needs.push("documents");
    }
    if any(|content| matches!(content, Content::Audio { .. })) {
        needs.push("audio_input");
    }
    if request.wants_audio() {
        needs.push("audio_output");
    }
    if matches!(request.format, Some(Format::JsonSchema { .. })) {
        needs.push("structured_output");
    }
    needs
}

/// Higher is better. Quality, speed and price count 0 to 100 each.
fn score(model: &Model, preference: Preference, first_token_ms: Option<i64>) -> i64 {
    let quality = model.quality.saturating_mul(20);
    let listed = model.speed.saturating_mul(20);
    // A recent measurement is better than the catalogue's figure.
    let speed = first_token_ms.map_or(listed, |ms| (100_000 / (ms + 1_000)).clamp(0, 100));
    // One dollar for a million tokens gives 50, ten dollars give 9.
    let price = model.prices.map_or(10_000_000, |prices| prices.input.saturating_add(prices.output) / 2);
    let cheap = i64::try_from(100_000_000 / (price + 1_000_000)).unwrap_or_default();
    let [a, b, c] = match preference {
        Preference::Balanced => [4, 2, 4],
        Preference::Cost => [1, 1, 8],
        Preference::Speed => [1, 8, 1],
        Preference::Quality => [8, 1, 1],
    };
    quality.saturating_mul(a).saturating_add(speed.saturating_mul(b)).saturating_add(cheap.saturating_mul(c))
}

#[cfg(test)]
mod tests {
    use hatch_dialects::InboundContext;

    use super::*;
    use crate::settings::{FromVars as _, Settings};

    const PROVIDERS: &str = r#"[
      {"name":"cheap","base_url":"http://a.test","dialect":"openai","models":[
        {"id":"small","context":10000,"max_output":1000,"input":0.1,"output":0.2,"capabilities":["tools"]}]},
      {"name":"dear","base_url":"http://b.test","dialect":"anthropic","models":[
        {"id":"large","context":900000,"max_output":1000,"input":10,"output":50,"capabilities":["tools","images"]}]}]"#;

    fn route(
        names: &[&str],
        tokens: u64,
        allowed: Option<&[String]>,
        request: &Request,
    ) -> Result<Vec<String>, Error> {
        let settings = Settings::for_test(&[("PROVIDERS", PROVIDERS)]);
        let providers = Providers::of(&settings).unwrap();
        let mut catalogue = Catalogue::new(Vec::new(), providers);
        catalogue.models.iter_mut().filter(|m| m.name == "large").for_each(|m| m.quality = 5);
        catalogue.models.push(Model::for_test("gone/model"));
        let query = RouteQuery {
            names: names.to_vec(),
            preference: Preference::default(),
            prompt_tokens: tokens,
            allowed,
            keys: &Keys::default(),
        };
        let found = candidates(&query, request, &catalogue, providers)?;
        Ok(found.into_iter().map(|candidate| candidate.model.id).collect())
    }

    /// The models that `auto` asks for a request, in their order.
    fn automatically(request: &Request, catalogue: &Catalogue, providers: &'static Providers) -> Vec<String> {
        let query = RouteQuery {
            names: vec![AUTO],
            preference: Preference::default(),
            prompt_tokens: 1,
            allowed: None,
            keys: &Keys::default(),
        };
        let found = candidates(&query, request, catalogue, providers).unwrap();
        found.into_iter().map(|candidate| candidate.model.id).collect()
    }

    #[test]
    fn names_and_ids_become_candidates_in_their_order() {
        let request = Request::default();
        assert_eq!(route(&["small"], 1, None, &request).unwrap(), ["cheap/small"]);
        assert_eq!(
            route(&["dear/large", "small", "large"], 1, None, &request).unwrap(),
            ["dear/large", "cheap/small"]
        );
        assert_eq!(route(&["cheap/of/tomorrow"], 1, None, &request).unwrap(), ["cheap/of/tomorrow"]);
        for unknown in ["", "model", "gone/model", "nobody/x", "cheap/"] {
            assert_eq!(route(&[unknown], 1, None, &request).unwrap_err().class, Class::NotFound, "{unknown}");
        }
    }

    #[test]
    fn auto_takes_models_that_can_serve_the_request_and_prefers_cheap_and_good_ones() {
        let request = Request::default();
        assert_eq!(route(&["auto"], 1, None, &request).unwrap(), ["cheap/small", "dear/large"]);
        assert_eq!(route(&["auto"], 20_000, None, &request).unwrap(), ["dear/large"]);
        assert_eq!(route(&["auto"], 2_000_000, None, &request).unwrap_err().class, Class::Invalid);
        let body = br#"{"model":"auto","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x.test/a.png"}}]}]}"#;
        let picture = hatch_dialects::Dialect::Chat
            .parse_request(body, &hatch_dialects::InboundContext::default())
            .unwrap();
        assert_eq!(route(&["auto"], 1, None, &picture).unwrap(), ["dear/large"]);
    }

    #[test]
    fn auto_takes_models_that_refuse_a_forced_tool_or_a_stop_sequence_beside_tools_last() {
        let keys = [("CLAUDE_API_KEY", "a"), ("OPENAI_API_KEY", "b")];
        let providers = Providers::of(&Settings::for_test(&keys)).unwrap();
        let mut catalogue = Catalogue::new(Vec::new(), providers);
        let can = |id: &str, more: &[&str]| {
            let mut model = Model::for_test(id);
            model.capabilities = ["tools"].iter().chain(more).map(|name| (*name).to_owned()).collect();
            model
        };
        catalogue.models = vec![
            can("anthropic/a", &[]),
            can("anthropic/b", &["forced_tools"]),
            can("openai/a", &["sampling", "reasoning"]),
            can("openai/b", &["sampling"]),
        ];
        let route = |choice: Option<ToolChoice>, stop: &[&str]| {
            let body = r#"{"model":"auto","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}]}"#;
            let mut request =
                Dialect::Chat.parse_request(body.as_bytes(), &InboundContext::default()).unwrap();
            (request.tool_choice, request.stop) =
                (choice, stop.iter().map(|stop| (*stop).to_owned()).collect());
            automatically(&request, &catalogue, providers)
        };
        assert_eq!(route(None, &[]), ["anthropic/a", "anthropic/b", "openai/a", "openai/b"]);
        let forced = route(Some(ToolChoice::Required), &[]);
        assert_eq!(forced, ["anthropic/b", "openai/a", "openai/b", "anthropic/a"]);
        assert_eq!(route(None, &["END"]), ["anthropic/a", "anthropic/b", "openai/b", "openai/a"]);
    }

    #[test]
    fn auto_takes_models_that_refuse_a_setting_last() {
        let keys = [("CLAUDE_API_KEY", "a"), ("OPENAI_API_KEY", "b")];
        let providers = Providers::of(&Settings::for_test(&keys)).unwrap();
        let mut catalogue = Catalogue::new(Vec::new(), providers);
        let mut plain = Model::for_test("openai/plain");
        plain.capabilities.push("sampling".to_owned());
        catalogue.models = vec![Model::for_test("anthropic/a"), Model::for_test("openai/a"), plain];
        let route = |request: &Request| automatically(request, &catalogue, providers);
        let stop = Request { stop: vec!["END".to_owned()], ..Request::default() };
        let cool = Request { temperature: Some(0.2), ..Request::default() };
        assert_eq!(route(&Request::default()), ["anthropic/a", "openai/a", "openai/plain"]);
        assert_eq!(route(&stop), ["anthropic/a", "openai/plain", "openai/a"]);
        assert_eq!(route(&cool), ["openai/plain", "anthropic/a", "openai/a"]);
    }

    #[test]
    fn auto_takes_models_that_refuse_the_body_of_anthropics_client_last() {
        let keys = [("CLAUDE_API_KEY", "a"), ("OPENAI_API_KEY", "b")];
        let providers = Providers::of(&Settings::for_test(&keys)).unwrap();
        let mut catalogue = Catalogue::new(Vec::new(), providers);
        let can = |id: &str, more: &[&str]| {
            let mut model = Model::for_test(id);
            model.capabilities = more.iter().map(|name| (*name).to_owned()).collect();
            model
        };
        catalogue.models = vec![
            can("anthropic/new", &["reasoning", "adaptive_thinking", "mid_system"]),
            can("anthropic/old", &["reasoning", "prefill", "sampling"]),
            can("openai/a", &[]),
        ];
        let route = |dialect: Dialect, messages: &str, more: &str| {
            let body = format!(r#"{{"model":"auto","max_tokens":9,"messages":[{messages}]{more}}}"#);
            let request = dialect.parse_request(body.as_bytes(), &InboundContext::default()).unwrap();
            automatically(&request, &catalogue, providers)
        };
        let hi = r#"{"role":"user","content":"x"}"#;
        let (new_first, old_first) =
            (["anthropic/new", "anthropic/old", "openai/a"], ["anthropic/old", "openai/a", "anthropic/new"]);
        assert_eq!(route(Dialect::Messages, hi, ""), new_first);
        for more in
            [r#","temperature":1"#, r#","top_k":5"#, r#","thinking":{"type":"enabled","budget_tokens":1024}"#]
        {
            assert_eq!(route(Dialect::Messages, hi, more), old_first, "{more}");
        }
        for more in [r#","thinking":{"type":"adaptive"}"#, r#","output_config":{"effort":"low"}"#] {
            assert_eq!(
                route(Dialect::Messages, hi, more),
                ["anthropic/new", "openai/a", "anthropic/old"],
                "{more}"
            );
        }
        let late = r#"{"role":"user","content":"x"},{"role":"system","content":"y"}"#;
        assert_eq!(route(Dialect::Messages, late, ""), ["anthropic/new", "openai/a", "anthropic/old"]);
        // What is written anew for a model leaves out what only says the default.
        assert_eq!(route(Dialect::Chat, hi, r#","temperature":1"#), new_first);
        let prefill = r#"{"role":"user","content":"x"},{"role":"assistant","content":"y"}"#;
        for dialect in [Dialect::Messages, Dialect::Chat] {
            assert_eq!(route(dialect, prefill, ""), old_first);
        }
    }

    #[test]
    fn a_key_reaches_only_the_models_that_it_allows() {
        let request = Request::default();
        let only = ["cheap/*".to_owned()];
        assert_eq!(route(&["auto"], 1, Some(&only), &request).unwrap(), ["cheap/small"]);
        assert_eq!(route(&["large"], 1, Some(&only), &request).unwrap_err().class, Class::Permission);
        assert!(is_allowed("cheap/small", Some(&["small".to_owned()])));
        assert!(!is_allowed("cheap/small-2", Some(&["small".to_owned()])));
    }

    #[test]
    fn a_dated_name_means_the_model_without_the_date() {
        assert_eq!(undated("claude-haiku-4-5-20251001"), Some("claude-haiku-4-5"));
        assert_eq!(undated("gpt-6-luna-2026-10-01"), Some("gpt-6-luna"));
        for plain in ["gpt-6", "claude-sonnet-5-5", "m"] {
            assert_eq!(undated(plain), None, "{plain}");
        }
    }
}
