//! Cloudflare: a Worker of static assets alone.

use super::{Order, Report};
use crate::{deploy::site::File, error::Error};

pub(super) async fn push(_order: &Order<'_>, _files: &[File]) -> Result<Report, Error> {
    Err(Error::Internal("to come".to_owned()))
}

pub(super) async fn poll(_order: &Order<'_>, _since_ms: i64) -> Result<Report, Error> {
    Err(Error::Internal("to come".to_owned()))
}

pub(super) async fn take_down(_order: &Order<'_>) -> Result<(), Error> {
    Err(Error::Internal("to come".to_owned()))
}
