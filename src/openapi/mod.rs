//! The OpenAPI 3.1 document of every route, built from the table of [`crate::routes`] and the
//! contracts in each module's openapi.rs. This is test code only, so the Worker contains no schema
//! library; it serves the document as a file.
//!
//! `UPDATE_OPENAPI=1 cargo test openapi` writes public/openapi.json.

mod acceptance;
mod document;
mod errors;
mod operation;
mod schemas;
mod types;

pub(crate) use operation::{DocumentedResponse, Module, Operation};
pub(crate) use types::{Code, Count, Id, NO_NUL, NOT_BLANK, Time, Url, WALLET};

mod tests {
    use std::{collections::BTreeSet, env, fs};

    use super::{document, operation::Operation};
    use crate::routes::{ROUTES, contracts};

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/public/openapi.json");

    fn operations() -> Vec<Operation> {
        contracts().into_iter().flat_map(|module| module.operations).collect()
    }

    #[test]
    fn every_route_has_a_contract_and_every_contract_a_route() {
        let routes: BTreeSet<_> = ROUTES.iter().map(|route| (route.method, route.pattern)).collect();
        let contracts: BTreeSet<_> = operations().iter().map(|op| (op.method, op.pattern)).collect();
        let missing: Vec<_> = routes.difference(&contracts).collect();
        assert!(missing.is_empty(), "no Operation in a openapi.rs for {missing:?}");
        let unknown: Vec<_> = contracts.difference(&routes).collect();
        assert!(unknown.is_empty(), "no row in src/routes.rs for {unknown:?}");
        assert_eq!(operations().len(), ROUTES.len(), "a route has two contracts");
    }

    #[test]
    fn an_operation_describes_the_parameters_of_its_pattern() {
        for operation in operations() {
            let names: Vec<_> = operation.path_parameters().collect();
            let described: Vec<_> =
                operation.parameters.iter().filter(|p| p.place == "path").map(|p| p.name).collect();
            assert_eq!(described, names, "{}", operation.id);
        }
    }

    #[test]
    fn an_operation_is_named_after_its_module_and_unique() {
        let mut ids = BTreeSet::new();
        for module in contracts() {
            for operation in module.operations {
                assert!(operation.id.starts_with(&format!("{}.", module.name)), "{}", operation.id);
                assert!(ids.insert(operation.id), "{} is there twice", operation.id);
            }
        }
    }

    #[test]
    fn the_example_of_a_body_is_accepted_by_its_route() {
        for operation in operations() {
            if let Some(body) = &operation.body {
                (body.check.0)(&body.example.to_string())
                    .unwrap_or_else(|error| panic!("{}: {error:?}", operation.id));
            }
        }
    }

    #[test]
    fn a_link_points_to_an_operation_that_takes_its_parameter_or_body() {
        let operations = operations();
        for operation in &operations {
            for link in operation.answers.iter().flat_map(|answer| &answer.links) {
                let target = operations.iter().find(|op| op.id == link.target);
                let target = target.unwrap_or_else(|| panic!("{} links to {}", operation.id, link.target));
                match link.parameter {
                    Some((name, _)) => {
                        assert!(target.path_parameters().any(|n| n == name), "{}", link.target)
                    }
                    None => assert!(target.body.is_some(), "{}", link.target),
                }
            }
        }
    }

    #[test]
    fn the_document_in_public_is_up_to_date() {
        let mut document = serde_json::to_string_pretty(&document::build(&contracts())).unwrap();
        document.push('\n');
        if env::var_os("UPDATE_OPENAPI").is_some() {
            fs::write(FILE, &document).unwrap();
        }
        let written = fs::read_to_string(FILE).unwrap_or_default();
        assert!(
            written == document,
            "public/openapi.json is out of date: UPDATE_OPENAPI=1 cargo test openapi"
        );
    }
}
