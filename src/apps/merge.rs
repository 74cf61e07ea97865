//! Merges the changes that two sides have made to the same files. Pure.

use std::collections::BTreeSet;

use hatch_code::CodeMap;
use hatch_diff::Files;

/// Files with the changes of both sides. If both changed a file differently, it
/// is as the other side has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Merged {
    pub(super) files: Files,
    /// The paths of files that both sides changed differently.
    pub(super) conflicts: Vec<String>,
}

/// Applies our changes since `base` to their files.
pub(super) fn merge(base: &Files, ours: &Files, theirs: &Files) -> Merged {
    let paths: BTreeSet<&String> = base.keys().chain(ours.keys()).chain(theirs.keys()).collect();
    let (mut files, mut conflicts) = (Files::new(), Vec::new());
    for path in paths {
        let (was, our, their) = (base.get(path), ours.get(path), theirs.get(path));
        if our != was && their != was && our != their {
            conflicts.push(path.clone());
        }
        let kept = if their == was { our } else { their };
        files.extend(kept.map(|content| (path.clone(), content.clone())));
    }
    // Two valid projects may together be an invalid one.
    match CodeMap::of(files.clone()) {
        Ok(_) => Merged { files, conflicts },
        Err(_) => Merged { files: theirs.clone(), conflicts: changed(base, ours) },
    }
}

/// The paths of files that differ.
pub(super) fn changed(before: &Files, after: &Files) -> Vec<String> {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    paths.into_iter().filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn files(of: &[(&str, &str)]) -> Files {
        of.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect()
    }

    #[test]
    fn changes_of_both_sides_are_kept_and_conflicting_files_are_theirs() {
        let base = files(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("e", "1")]);
        let ours = files(&[("a", "2"), ("b", "1"), ("c", "2"), ("e", "1"), ("new", "ours")]);
        let theirs = files(&[("a", "1"), ("b", "3"), ("c", "3"), ("d", "1"), ("also", "theirs")]);
        let merged = merge(&base, &ours, &theirs);
        assert_eq!(
            merged.files,
            files(&[("a", "2"), ("also", "theirs"), ("b", "3"), ("c", "3"), ("new", "ours")])
        );
        assert_eq!(merged.conflicts, ["c"]);
    }

    #[test]
    fn paths_that_exclude_each_other_are_a_conflict() {
        let (base, ours, theirs) = (files(&[]), files(&[("App.js", "1")]), files(&[("app.js", "2")]));
        let merged = merge(&base, &ours, &theirs);
        assert_eq!(merged.files, theirs);
        assert_eq!(merged.conflicts, ["App.js"]);
    }

    fn any_files() -> impl Strategy<Value = Files> {
        prop::collection::btree_map("[abc]", "[12]", 0..4)
    }

    proptest! {
        #[test]
        fn if_one_side_changed_nothing_the_result_is_the_other_side(base in any_files(), side in any_files()) {
            prop_assert_eq!(merge(&base, &side, &base), Merged { files: side.clone(), conflicts: vec![] });
            prop_assert_eq!(merge(&base, &base, &side), Merged { files: side.clone(), conflicts: vec![] });
            prop_assert_eq!(merge(&base, &side, &side), Merged { files: side, conflicts: vec![] });
        }
    }
}
