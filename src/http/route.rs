//! The routing table's rows, and the router, which also answers HEAD, OPTIONS, 404 and 405.

use std::pin::Pin;

use futures::Future;

use super::{
    RequestContext,
    caller::Access,
    limits::Limits,
    modules::Modules,
    problem::{Dialect, PROBLEM},
};
use crate::{
    error::{Error, Resource},
    identity::AboutOwner,
    platform::{request::InboundRequest, response::Response},
    settings::Settings,
};

type HandlerFuture = Pin<Box<dyn Future<Output = Result<Response, Error>>>>;

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// In matchit's syntax: `{name}` is one segment, `{*name}` the rest.
    pub(crate) pattern: &'static str,
    pub(crate) dialect: &'static Dialect,
    pub(crate) access: Access,
    pub(crate) limits: Limits,
    /// A statement about the caller that runs together with the lookup of their credential, so that
    /// the handler need not ask for it.
    pub(crate) about_owner: Option<AboutOwner>,
    pub(crate) handler: fn(RequestContext) -> HandlerFuture,
}

/// Defines a table of routes: `dialect { Access METHOD "pattern" => handler [about_owner], limit; }`.
/// What stands in brackets is [`Route::about_owner`]. A limit is a method of [`Limits`]; without one the
/// default applies.
macro_rules! routes {
    ($($dialect:path { $($access:ident $(($scope:ident))? $method:ident $pattern:literal => $handler:path $([$about_owner:path])?
        $(, $limit:ident)*;)* })*) => {
        &[$($($crate::http::route::Route {
            method: stringify!($method),
            pattern: $pattern,
            dialect: &$dialect,
            access: $crate::http::caller::Access::$access $(($crate::identity::Scope::$scope))?,
            limits: $crate::http::limits::Limits::DEFAULT$(.$limit())*,
            about_owner: { const ABOUT_OWNER: &[$crate::identity::AboutOwner] = &[$($about_owner)?]; ABOUT_OWNER.first().copied() },
            handler: |context| Box::pin($handler(context)),
        },)*)*]
    };
}
pub(crate) use routes;

/// The routes of one pattern.
type Rows = Vec<&'static Route>;

/// The routes, and what only the whole Worker knows. Built once per isolate.
pub(crate) struct Router {
    routes: &'static [Route],
    /// The routes of a hosted app's own origin, where every path belongs to the app.
    app_origin: &'static [Route],
    app_of_host: AppOfHost,
    paths: matchit::Router<Rows>,
    /// Additional prefixes for some routes.
    prefixes: Vec<&'static str>,
    /// The request headers that pages of other origins may send.
    pub(crate) request_headers: String,
    modules: &'static Modules,
}

/// Finds the slug of the app whose own origin a host is.
pub(crate) type AppOfHost = for<'a> fn(&'a str, &Settings) -> Option<&'a str>;

/// A route, and the values of its pattern's parameters.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) route: &'static Route,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) modules: &'static Modules,
}

impl Router {
    pub(crate) fn new(
        routes: &'static [Route],
        app_origin: &'static [Route],
        app_of_host: AppOfHost,
        request_headers: String,
        modules: &'static Modules,
    ) -> Self {
        let mut paths = matchit::Router::new();
        for pattern in patterns(routes) {
            let rows: Rows = routes.iter().filter(|route| route.pattern == pattern).collect();
            // A test of the table catches conflicting patterns.
            let _ = paths.insert(pattern, rows);
        }
        let mut prefixes: Vec<_> = routes.iter().filter_map(|route| route.dialect.also_under).collect();
        prefixes.dedup();
        Self { prefixes, routes, app_origin, app_of_host, paths, request_headers, modules }
    }

