//! Identity: who made it, as far as that was checked, and the project's hash on chain.

use serde_json::json;

use super::{job::Work, steps::Step, store};
use crate::{error::Error, jobs::Outcome, platform::clock::now_ms};

pub(super) async fn step(work: &Work) -> Result<Outcome, Error> {
    let id = &work.startup.id;
    let identity = json!({ "status": "not_configured" }).to_string();
    let writes = vec![
        store::identified(id, false, &identity),
        work.log("success", "Your startup is ready"),
        work.done(Step::Identity),
        store::end(id, "completed", now_ms()),
    ];
    Ok(Outcome::Done { writes })
}
