//! Decodes the events of a message.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    Error, Event, Json, Usage,
    json::Raw,
    piece::Piece,
    request::Thinking,
    response::{CallStart, PartKind, Stop, StopReason},
    sse::Frame,
    usage, write,
};

#[derive(Debug, Default)]
pub(crate) struct Decoder {
    has_started: bool,
    is_over: bool,
    next_part: u32,
    /// Open blocks by index.
    blocks: BTreeMap<u64, Block>,
    has_called: bool,
    stop: Option<Stop>,
    usage: Option<Usage>,
}

#[derive(Debug)]
struct Block {
    piece: Piece,
    /// The input in the start event, for a call whose input does not come in
    /// pieces.
    input: Option<Json>,
    kind: BlockKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlockKind {
    Text,
    Thinking,
    Call,
    /// Blocks that no other dialect has: tools that ran at Anthropic.
    Other,
}

impl Decoder {
    pub(crate) fn frame(&mut self, frame: Frame<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let Some(raw) = Raw::parse(frame.data).filter(|raw| raw.is_object()) else {
            return self.fail(Error::malformed(), sink);
        };
        let (mut kind, mut index, mut delta, mut block, mut message, mut counts) =
            (Cow::Borrowed(frame.name), 0, None, None, None, None);
        for (name, value) in raw.members() {
            match name.as_ref() {
                "type" => kind = value.as_str().unwrap_or_default(),
                "index" => index = value.as_u64().unwrap_or_default(),
                "delta" => delta = Some(value),
                "content_block" => block = Some(value),
                "message" => message = Some(value),
                "usage" => counts = Some(value),
                "error" if kind.is_empty() => kind = Cow::Borrowed("error"),
                _ => {}
            }
        }
        match (kind.as_ref(), delta, block) {
            ("content_block_delta", Some(delta), _) => self.delta(index, delta, sink),
            ("content_block_start", _, Some(block)) => self.start_block(index, block, sink),
            ("content_block_stop", ..) => self.stop_block(index, sink),
            ("message_start", ..) => self.start(message, sink),
            ("message_delta", delta, _) => self.message_delta(delta, counts),
            ("message_stop", ..) => self.finish(sink),
            ("error", ..) => self.fail(Error::of_event(raw), sink),
            _ => {}
        }
    }

    /// The stream ended before `message_stop`.
    pub(crate) fn end(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        self.fail(Error::cut(), sink);
    }

    pub(crate) fn fail(&mut self, error: Error, sink: &mut dyn FnMut(Event<'_>)) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        if let Some(usage) = self.usage {
            sink(Event::Usage(usage));
        }
        sink(Event::Error(error));
    }

    fn start(&mut self, message: Option<Raw<'_>>, sink: &mut dyn FnMut(Event<'_>)) {
        // A second start event adds nothing.
        if std::mem::replace(&mut self.has_started, true) {
            return;
        }
        let text = |name: &str| message.and_then(|message| message.get_str(name)).unwrap_or_default();
        sink(Event::Start { id: text("id"), model: text("model") });
        self.count(message.and_then(|message| message.get("usage")));
        if let Some(usage) = self.usage {
            sink(Event::Usage(usage));
        }
    }

    fn count(&mut self, counts: Option<Raw<'_>>) {
        if let Some(counts) = counts.filter(|counts| counts.is_object()) {
            usage::update_from_anthropic(self.usage.get_or_insert_default(), counts);
        }
    }

