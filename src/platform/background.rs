//! Work that continues after the response.

use std::{future::Future, rc::Rc};

use futures::{FutureExt as _, channel::oneshot};

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
        // Boxed, or all that makes a promise of it would be compiled for each kind of work.
        self.0.wait_until(work.boxed_local());
    }

    /// Keeps the invocation alive until the returned value is dropped, also if
    /// the client leaves meanwhile; then at most about 30 s longer.
    pub(crate) fn hold(&self) -> Hold {
        let (hold, dropped) = oneshot::channel();
        self.run(dropped.map(drop));
        Hold { _dropped: hold }
    }
}

/// Keeps an invocation alive while it exists.
#[derive(Debug)]
pub(crate) struct Hold {
    _dropped: oneshot::Sender<()>,
}
