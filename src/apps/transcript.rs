//! The steps of a turn: the model's answers and the results of its tool calls,
//! as they are stored and as the model gets them again. Pure.

use hatch_dialects::{
    Response,
    request::{Content, Message, Part, Role, Thinking, ToolCall, ToolResult},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An answer of the model, and the results of its calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Step {
    #[serde(rename = "said")]
    pub(super) parts: Vec<AnswerPart>,
    pub(super) results: Vec<CallResult>,
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(super) enum AnswerPart {
    Text {
        text: String,
    },
    /// Signed reasoning, which the provider accepts only unchanged.
    Thought {
        text: String,
        signature: String,
    },
    Sealed {
        data: String,
    },
    Call(Call),
}

/// A tool that the model calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON as the model wrote it.
    pub(super) arguments: String,
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CallResult {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) is_error: bool,
}

/// The most bytes of one answer. Parts beyond it are cut.
const MOST_ANSWER: usize = 600_000;
/// The most bytes of one result.
pub(super) const MOST_RESULT: usize = 24_000;
/// The text in place of a part that was left out.
const LEFT_OUT: &str =
    "(left out, for the conversation has become long; ask the tool once more if it is needed)";
/// The longest text that stays in the arguments of a call whose result is left out.
const SHORT: usize = 200;

impl Step {
    /// A step of the model's answer, without results.
    pub(super) fn of(response: &Response) -> Self {
        let parts = response.choices.first().map(|choice| choice.parts.as_slice()).unwrap_or_default();
        let (mut kept, mut bytes) = (Vec::new(), 0_usize);
        for part in parts.iter().filter_map(|part| AnswerPart::of(&part.content)) {
            bytes = bytes.saturating_add(part.bytes());
            kept.push(if bytes > MOST_ANSWER { part.cut() } else { part });
        }
        Self { parts: kept, results: Vec::new() }
    }

    pub(super) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.parts.iter().filter_map(|part| match part {
            AnswerPart::Call(call) => Some(call),
            _ => None,
        })
    }

    /// The text of the answer.
    pub(super) fn text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            AnswerPart::Text { text } => Some(text.trim()).filter(|text| !text.is_empty()),
            _ => None,
        });
        texts.collect::<Vec<_>>().join("\n\n")
    }

    fn bytes(&self) -> usize {
        let results = self.results.iter().map(|result| result.text.len());
        self.parts.iter().map(AnswerPart::bytes).chain(results).sum()
    }

    /// The step as two messages: the answer and the results.
    fn messages(&self, is_whole: bool) -> [Message; 2] {
        let answer = self.parts.iter().map(|part| part.part(is_whole)).collect();
        let results = self.results.iter().map(|result| result.part(is_whole)).collect();
        [Message::new(Role::Assistant, answer), Message::new(Role::Tool, results)]
    }
}

impl AnswerPart {
    fn of(content: &Content) -> Option<Self> {
        Some(match content {
            // APIs refuse empty texts.
            Content::Text(text) if text.text.trim().is_empty() => return None,
            Content::Text(text) => Self::Text { text: text.text.clone() },
            Content::Refusal(text) => Self::Text { text: text.clone() },
            Content::Thinking(Thinking::Signed { text, signature }) => {
                Self::Thought { text: text.clone(), signature: signature.clone() }
            }
            Content::Thinking(Thinking::Redacted { data }) => Self::Sealed { data: data.clone() },
            Content::ToolCall(call) => Self::Call(Call {
                id: call.id.clone(),
                name: call.name.clone(),
                arguments: call.arguments.clone(),
            }),
            _ => return None,
        })
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Text { text } => text.len(),
            Self::Thought { text, signature } => text.len().saturating_add(signature.len()),
            Self::Sealed { data } => data.len(),
            Self::Call(call) => call.name.len().saturating_add(call.arguments.len()),
        }
    }

    /// The shortened form of a part beyond the most bytes.
    fn cut(self) -> Self {
        match self {
            Self::Call(call) => Self::Call(Call { arguments: TOO_LONG.to_owned(), ..call }),
            Self::Text { text } => Self::Text { text: text.chars().take(SHORT).collect() },
            other => other,
        }
    }

    fn part(&self, is_whole: bool) -> Part {
        match self {
            Self::Text { text } => Part::text(text.as_str()),
            Self::Thought { text, signature } => {
                Content::Thinking(Thinking::Signed { text: text.clone(), signature: signature.clone() })
                    .into()
            }
            Self::Sealed { data } => Content::Thinking(Thinking::Redacted { data: data.clone() }).into(),
            Self::Call(call) => Content::ToolCall(ToolCall {
                id: call.id.clone(),
                name: call.name.clone(),
                namespace: None,
                arguments: call.shown(is_whole),
                is_custom: false,
            })
            .into(),
        }
    }
}

