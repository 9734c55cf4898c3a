//! What the guide must say on the way: whoever follows one page must not be left to find it out by failing.

use super::{Fault, Tree};

/// How the paths of pages about one provider begin.
const PAGES: &str = "docs/guide/connect-";

/// Finds pages that leave out what comes before their steps.
pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in tree.texts.iter().filter(|(path, _)| path.starts_with(PAGES)) {
        // Prose is broken into lines anywhere.
        let prose = text.replace('\n', " ");
        if prose.contains("section 5") || prose.contains("sections 5") {
            let mend =
                "name sections 4 and 5: a sync before the domain is proven makes members a second time";
            let what = "the page sends to make a directory, and not to prove the domain before";
            faults.push(Fault::new(path, 1, what, mend));
        }
    }
    faults
}