    fn start_block(&mut self, index: u64, raw: Raw<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let part = self.next_part;
        let kind = raw.get_str("type").unwrap_or_default();
        let begin = |kind: PartKind<'_>, sink: &mut dyn FnMut(Event<'_>)| {
            sink(Event::PartStart { part, choice: 0, kind });
        };
        let mut block = Block { piece: Piece::new(part), input: None, kind: BlockKind::Other };
        match kind.as_ref() {
            "text" => {
                begin(PartKind::TEXT, sink);
                block.kind = BlockKind::Text;
                raw.get("text").into_iter().for_each(|text| block.piece.push(text, sink));
            }
            "thinking" => {
                begin(PartKind::Thinking, sink);
                block.kind = BlockKind::Thinking;
                raw.get("thinking").into_iter().for_each(|text| block.piece.push(text, sink));
                sign(part, raw.get_str("signature"), sink);
            }
            "redacted_thinking" => {
                let data = raw.get_str("data").unwrap_or_default().into_owned();
                begin(PartKind::Sealed(Thinking::Redacted { data }), sink);
                block.kind = BlockKind::Thinking;
            }
            "tool_use" => {
                let (id, name) =
                    (raw.get_str("id").unwrap_or_default(), raw.get_str("name").unwrap_or_default());
                begin(PartKind::ToolCall(CallStart { id, name, ..CallStart::default() }), sink);
                self.has_called = true;
                block.kind = BlockKind::Call;
                let input = raw.get("input").filter(|input| input.members().next().is_some());
                block.input = input.map(Json::from);
            }
            _ => sink(Event::Working),
        }
        if block.kind != BlockKind::Other {
            self.next_part = part.saturating_add(1);
        }
        if let Some(mut before) = self.blocks.insert(index, block)
            && before.kind != BlockKind::Other
        {
            before.piece.end(sink);
        }
    }

    fn delta(&mut self, index: u64, delta: Raw<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let Some(block) = self.blocks.get_mut(&index) else { return };
        for (name, value) in delta.members() {
            match (name.as_ref(), block.kind) {
                ("text", BlockKind::Text) | ("thinking", BlockKind::Thinking) => {
                    block.piece.push(value, sink)
                }
                ("partial_json", BlockKind::Call) => {
                    let input = &mut block.input;
                    block.piece.push_and(value, |_| *input = None, sink);
                }
                ("signature", BlockKind::Thinking) => sign(block.piece.part(), value.as_str(), sink),
                ("citation", BlockKind::Text) => cite(block.piece.part(), value, sink),
                _ => {}
            }
        }
    }

    fn stop_block(&mut self, index: u64, sink: &mut dyn FnMut(Event<'_>)) {
        let Some(mut block) = self.blocks.remove(&index) else { return };
        if block.kind == BlockKind::Other {
            return;
        }
        if let Some(input) = &block.input {
            block.piece.push_text(Cow::Borrowed(input.as_str()), sink);
        }
        block.piece.end(sink);
    }

    fn message_delta(&mut self, delta: Option<Raw<'_>>, counts: Option<Raw<'_>>) {
        self.count(counts);
        let Some(delta) = delta else { return };
        let Some(reason) = delta.get_str("stop_reason") else { return };
        self.stop = Some(stop(&reason, delta));
    }

    fn finish(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        if self.is_over {
            return;
        }
        for index in self.blocks.keys().copied().collect::<Vec<_>>() {
            self.stop_block(index, sink);
        }
        let default = if self.has_called { StopReason::ToolCalls } else { StopReason::End };
        let stop = self.stop.take().unwrap_or_else(|| default.into());
        sink(Event::Finish { choice: 0, stop });
        if let Some(usage) = self.usage {
            sink(Event::Usage(usage));
        }
        self.is_over = true;
        sink(Event::End);
    }
}

fn sign(part: u32, signature: Option<Cow<'_, str>>, sink: &mut dyn FnMut(Event<'_>)) {
    if let Some(signature) = signature.filter(|signature| !signature.is_empty()) {
        sink(Event::Signature { part, signature });
    }
}

/// Emits a citation of a web page. Other citations point into the request's
/// documents, which OpenAI's annotations cannot express.
fn cite(part: u32, citation: Raw<'_>, sink: &mut dyn FnMut(Event<'_>)) {
    let Some(url) = citation.get_str("url") else { return };
    let title = citation.get_str("title").unwrap_or_default();
    let json = write::object(|o| {
        o.str("url", &url);
        o.str("title", &title);
    });
    if let Some(json) = Json::parse(&json) {
        sink(Event::Annotation { part, json });
    }
}

/// Why a message ended: its `stop_reason` and the details next to it.
pub(crate) fn stop(reason: &str, of: Raw<'_>) -> Stop {
    let details = of.get("stop_details");
    let detail = |name: &str| details.and_then(|details| details.get_str(name)).map(Cow::into_owned);
    Stop {
        reason: match reason {
            "max_tokens" => StopReason::Length,
            "tool_use" => StopReason::ToolCalls,
            "stop_sequence" => StopReason::StopSequence,
            "refusal" => StopReason::Refusal,
            "pause_turn" => StopReason::Pause,
            "model_context_window_exceeded" => StopReason::Context,
            _ => StopReason::End,
        },
        sequence: of.get_str("stop_sequence").map(Cow::into_owned),
        explanation: detail("explanation"),
        category: detail("category"),
    }
}
