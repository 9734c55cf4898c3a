//! What a start that is refused leaves behind, and what a start makes of its settings.

use std::time::Duration;

use portcullis_service::Insecure;

use super::{Tasks, edge, limits, open, polling, prepare};
use crate::secrets;
use crate::settings::{Settings, Sources};

#[tokio::test]
async fn a_start_on_a_port_that_is_taken_makes_nothing_and_names_the_setting() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let environment = vec![
        ("PORTCULLIS_DATA".to_owned(), data.display().to_string()),
        ("PORTCULLIS_LISTEN".to_owned(), taken.local_addr().unwrap().to_string()),
    ];
    let settings = Settings::from_sources(&Sources { environment, ..Sources::default() }).unwrap();
    let said = format!("{:#}", prepare(&settings).await.err().unwrap());
    assert!(said.contains("`--listen`") && said.contains(&settings.listen.to_string()), "{said}");
    assert!(!data.exists());
}

#[test]
fn each_setting_reaches_what_it_is_of() {
    let said = [
        ("PORTCULLIS_SESSION_IDLE_S", "1201"),
        ("PORTCULLIS_SESSION_ABSOLUTE_S", "7203"),
        ("PORTCULLIS_TRACE_MAX_COUNT", "1207"),
        ("PORTCULLIS_HTTP_BODY_PAUSE_S", "13"),
        ("PORTCULLIS_TRUSTED_PROXIES", "10.1.2.0/24"),
        ("PORTCULLIS_GOOGLE_FULL_POLL_S", "1213"),
        ("PORTCULLIS_GOOGLE_FAST_POLL_S", "17"),
        ("PORTCULLIS_ALLOW_PRIVATE_NETWORKS", "true"),
    ];
    let environment = said.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let settings = Settings::from_sources(&Sources { environment, ..Sources::default() }).unwrap();
    let (limits, edge, polling) = (limits(&settings), edge(&settings), polling(&settings));
    assert_eq!((limits.session_idle_s, limits.session_absolute_s, limits.max_traces), (1201, 7203, 1207));
    assert_eq!(limits.plain_http, Insecure::Permitted);
    assert_eq!(edge.pace.max_pause, Duration::from_secs(13));
    assert_eq!(edge.trusted_proxies, ["10.1.2.0/24".parse().unwrap()]);
    assert_eq!((polling.full_every_s, polling.fast_every_s), (1213, 17));
    let settings = Settings::from_sources(&Sources::default()).unwrap();
    assert_eq!(super::limits(&settings).plain_http, Insecure::Refused);
}

#[test]
fn a_first_start_that_was_killed_while_it_wrote_its_files_is_made_up_for_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let environment = vec![("PORTCULLIS_DATA".to_owned(), folder.path().display().to_string())];
    let settings = Settings::from_sources(&Sources { environment, ..Sources::default() }).unwrap();
    secrets::replace(&settings.sealing_key_file, "").unwrap();
    drop(open(&settings).unwrap());
    // From here on the key is known: an empty file is one that was lost.
    secrets::replace(&settings.sealing_key_file, "").unwrap();
    let said = format!("{:#}", open(&settings).err().unwrap());
    assert!(said.contains("restore the file"), "{said}");
}

#[tokio::test]
async fn a_task_that_ends_before_its_time_ends_the_server_and_is_named() {
    let running = || tokio::spawn(std::future::pending());
    let faulty = || tokio::spawn(async { panic!("a fault") });
    let tasks = || Tasks {
        serving: tokio::spawn(std::future::pending()),
        jobs: running(),
        marking: running(),
        taking_orders: running(),
    };
    let broken = std::io::Error::other("no socket");
    let all = [
        (Tasks { serving: tokio::spawn(async { Err(broken) }), ..tasks() }, "the listener ended: no socket"),
        (Tasks { jobs: faulty(), ..tasks() }, "the jobs ended by a fault of ours"),
        (Tasks { marking: faulty(), ..tasks() }, "the watch over the mark ended by a fault of ours"),
        (Tasks { taking_orders: tokio::spawn(async {}), ..tasks() }, "the control socket ended"),
    ];
    for (mut tasks, wanted) in all {
        let said = format!("{:#}", tasks.ended().await);
        assert!(said.starts_with(wanted), "{said}");
    }
}
