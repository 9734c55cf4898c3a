//! What the settings must hold: one table for every surface, the order of the layers, and clear refusals.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Parser;

use super::flags::AllFlags;
use super::reference::page;
use super::{
    Fallback, HTTP_DRAIN_S, LISTEN, Loaded, Problem, Reach, Settings, SettingsError, Sources, TABLE, Warning,
    find_by_key, find_by_variable,
};

/// Sources without anything but what a test gives; the file named `none` keeps a file beside the test out.
fn sources(environment: &[(&str, &str)], file: Option<&Path>) -> Sources {
    Sources {
        flags: Vec::new(),
        config: file.map(Path::to_owned),
        environment: environment.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect(),
    }
}

fn problems(outcome: Result<Settings, SettingsError>) -> Vec<String> {
    match outcome {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.iter().map(ToString::to_string).collect(),
    }
}

fn with_environment(environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::from_sources(&sources(environment, None))
}

fn with_file(text: &str) -> Result<Settings, SettingsError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.toml");
    std::fs::write(&path, text).unwrap();
    Settings::from_sources(&sources(&[], Some(&path)))
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    flags: AllFlags,
}

#[test]
fn the_reference_page_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/settings.md");
    if std::env::var_os("PORTCULLIS_TEST_WRITE").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page(),
        "docs/reference/settings.md differs from the table; run this test with PORTCULLIS_TEST_WRITE=1"
    );
}

#[test]
fn the_page_writes_each_flag_as_the_command_line_takes_it() {
    let page = page();
    let written = page.lines().filter_map(|line| line.strip_prefix("- Command line: `")?.strip_suffix('`'));
    let written: Vec<&str> = written.collect();
    assert!(written.len() > 10);
    for flag in written {
        // What stands in brackets may be left out.
        let (least, whole) = (flag.split('[').next().unwrap_or_default(), flag.replace(['[', ']'], ""));
        for form in [least, &whole] {
            let words = ["portcullis"].into_iter().chain(form.split(' '));
            assert!(Line::try_parse_from(words).is_ok(), "{form}");
        }
    }
}

#[test]
fn every_setting_has_a_key_a_variable_and_a_flag_of_its_own() {
    let keys: BTreeSet<String> = TABLE.iter().map(|setting| setting.key()).collect();
    let variables: BTreeSet<String> = TABLE.iter().map(|setting| setting.variable()).collect();
    let flags: BTreeSet<String> = TABLE.iter().map(|setting| setting.flag()).collect();
    assert_eq!([keys.len(), variables.len(), flags.len()], [TABLE.len(); 3]);
    for setting in TABLE {
        assert_eq!(find_by_variable(&setting.variable()), Some(setting));
        let in_file = find_by_key(&setting.key());
        assert_eq!(in_file.is_some(), setting.reach == Reach::Everywhere, "{}", setting.key());
        assert!(!setting.doc.is_empty() && !setting.guards.is_empty(), "{}", setting.key());
    }
}

#[test]
fn the_surfaces_of_the_contract_have_their_names() {
    for variable in [
        "PORTCULLIS_LISTEN",
        "PORTCULLIS_PUBLIC_URL",
        "PORTCULLIS_DATA",
        "PORTCULLIS_DATABASE",
        "PORTCULLIS_ROOT_TOKEN",
        "PORTCULLIS_SEALING_KEY_FILE",
    ] {
        assert!(find_by_variable(variable).is_some(), "{variable}");
    }
    let flags: BTreeSet<String> = TABLE.iter().map(|setting| setting.flag()).collect();
    for flag in [
        "listen",
        "public-url",
        "data",
        "database",
        "behind-proxy",
        "tls-cert",
        "tls-key",
        "trusted-proxies",
        "allow-networks",
        "allow-private-networks",
    ] {
        assert!(flags.contains(flag), "{flag}");
    }
}

#[test]
fn every_default_is_of_its_kind_or_means_none() {
    for setting in TABLE {
        if let Fallback::Value(text) = setting.fallback {
            assert!(setting.kind.admits(text), "{} = `{text}`", setting.key());
        }
    }
    assert_eq!(problems(with_environment(&[])), Vec::<String>::new());
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.toml");
    std::fs::write(&path, "listen = \"127.0.0.1:2\"\n").unwrap();
    let listen = |from: &Sources| Loaded::examined(from).0.text(&LISTEN).map(str::to_owned);
    let mut from = sources(&[], None);
    assert_eq!(listen(&from).as_deref(), Some("127.0.0.1:8080"));
    from.config = Some(path);
    assert_eq!(listen(&from).as_deref(), Some("127.0.0.1:2"));
    from.environment.push(("PORTCULLIS_LISTEN".into(), "127.0.0.1:3".into()));
    assert_eq!(listen(&from).as_deref(), Some("127.0.0.1:3"));
    from.flags = Line::try_parse_from(["line", "--listen", "127.0.0.1:4"]).unwrap().flags.0.flags;
    assert_eq!(listen(&from).as_deref(), Some("127.0.0.1:4"));
}

