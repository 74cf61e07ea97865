//! What the contracts of routes that call a cloud have in common.

use schemars::json_schema;

use super::CLOUDS;
use crate::{error::Error, openapi::Operation};

/// An operation that takes a cloud's credentials in headers.
pub(crate) fn with_credentials(operation: Operation) -> Operation {
    let operation = CLOUDS.iter().fold(operation, |operation, cloud| {
        let text =
            || json_schema!({ "type": "string", "minLength": 1, "maxLength": 500, "pattern": "^[!-~]+$" });
        let operation = operation.header(cloud.token_header, "For this request only.", text());
        match &cloud.account {
            Some(account) => {
                operation.header(account.header, "The account, when the token has several.", text())
            }
            None => operation,
        }
    });
    operation.fails(Error::invalid("X-Cloudflare-Account-Id", "is needed beside the token"))
}
