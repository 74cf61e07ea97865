//! Discovery: who is there already.

use serde_json::json;

use super::{job::Work, steps::Step, store};
use crate::{error::Error, jobs::Outcome};

pub(super) async fn step(work: &Work) -> Result<Outcome, Error> {
    work.announce("Looking for competitors").await?;
    let found = json!({ "source": "sandbox", "competitors": [] }).to_string();
    let writes = vec![
        store::found(&work.startup.id, &found),
        work.log("success", "Found no competitors"),
        work.done(Step::Discovery),
    ];
    Ok(Outcome::Next { step: Step::Building.name(), writes })
}