#[test]
fn a_switch_needs_no_value_and_takes_one() {
    for (word, text) in [("--behind-proxy", "true"), ("--behind-proxy=false", "false")] {
        let given = Line::try_parse_from(["line", word]).unwrap().flags.0.flags;
        assert_eq!(given.first().map(|(_, text)| text.as_str()), Some(text));
    }
}

#[test]
fn the_root_token_is_no_flag_and_not_read_from_the_file() {
    assert!(Line::try_parse_from(["line", "--root-token", "0123456789abcdef"]).is_err());
    let found = problems(with_file("root_token = \"0123456789abcdef\"\n"));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("PORTCULLIS_ROOT_TOKEN") && !found[0].contains("0123456789abcdef"),
        "{found:?}"
    );
}

#[test]
fn an_unknown_key_names_the_file_and_the_nearest_known_one() {
    let found = problems(with_file("[log]\nformt = \"json\"\n"));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("`log.formt`") && found[0].contains("did you mean `log.format`"), "{found:?}");
    assert!(found[0].contains("portcullis.toml"), "{found:?}");
}

#[test]
fn an_unknown_variable_names_the_nearest_known_one_and_the_ones_of_tests_set_nothing() {
    let found = problems(with_environment(&[("PORTCULLIS_LISTN", "x")]));
    assert_eq!(
        found,
        ["`PORTCULLIS_LISTN` in the environment is not a setting; did you mean `PORTCULLIS_LISTEN`?"]
    );
    let foreign = [("PORTCULLIS_TEST_POSTGRES", "x"), ("PORTCULLIS_BIN", "x"), ("PORTCULLISES", "x")];
    assert_eq!(problems(with_environment(&foreign)), Vec::<String>::new());
}

#[test]
fn what_kubernetes_tells_of_a_service_of_our_name_is_no_setting_and_no_setting_is_called_so() {
    let told = [
        ("PORTCULLIS_SERVICE_HOST", "10.0.0.7"),
        ("PORTCULLIS_SERVICE_PORT", "8080"),
        ("PORTCULLIS_SERVICE_PORT_HTTP", "8080"),
        ("PORTCULLIS_PORT", "tcp://10.0.0.7:8080"),
        ("PORTCULLIS_PORT_8080_TCP", "tcp://10.0.0.7:8080"),
        ("PORTCULLIS_PORT_8080_TCP_ADDR", "10.0.0.7"),
    ];
    assert_eq!(problems(with_environment(&told)), Vec::<String>::new());
    let alike = problems(with_environment(&[("PORTCULLIS_PORTS", "8080")]));
    assert!(alike[0].contains("`PORTCULLIS_PORTS` in the environment is not a setting"), "{alike:?}");
    let left_aside = |name: &str| name == "PORTCULLIS_PORT" || told.iter().any(|(told, _)| *told == name);
    let ours: Vec<String> = TABLE.iter().map(|setting| setting.variable()).collect();
    assert!(!ours.iter().any(|name| left_aside(name) || name.starts_with("PORTCULLIS_SERVICE_")), "{ours:?}");
    assert!(!ours.iter().any(|name| name.starts_with("PORTCULLIS_PORT_")), "{ours:?}");
}

#[test]
fn a_malformed_value_says_where_it_came_from_and_what_is_expected() {
    let found = problems(with_environment(&[("PORTCULLIS_LISTEN", "8080")]));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("`PORTCULLIS_LISTEN` in the environment is `8080`"), "{found:?}");
    assert!(found[0].contains("an address and port"), "{found:?}");
    let found = problems(with_file("[http]\ndrain_s = 60\n"));
    assert!(found[0].contains("`http.drain_s`") && found[0].contains("from 0 to 8"), "{found:?}");
}

