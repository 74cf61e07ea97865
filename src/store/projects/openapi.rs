//! A project as the API shows it: `project_json!`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::openapi::{Count, Id, Time, Url};

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Project {
    id: Id,
    /// The owner.
    user_id: &'static str,
    name: &'static str,
    description: Option<&'static str>,
    /// JSON: the map of path to content of the newest version.
    #[schemars(extend("contentMediaType" = "application/json"))]
    code: Option<&'static str>,
    status: Status,
    /// Where the app is, once it is live.
    deployment_url: Option<Url>,
    /// Counts the changes of the code; 0 before there is any.
    version: Count,
    created_at: Time,
    updated_at: Time,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Status {
    Draft,
    #[expect(dead_code, reason = "a value of the schema that no example has")]
    Deployed,
}

impl Project {
    pub(crate) const ID: Id = Id("1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36");

    /// A new project, its code as given.
    pub(crate) const fn example(code: Option<&'static str>, version: u64) -> Self {
        Self {
            id: Self::ID,
            user_id: "local-developer",
            name: "Pomodoro",
            description: Some("A timer with a tomato red look"),
            code,
            status: Status::Draft,
            deployment_url: None,
            version: Count(version),
            created_at: Time("2026-11-21T09:30:00.000Z"),
            updated_at: Time("2026-11-21T09:30:00.000Z"),
        }
    }
}