/// The arguments that replace those of a call that was too long.
pub(super) const TOO_LONG: &str = r#"{"_tooLong":true}"#;

impl Call {
    /// The arguments as a JSON object, which APIs demand.
    fn shown(&self, is_whole: bool) -> String {
        let Ok(Value::Object(mut arguments)) = hatch_json::from_str(&self.arguments) else {
            return "{}".to_owned();
        };
        if is_whole {
            return self.arguments.clone();
        }
        for value in arguments.values_mut() {
            if value.as_str().is_some_and(|text| text.len() > SHORT) {
                *value = LEFT_OUT.into();
            }
        }
        Value::Object(arguments).to_string()
    }
}

impl CallResult {
    fn part(&self, is_whole: bool) -> Part {
        let text = if is_whole || self.text.len() <= SHORT { self.text.as_str() } else { LEFT_OUT };
        Content::ToolResult(ToolResult {
            call_id: self.id.clone(),
            parts: vec![Part::text(text)],
            is_error: self.is_error,
            is_custom: false,
        })
        .into()
    }
}

/// The steps as messages. The newest ones are complete, up to about `room`
/// bytes. Older ones lack their results and long arguments.
pub(super) fn messages(steps: &[Step], room: usize) -> Vec<Message> {
    let mut left = room;
    let mut messages: Vec<[Message; 2]> = Vec::with_capacity(steps.len());
    for (age, step) in steps.iter().rev().enumerate() {
        left = left.saturating_sub(step.bytes());
        // The newest results are always complete: the model waits for them.
        messages.push(step.messages(left > 0 || age == 0));
    }
    messages.into_iter().rev().flatten().collect()
}

/// Whether the model has made the same calls several times in a row.
pub(super) fn repeats_itself(steps: &[Step], newest: &Step) -> bool {
    const TIMES: usize = 5;
    let calls = |step: &Step| -> Vec<(String, String)> {
        step.calls().map(|call| (call.name.clone(), call.arguments.clone())).collect()
    };
    let wanted = calls(newest);
    let same = steps.iter().rev().take_while(|step| calls(step) == wanted).count();
    !wanted.is_empty() && same + 1 >= TIMES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(n: usize, content: &str) -> Step {
        let call = Call {
            id: format!("c{n}"),
            name: "write_file".into(),
            arguments: serde_json::json!({ "path": "a", "content": content }).to_string(),
        };
        let result = CallResult { id: format!("c{n}"), text: content.to_owned(), is_error: false };
        Step {
            parts: vec![AnswerPart::Text { text: "Now".into() }, AnswerPart::Call(call)],
            results: vec![result],
        }
    }

    fn shown(message: &Message) -> String {
        format!("{message:?}")
    }

    #[test]
    fn the_newest_steps_are_complete_and_old_ones_lack_long_parts() {
        let steps: Vec<Step> = (0..5).map(|n| step(n, &"x".repeat(1_000))).collect();
        let messages = messages(&steps, 5_000);
        assert_eq!(messages.len(), 10);
        assert!(messages.iter().take(6).all(|message| !shown(message).contains("xxx")));
        assert!(messages.iter().skip(6).all(|message| shown(message).contains("xxx")));
        assert!(shown(&messages[0]).contains(r#"\"path\":\"a\""#));
        // The newest results are complete even without room.
        assert!(super::messages(&steps, 0).iter().skip(8).all(|message| shown(message).contains("xxx")));
    }

    #[test]
    fn arguments_that_are_not_an_object_are_sent_back_as_an_empty_one() {
        for arguments in ["", "[1]", "{\"path\":", "\"x\""] {
            let call = Call { id: "c".into(), name: "n".into(), arguments: arguments.into() };
            assert_eq!(call.shown(true), "{}");
        }
    }

    #[test]
    fn five_equal_steps_are_a_repetition() {
        let steps: Vec<Step> = (0..4).map(|n| step(n, "same")).collect();
        assert!(repeats_itself(&steps, &step(9, "same")));
        assert!(!repeats_itself(&steps, &step(9, "other")));
        assert!(!repeats_itself(&steps[..3], &step(9, "same")));
        assert!(!repeats_itself(&[], &Step::default()));
    }

    #[test]
    fn a_step_is_read_as_it_was_stored() {
        let step = Step {
            parts: vec![
                AnswerPart::Thought { text: "Hm".into(), signature: "s".into() },
                AnswerPart::Sealed { data: "d".into() },
                AnswerPart::Call(Call { id: "1".into(), name: "n".into(), arguments: "{}".into() }),
            ],
            results: vec![CallResult { id: "1".into(), text: "done".into(), is_error: true }],
        };
        let json = serde_json::to_string(&step).unwrap();
        assert_eq!(hatch_json::from_str::<Step>(&json).unwrap(), step);
    }
}