#[test]
fn all_problems_are_told_at_once() {
    let found = problems(with_environment(&[
        ("PORTCULLIS_LISTEN", "x"),
        ("PORTCULLIS_LOG_FORMAT", "xml"),
        ("PORTCULLIS_NOTHING_LIKE_IT", "x"),
    ]));
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn a_rule_that_is_broken_is_told_beside_what_is_malformed_and_not_of_what_is() {
    let found = problems(with_environment(&[
        ("PORTCULLIS_LOG_FILTER", "infoo"),
        ("PORTCULLIS_DATABASE", "postgres://u@db.example.com/p?sslmode=verify-full"),
        ("PORTCULLIS_SESSION_IDLE_S", "86401"),
        ("PORTCULLIS_GOOGLE_FULL_POLL_S", "x"),
        ("PORTCULLIS_GOOGLE_FAST_POLL_S", "3600"),
        ("PORTCULLIS_LISTEN", "0.0.0.0:80"),
        ("PORTCULLIS_PUBLIC_URL", "id.example.com"),
        ("PORTCULLIS_TLS_CERT", "c.pem"),
    ]));
    for wanted in ["infoo", "sslmode", "session.idle_s", "FULL_POLL_S", "PUBLIC_URL", "given together"] {
        let told = found.iter().filter(|problem| problem.contains(wanted)).count();
        assert_eq!(told, 1, "{wanted}: {found:?}");
    }
    assert_eq!(found.len(), 6, "{found:?}");
}

#[test]
fn what_follows_from_other_settings_is_shown_as_it_follows() {
    let given = [("PORTCULLIS_DATA", "/srv/p"), ("PORTCULLIS_LISTEN", "127.0.0.1:7070")];
    let (loaded, settings, _) = Settings::examined(&sources(&given, None)).ok().unwrap();
    let shown = loaded.shown(&settings);
    let shown = |key: &str| {
        let found = shown.iter().find(|(setting, ..)| setting.key() == key).unwrap();
        (found.1.clone(), found.2.clone())
    };
    assert_eq!(
        shown("public_url"),
        ("http://127.0.0.1:7070".to_owned(), "from `listen`, if that is loopback".to_owned())
    );
    assert_eq!(shown("database").0, "/srv/p/portcullis.sqlite");
    assert_eq!(shown("sealing_key_file").0, "/srv/p/sealing-key");
    assert_eq!(shown("data"), ("/srv/p".to_owned(), "`PORTCULLIS_DATA` in the environment".to_owned()));
    assert_eq!(shown("trusted_proxies"), ("none".to_owned(), "its default".to_owned()));
}

#[test]
fn a_file_that_is_named_must_exist_and_be_toml() {
    let missing = sources(&[], Some(Path::new("does-not-exist.toml")));
    let error = Settings::from_sources(&missing).err().unwrap();
    assert!(matches!(error.problems.as_slice(), [Problem::FileUnreadable { .. }]), "{error}");
    let found = problems(with_file("listen = \"127.0.0.1:1\"\nthis is not toml\n"));
    assert!(found[0].starts_with("line 2 of "), "{found:?}");
}

#[test]
fn lists_may_be_toml_lists_or_texts() {
    for text in
        ["trusted_proxies = \"10.0.0.0/8, fd00::/8\"", "trusted_proxies = [\"10.0.0.0/8\", \"fd00::/8\"]"]
    {
        assert_eq!(with_file(text).map(|settings| settings.trusted_proxies.len()).ok(), Some(2), "{text}");
    }
}

#[test]
fn plain_http_is_served_on_loopback_only_unless_a_proxy_or_tls_is_named() {
    let open = [("PORTCULLIS_LISTEN", "0.0.0.0:80"), ("PORTCULLIS_PUBLIC_URL", "https://id.example.com")];
    let found = problems(with_environment(&open));
    assert!(found.len() == 1 && found[0].contains("loopback only"), "{found:?}");
    for more in [
        vec![("PORTCULLIS_BEHIND_PROXY", "true")],
        vec![("PORTCULLIS_TLS_CERT", "c.pem"), ("PORTCULLIS_TLS_KEY", "k.pem")],
    ] {
        let given: Vec<(&str, &str)> = open.iter().copied().chain(more).collect();
        assert_eq!(problems(with_environment(&given)), Vec::<String>::new());
    }
    let half = [("PORTCULLIS_TLS_CERT", "c.pem")];
    assert!(problems(with_environment(&half))[0].contains("given together"));
}

#[test]
fn each_rule_of_the_public_url_refuses_and_its_neighbour_passes() {
    for (url, word) in [
        ("http://id.example.com", "https:"),
        ("https://my_id.example.com", "underscore"),
        ("https://id.example.com/path", "scheme, host and port only"),
        ("https://id.example.com/?x=1", "scheme, host and port only"),
        ("https://me:secret@id.example.com", "scheme, host and port only"),
    ] {
        let found = problems(with_environment(&[("PORTCULLIS_PUBLIC_URL", url)]));
        assert!(found.len() == 1 && found[0].contains(word), "{url}: {found:?}");
    }
    for url in
        ["https://id.example.com", "https://id.example.com:8443/", "http://localhost:8080", "http://[::1]:1"]
    {
        assert_eq!(
            problems(with_environment(&[("PORTCULLIS_PUBLIC_URL", url)])),
            Vec::<String>::new(),
            "{url}"
        );
    }
}

#[test]
fn networks_that_hold_loopback_or_link_local_addresses_cannot_be_named() {
    for network in ["127.0.0.0/8", "127.0.0.1", "0.0.0.0/0", "169.254.169.254/32", "::1", "fe80::/10", "::/0"]
    {
        let found = problems(with_environment(&[("PORTCULLIS_ALLOW_NETWORKS", network)]));
        assert!(found.len() == 1 && found[0].contains("allow_networks"), "{network}: {found:?}");
    }
    for network in ["10.0.0.0/8", "192.168.1.7", "203.0.113.0/24"] {
        let found = problems(with_environment(&[("PORTCULLIS_ALLOW_NETWORKS", network)]));
        assert_eq!(found, Vec::<String>::new(), "{network}");
    }
}

#[test]
fn a_root_token_that_can_be_guessed_or_not_be_sent_is_refused() {
    for token in ["short", "has blank in it", "ünsendable-token"] {
        assert_eq!(problems(with_environment(&[("PORTCULLIS_ROOT_TOKEN", token)])).len(), 1, "{token}");
    }
    let settings = with_environment(&[("PORTCULLIS_ROOT_TOKEN", "twelve-chars")]).ok().unwrap();
    assert!(settings.warnings().iter().any(|warning| warning.to_string().contains("PORTCULLIS_ROOT_TOKEN")));
}

#[test]
fn what_is_shown_holds_no_secret() {
    let databases = [
        "postgres://me:hush@db.example.com/portcullis",
        "postgres://me:1/hush@db.example.com/portcullis",
        "postgres://me:1?hush#hush@db.example.com/portcullis?sslmode=require",
        "postgres://me:hush@hush@db.example.com,b.example.com:5433/portcullis",
        "postgres:///p?user=me&password=hush&host=db.example.com",
        "postgres://db.example.com/p?application_name=a#b&p%61ssword=hush",
    ];
    for database in databases {
        let given = [("PORTCULLIS_ROOT_TOKEN", "the-root-token-itself"), ("PORTCULLIS_DATABASE", database)];
        let (loaded, settings, _) = Settings::examined(&sources(&given, None)).ok().unwrap();
        let shown = loaded.shown(&settings);
        assert!(!settings.database.to_string().contains("hush"), "{database}");
        let text: String = shown.iter().map(|(_, text, _)| text.as_str()).collect();
        assert!(!text.contains("the-root-token-itself") && !text.contains("hush"), "{database}: {text}");
        assert!(text.contains("db.example.com"), "{database}: {text}");
    }
}

#[test]
fn a_database_elsewhere_is_never_spoken_to_in_the_clear_without_a_warning() {
    let warnings = |url: &str| {
        let settings = with_environment(&[("PORTCULLIS_DATABASE", url)]).ok().unwrap();
        settings.warnings().contains(&Warning::DatabaseInTheClear)
    };
    assert!(warnings("postgres://u@db.example.com/p?sslmode=disable"));
    assert!(!warnings("postgres://u@db.example.com/p"));
    assert!(!warnings("postgres://u@localhost/p?sslmode=disable"));
    assert!(!warnings("sqlite:p.sqlite"));
}

#[test]
fn a_url_of_a_database_that_is_none_is_refused_before_anything_begins() {
    let url = "postgres://u:hush@db.example.com/p?sslmode=verify-full";
    let found = problems(with_environment(&[("PORTCULLIS_DATABASE", url)]));
    assert!(found.len() == 1 && found[0].contains("`sslmode`"), "{found:?}");
    assert!(found[0].contains("PORTCULLIS_DATABASE") && !found[0].contains("hush"), "{found:?}");
}

#[test]
fn the_drain_ends_before_ten_seconds_at_its_most() {
    assert_eq!(problems(with_environment(&[("PORTCULLIS_HTTP_DRAIN_S", "9")])).len(), 1);
    assert!(HTTP_DRAIN_S.kind.admits("8"));
}

#[test]
fn files_lie_in_the_data_folder_unless_named() {
    let settings = with_environment(&[("PORTCULLIS_DATA", "/srv/p")]).ok().unwrap();
    assert_eq!(settings.sealing_key_file, PathBuf::from("/srv/p/sealing-key"));
}

#[test]
fn an_empty_variable_names_no_configuration_file() {
    let environment = vec![("PORTCULLIS_CONFIG".to_owned(), String::new())];
    assert!(Settings::from_sources(&Sources { environment, ..Sources::default() }).is_ok());
}