    /// The route for a request.
    ///
    /// # Errors
    /// 404 for an unknown path, 405 with the path's methods for a wrong method.
    pub(crate) fn find(&self, request: &InboundRequest, settings: &Settings) -> Result<Found, Error> {
        let method = request.method();
        if let Some(slug) = (self.app_of_host)(request.host(), settings) {
            let params =
                vec![("slug".to_owned(), slug.to_owned()), ("path".to_owned(), decode(request.path()))];
            return row(self.app_origin.iter(), method).map(|route| self.found(route, params));
        }
        let found = self.at(request.path()).ok_or(Error::NotFound(Resource::Path))?;
        let route = row(found.value.iter().copied(), method)?;
        let params = found.params.iter().map(|(name, value)| (name.to_owned(), decode(value))).collect();
        Ok(self.found(route, params))
    }

    fn found(&self, route: &'static Route, params: Vec<(String, String)>) -> Found {
        Found { route, params, modules: self.modules }
    }

    /// The routes of a path, also when it starts with an additional prefix.
    fn at<'p>(&self, path: &'p str) -> Option<matchit::Match<'_, 'p, &Rows>> {
        if let Ok(found) = self.paths.at(path) {
            return Some(found);
        }
        self.prefixes.iter().find_map(|prefix| {
            let found = self.paths.at(path.strip_prefix(prefix)?).ok()?;
            let is_theirs = |route: &&Route| route.dialect.also_under == Some(prefix);
            found.value.iter().any(is_theirs).then_some(found)
        })
    }

    /// The dialect for an unknown path.
    pub(crate) fn dialect_of(&self, path: &str) -> &'static Dialect {
        let claims = |prefix: &&&str| path == **prefix || path.strip_prefix(**prefix).is_some_and(is_below);
        let mut claimed = self.routes.iter().map(|route| route.dialect);
        claimed.find(|dialect| dialect.prefixes.iter().any(|prefix| claims(&prefix))).unwrap_or(&PROBLEM)
    }

    /// The pattern that matches a path.
    #[cfg(test)]
    pub(crate) fn pattern_at(&self, path: &str) -> Option<&'static str> {
        self.at(path)?.value.first().map(|route| route.pattern)
    }

    /// The methods of a pattern, for `Allow`.
    pub(crate) fn allow(&self, pattern: &str) -> String {
        methods(self.routes.iter().chain(self.app_origin).filter(|route| route.pattern == pattern))
    }
}

/// Whether the rest of a path is empty or starts a new segment.
fn is_below(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

/// The distinct patterns of a table.
fn patterns(routes: &'static [Route]) -> impl Iterator<Item = &'static str> {
    let first =
        move |(i, route): &(usize, &Route)| !routes.iter().take(*i).any(|r| r.pattern == route.pattern);
    routes.iter().enumerate().filter(first).map(|(_, route)| route.pattern)
}

fn row(rows: impl Iterator<Item = &'static Route> + Clone, method: &str) -> Result<&'static Route, Error> {
    let wanted = if method == "HEAD" { "GET" } else { method };
    let mut candidates = rows.clone();
    // OPTIONS is answered before any handler runs, so any route will do.
    let found = candidates.find(|route| route.method == wanted || method == "OPTIONS");
    found.ok_or_else(|| Error::MethodNotAllowed { allow: methods(rows) })
}

fn methods(rows: impl Iterator<Item = &'static Route>) -> String {
    let mut methods = vec!["OPTIONS"];
    for route in rows {
        methods.push(route.method);
        if route.method == "GET" {
            methods.push("HEAD");
        }
    }
    methods.sort_unstable();
    methods.join(", ")
}

/// Percent-decodes. `url` only decodes forms, where three more characters have a meaning.
pub(crate) fn decode(segment: &str) -> String {
    let form = segment.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    let decoded = url::form_urlencoded::parse(form.as_bytes()).next();
    decoded.map(|(name, _)| name.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_only_percent_decoded() {
        for (segment, decoded) in [
            ("a%20b", "a b"),
            ("50%25.css", "50%.css"),
            ("100%", "100%"),
            ("a+b&c=d", "a+b&c=d"),
            ("%C3%BC", "ü"),
            ("%ff", "\u{fffd}"),
            ("", ""),
        ] {
            assert_eq!(decode(segment), decoded);
        }
    }
}
