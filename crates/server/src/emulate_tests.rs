//! What an administrator may paste as address, and what is said if it is another.

use clap::CommandFactory as _;
use portcullis_emulator::Dialect;

use super::{base_url, is_open, people_in_range};
use crate::cli::Cli;

const GUIDE: &str = include_str!("../../../docs/guide/emulate.md");

#[test]
fn the_guide_names_every_provider_and_every_option() {
    for dialect in Dialect::ALL {
        let row = format!("\n| `{}` |", dialect.name());
        assert!(GUIDE.contains(&row), "no row `{}`", row.trim());
    }
    let root = Cli::command();
    let emulate = root.find_subcommand("emulate").unwrap();
    let options: Vec<&str> = emulate.get_arguments().filter_map(|option| option.get_long()).collect();
    assert!(options.len() > 8, "{options:?}");
    for option in options.iter().filter(|option| **option != "help") {
        assert!(GUIDE.contains(&format!("`--{option}")), "no `--{option}`");
    }
}

#[test]
fn an_address_is_taken_as_it_is_pasted() {
    let kept = [
        ("http://my_id:8080/scim", Dialect::Authentik, "http://my_id:8080/scim"),
        ("https://id.example.com/scim/v2/dir_1", Dialect::Okta, "https://id.example.com/scim/v2/dir_1"),
        ("https://id.example.com/scim/v2/dir_1/", Dialect::Okta, "https://id.example.com/scim/v2/dir_1"),
        ("https://id.example.com/scim?aadOptscim062020", Dialect::EntraFlag, "https://id.example.com/scim"),
        (
            "https://id.example.com/scim/?aadOptscim062020=true",
            Dialect::EntraFlag,
            "https://id.example.com/scim",
        ),
    ];
    for (pasted, dialect, taken) in kept {
        assert_eq!(base_url(pasted, dialect).unwrap().as_str(), taken);
    }
}

#[test]
fn an_address_that_cannot_be_one_is_refused_with_what_to_change() {
    let refused = [
        ("id.example.com/scim", Dialect::Okta, "not an absolute URL"),
        ("file:///etc/passwd", Dialect::Okta, "must begin with https://"),
        ("https://user:secret@id.example.com/scim", Dialect::Okta, "must not hold a name or password"),
        ("https://my_id.example.com/scim", Dialect::Okta, "holds an underscore"),
        ("https://id.example.com/scim/Users", Dialect::Okta, "before `/Users`"),
        ("https://id.example.com/scim?aadOptscim062020", Dialect::EntraLegacy, "is `entra`"),
        ("https://id.example.com/scim?aadOptscim062020", Dialect::Okta, "before `?`"),
        ("https://id.example.com/scim?tenant=1", Dialect::EntraFlag, "before `?`"),
    ];
    for (pasted, dialect, said) in refused {
        let error = base_url(pasted, dialect).unwrap_err().to_string();
        assert!(error.contains(said), "`{pasted}`: {error}");
    }
}

#[test]
fn only_what_leaves_the_machine_in_the_clear_is_warned_of() {
    let open = |text: &str| is_open(&base_url(text, Dialect::Okta).unwrap());
    assert!(open("http://id.example.com/scim"));
    for text in
        ["https://id.example.com/scim", "http://127.0.0.1:8080/scim", "http://[::1]/s", "http://localhost/s"]
    {
        assert!(!open(text), "{text}");
    }
}

#[test]
fn a_run_has_at_least_its_parts_and_at_most_a_company() {
    assert_eq!(people_in_range("4"), Ok(4));
    for text in ["3", "10001", "-1", "many"] {
        assert_eq!(people_in_range(text), Err("a number from 4 to 10000".to_owned()), "{text}");
    }
}
