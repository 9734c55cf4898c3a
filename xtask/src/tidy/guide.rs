//! What the guide must say on the way: whoever follows one page must not be left to find it out by failing.

use super::{Fault, Tree};

/// How the paths of pages about one provider begin.
const PAGES: &str = "docs/guide/connect-";
/// The pages of providers that call from the internet.
const IN_THE_CLOUD: [&str; 5] = ["okta", "entra", "onelogin", "jumpcloud", "pingone"];
/// Where those are sent first.
const ADDRESS: &str = "getting-started.md#before-a-provider-in-the-cloud-calls";
/// The pages whose commands make the first files with secrets.
const FIRST_STEPS: [&str; 2] = ["README.md", "docs/guide/getting-started.md"];
/// The first such file.
const FIRST_FILE: &str = "directory.json";

/// What a command has that decides about people, and is not undone by the next command.
const DECISIVE: [&str; 5] = ["/release ", "/refuse ", "/attach ", "/dismiss ", r#""brake":null"#];
/// How the commands of the guide begin that ask the server.
const ASKING: [&str; 2] = ["call ", "curl "];

/// Finds pages that leave out what comes before their steps, and blocks that decide before anybody has looked.
pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in tree.texts.iter().filter(|(path, _)| path.starts_with(PAGES)) {
        let provider = path.strip_prefix(PAGES).and_then(|name| name.strip_suffix(".md")).unwrap_or_default();
        // Prose is broken into lines anywhere.
        let prose = text.replace('\n', " ");
        let mut fault = |what: &str, mend: &str| faults.push(Fault::new(path, 1, what, mend));
        if prose.contains("section 5") || prose.contains("sections 5") {
            let mend =
                "name sections 4 and 5: a sync before the domain is proven makes members a second time";
            fault("the page sends to make a directory, and not to prove the domain before", mend);
        }
        if IN_THE_CLOUD.contains(&provider) && !(prose.contains("`public_url`") && prose.contains(ADDRESS)) {
            let mend = format!("say that `public_url` is set first, with a link to `{ADDRESS}`");
            fault("the page does not say by which address the provider reaches the server", &mend);
        }
    }
    for page in FIRST_STEPS {
        let before = tree.text(page).and_then(|text| text.split_once(FIRST_FILE)).map(|(before, _)| before);
        if before.is_some_and(|before| !before.lines().any(|line| line.starts_with("umask 077"))) {
            let mend = "begin the commands with `umask 077`";
            let what = format!("`{FIRST_FILE}` holds a secret, and everybody of the machine may read it");
            faults.push(Fault::new(page, 1, what, mend));
        }
    }
    for (path, text) in tree.texts.iter().filter(|(path, _)| path.starts_with("docs/guide/")) {
        faults.extend(rash(path, text));
    }
    faults
}

/// Blocks that both look and decide, or decide twice: they are copied and pasted whole, in a bad hour.
fn rash(path: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (mut asked, mut decides, mut in_code) = (0, None, false);
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            if let Some(at) = decides.filter(|_| asked > 1) {
                let mend = "give what cannot be undone a block of its own";
                faults.push(Fault::new(
                    path,
                    at,
                    "a block that is pasted whole decides without a look",
                    mend,
                ));
            }
            (asked, decides, in_code) = (0, None, !in_code);
        } else if in_code {
            asked += ASKING.iter().map(|word| line.matches(word).count()).sum::<usize>();
            decides = decides.or(DECISIVE.iter().any(|word| line.contains(word)).then_some(index + 1));
        }
    }
    faults
}
