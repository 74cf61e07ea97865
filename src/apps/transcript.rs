//! What an agent has said in a turn and what its tools have answered, kept step
//! by step, and as a model is shown it again. Pure.

use hatch_dialects::{
    Response,
    request::{Content, Message, Part, Role, Thinking, ToolCall, ToolResult},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An answer of the model's, and what its calls led to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) said: Vec<Said>,
    pub(super) results: Vec<Answered>,
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(super) enum Said {
    Text {
        text: String,
    },
    /// Goes back as it came, or not at all.
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

/// What a call led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answered {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) is_error: bool,
}

/// The most bytes of one answer: what is longer is cut, call by call.
const MOST_SAID: usize = 600_000;
/// The most bytes of what one call led to.
pub(super) const MOST_RESULT: usize = 24_000;
/// What stands for what was left out.
const LEFT_OUT: &str =
    "(left out, for the conversation has become long; ask the tool once more if it is needed)";
/// The longest text that stays in the arguments of a call whose result is left out.
const SHORT: usize = 200;

impl Step {
    /// What a model has said, before its calls are answered.
    pub(super) fn of(response: &Response) -> Self {
        let parts = response.choices.first().map(|choice| choice.parts.as_slice()).unwrap_or_default();
        let (mut said, mut bytes) = (Vec::new(), 0_usize);
        for part in parts.iter().filter_map(|part| Said::of(&part.content)) {
            bytes = bytes.saturating_add(part.bytes());
            said.push(if bytes > MOST_SAID { part.cut() } else { part });
        }
        Self { said, results: Vec::new() }
    }

    pub(super) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.said.iter().filter_map(|said| match said {
            Said::Call(call) => Some(call),
            _ => None,
        })
    }

    /// All that was said in words.
    pub(super) fn text(&self) -> String {
        let texts = self.said.iter().filter_map(|said| match said {
            Said::Text { text } => Some(text.trim()).filter(|text| !text.is_empty()),
            _ => None,
        });
        texts.collect::<Vec<_>>().join("\n\n")
    }

    fn bytes(&self) -> usize {
        let results = self.results.iter().map(|result| result.text.len());
        self.said.iter().map(Said::bytes).chain(results).sum()
    }

    /// The two messages that it is for a model.
    fn messages(&self, is_whole: bool) -> [Message; 2] {
        let said = self.said.iter().map(|said| said.part(is_whole)).collect();
        let results = self.results.iter().map(|result| result.part(is_whole)).collect();
        [Message::new(Role::Assistant, said), Message::new(Role::Tool, results)]
    }
}

impl Said {
    fn of(content: &Content) -> Option<Self> {
        Some(match content {
            // An empty text is refused when it is sent back.
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

    /// What is left of a part for which there is no room.
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

/// The arguments of a call that was too long to be kept.
pub(super) const TOO_LONG: &str = r#"{"_tooLong":true}"#;

impl Call {
    /// The arguments as an object, which APIs insist on.
    fn shown(&self, is_whole: bool) -> String {
        let Ok(Value::Object(mut arguments)) = serde_json::from_str(&self.arguments) else {
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

impl Answered {
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

/// The steps as messages, of which about `room` bytes are told in full: the
/// newest ones. Of older ones results and long arguments are left out.
pub(super) fn messages(steps: &[Step], room: usize) -> Vec<Message> {
    let mut left = room;
    let mut told: Vec<[Message; 2]> = Vec::with_capacity(steps.len());
    for (age, step) in steps.iter().rev().enumerate() {
        left = left.saturating_sub(step.bytes());
        // What the model waits for is told, however long it is.
        told.push(step.messages(left > 0 || age == 0));
    }
    told.into_iter().rev().flatten().collect()
}

/// Whether the model has called the same again and again.
pub(super) fn goes_in_circles(steps: &[Step], newest: &Step) -> bool {
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
        let answered = Answered { id: format!("c{n}"), text: content.to_owned(), is_error: false };
        Step { said: vec![Said::Text { text: "Now".into() }, Said::Call(call)], results: vec![answered] }
    }

    fn told(message: &Message) -> String {
        format!("{message:?}")
    }

    #[test]
    fn the_newest_steps_are_told_in_full_and_of_old_ones_what_is_long_is_left_out() {
        let steps: Vec<Step> = (0..5).map(|n| step(n, &"x".repeat(1_000))).collect();
        let messages = messages(&steps, 5_000);
        assert_eq!(messages.len(), 10);
        assert!(messages.iter().take(6).all(|message| !told(message).contains("xxx")));
        assert!(messages.iter().skip(6).all(|message| told(message).contains("xxx")));
        assert!(told(&messages[0]).contains(r#"\"path\":\"a\""#));
        // However little room there is, what is waited for is told.
        assert!(super::messages(&steps, 0).iter().skip(8).all(|message| told(message).contains("xxx")));
    }

    #[test]
    fn arguments_that_are_no_object_are_sent_back_as_an_empty_one() {
        for arguments in ["", "[1]", "{\"path\":", "\"x\""] {
            let call = Call { id: "c".into(), name: "n".into(), arguments: arguments.into() };
            assert_eq!(call.shown(true), "{}");
        }
    }

    #[test]
    fn five_times_the_same_is_a_circle() {
        let steps: Vec<Step> = (0..4).map(|n| step(n, "same")).collect();
        assert!(goes_in_circles(&steps, &step(9, "same")));
        assert!(!goes_in_circles(&steps, &step(9, "other")));
        assert!(!goes_in_circles(&steps[..3], &step(9, "same")));
        assert!(!goes_in_circles(&[], &Step::default()));
    }

    #[test]
    fn a_step_is_read_as_it_was_kept() {
        let step = Step {
            said: vec![
                Said::Thought { text: "Hm".into(), signature: "s".into() },
                Said::Sealed { data: "d".into() },
                Said::Call(Call { id: "1".into(), name: "n".into(), arguments: "{}".into() }),
            ],
            results: vec![Answered { id: "1".into(), text: "done".into(), is_error: true }],
        };
        let json = serde_json::to_string(&step).unwrap();
        assert_eq!(serde_json::from_str::<Step>(&json).unwrap(), step);
    }
}
