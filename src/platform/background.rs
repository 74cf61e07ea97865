//! Work that continues after the response.

use std::{future::Future, rc::Rc};

/// Keeps an invocation alive for work that its response does not wait for.
#[derive(Debug, Clone)]
pub(crate) struct Background(Rc<worker::Context>);

impl Background {
    pub(crate) fn new(context: worker::Context) -> Self {
        Self(Rc::new(context))
    }

    /// Keeps the invocation alive until `work` is done, at most about 30 s
    /// after the client has its answer or has gone.
    pub(crate) fn run(&self, work: impl Future<Output = ()> + 'static) {
        self.0.wait_until(work);
    }
}
